"""Places: paths of this machine, and addresses of stores. What is read and written in either."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..config.address import Place, Remote
from ..errors import OutputError, UsageError
from . import files, remote
from .files import Listed
from .remote import Found

PROBE = ".searchdet-probe"
"""Written first of all: the same name each time, so that a killed run leaves one at most."""


def read(place: Place) -> bytes:
    """All bytes of a file. Raises OSError."""
    return place.read_bytes() if isinstance(place, Path) else remote.read(place)


def write(place: Place, data: bytes) -> None:
    """Put a file in its place, whole. Raises OutputError."""
    if isinstance(place, Path):
        files.write_bytes(place, data)
    else:
        remote.write(place, data)


def remove(place: Place) -> None:
    """Delete a file; one that is gone already is fine. Raises OutputError."""
    if isinstance(place, Path):
        files.remove(place)
    else:
        remote.remove(place)


def size_of(place: Place) -> int:
    """Bytes of a file. Raises OSError."""
    return place.stat().st_size if isinstance(place, Path) else remote.stat(place).size


def is_file(place: Place) -> bool:
    """Whether there is such a file. Raises OSError where a store does not say."""
    return files.is_file(place) if isinstance(place, Path) else remote.is_file(place)


def is_folder(place: Place) -> bool:
    """Whether there is such a folder; of a store, whether something lies below the name. Raises
    RemoteError where it does not answer."""
    if isinstance(place, Path):
        return files.is_folder(place)
    with remote.answered(place, "looked at"):
        return remote.is_folder(place)


def on_this_machine(place: Place, what: str) -> Path:
    """The path of a place. what: the thing that must not lie in a store. Raises UsageError."""
    if isinstance(place, Path):
        return place
    raise UsageError(f"{place}: {what} must lie on this machine.", "Copy it here, or mount the store.")


def same(place: Place) -> str:
    """What two spellings of one place have in common: the path without links, or the address, with a
    digest of its query, which is said nowhere."""
    if isinstance(place, Path):
        return str(files.real(place))
    digest = hashlib.sha256(place.query.encode()).hexdigest()[:16]
    return f"{place}#{digest}" if place.query else str(place)


def lies_in(place: Place, folder: Place) -> bool:
    """Whether a place is a folder or lies below it, links or not."""
    if isinstance(place, Remote):
        return isinstance(folder, Remote) and place.is_relative_to(folder)
    return isinstance(folder, Path) and files.real(place).is_relative_to(files.real(folder))


def leads_out(place: Place, folder: Place) -> bool:
    """Whether a link takes a path below a folder out of it; a store has none."""
    if isinstance(place, Path) and isinstance(folder, Path):
        return files.leads_out(place, folder)
    return False


def relative(place: Place, folder: Place) -> str:
    """The name of a file below a folder of the same kind, with ``/``."""
    if isinstance(place, Path) and isinstance(folder, Path):
        return place.relative_to(folder).as_posix()
    if isinstance(place, Remote) and isinstance(folder, Remote):
        return place.relative_to(folder)
    raise ValueError(f"{place} does not lie in {folder}")


def inside(folder: Place) -> list[Place]:
    """The files of a folder, not those of folders in it; none of a linked one. Raises OutputError where
    a store does not answer."""
    if isinstance(folder, Path):
        return list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    try:
        return [item.at for item in remote.find(folder) if item.at.parent == folder]
    except OSError as error:
        raise OutputError(f"{folder}: cannot be listed ({error.strerror}).") from error


def probe(folder: Place) -> None:
    """Write and delete a file: a bad folder fails before any model loads. Raises OutputError."""
    if isinstance(folder, Path):
        files.probe_folder(folder)
    else:
        remote.write(folder / PROBE, b"")
        remote.remove(folder / PROBE)


def found(folder: Place, suffix: str) -> list[Listed]:
    """Files below a folder whose names end so, in no order; a folder that is not there has none. Raises
    RemoteError where a store does not answer."""
    if isinstance(folder, Path):
        return files.found(folder, suffix)
    with remote.answered(folder, "listed"):
        every = remote.find(folder)
    return [(it.at.relative_to(folder), it.stamp) for it in every if it.at.name.endswith(suffix)]


def read_each(folder: Place, listed: Sequence[Listed]) -> Iterator[tuple[str, bytes | OSError]]:
    """Files of such a listing, one by one, of a store some at once; or why one cannot be read."""
    if isinstance(folder, Path):
        for name, _ in listed:
            try:
                yield name, (folder / name).read_bytes()
            except OSError as error:
                yield name, error
        return
    wanted = [Found(folder / name, stamp) for name, stamp in listed]
    yield from zip((name for name, _ in listed), remote.read_many(wanted), strict=True)


@contextlib.contextmanager
def staged(folder: Place) -> Iterator[Path]:
    """A folder of this machine to write files to; those of an address go there when the block ends
    without an exception, one by one. Raises OutputError."""
    if isinstance(folder, Path):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="searchdet-") as made:
        yield Path(made)
        for path in sorted(Path(made).rglob("*")):
            if path.is_file():
                remote.write_file(folder / path.relative_to(made).as_posix(), path)
