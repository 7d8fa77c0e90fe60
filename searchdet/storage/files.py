"""The one writer: atomic files, safe names. No module but this and ``journal`` opens one to write."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import socket
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from ..errors import OutputError

log = logging.getLogger(__name__)


Stamp = tuple[int, int, int, int]
"""What tells a changed file: size, times and inode."""
Listed = tuple[str, Stamp]
_SUFFIX = ".tmp"
OLD_SECONDS = 86400.0
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def _prefix() -> str:
    """Of temporary names: machine and process, so that what a killed process left is known as such."""
    host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
    return f".searchdet-{host}-{os.getpid()}-"


def sweep(folder: Path, deep: bool = True) -> int:
    """Remove temporary files and folders that killed processes left: those of this machine whose
    process is gone, and any that is a day old. deep: in sub-folders too. Returns how many."""
    mine, count = _prefix().rsplit("-", 2)[0], 0
    pattern = f".searchdet-*{_SUFFIX}"
    for path in folder.rglob(pattern) if deep else folder.glob(pattern):
        match = re.fullmatch(rf"{re.escape(mine)}-(\d+)-.*", path.name)
        gone = match is not None and not _runs(int(match[1]))
        try:
            if gone or time.time() - path.lstat().st_mtime > OLD_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                count += 1
        except OSError as error:
            log.debug("%s stays: %s", path, error.strerror)
    return count


def _runs(pid: int) -> bool:
    if os.name == "nt":  # where signal 0 is none
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old content or the whole new one, never a part.

    Temporary file in the same folder, fsync, rename. Raises OutputError; the temporary is removed.
    """
    with Stream(path) as stream:
        stream.write_bytes(data)


def temporary_path(folder: Path) -> Path:
    """A name of its own in ``folder``, known as temporary by ``sweep``."""
    return folder / f"{_prefix()}{secrets.token_hex(8)}{_SUFFIX}"


def write_json(path: Path, value: Any) -> None:
    """Strict JSON (no NaN), ASCII, one trailing line feed. Equal values give equal bytes."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """The bytes that ``write_json`` writes."""
    return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=True) + "\n").encode()


def probe_folder(folder: Path) -> None:
    """Create, rename and delete a file in ``folder``: a bad one fails before any model loads.

    The file is this call's own, as other processes probe the same folder at the same time.
    """
    target = temporary_path(folder)
    write_bytes(target, b"")
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: files cannot be removed ({error.strerror}).") from error


def real(path: Path) -> Path:
    """The path without links; unlike ``Path.resolve`` also for a loop of links, which leads nowhere."""
    return Path(os.path.realpath(path))


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a link takes a path below ``folder`` to a place outside of it."""
    return not real(path.parent).is_relative_to(real(folder))


def is_file(path: Path) -> bool:
    """``Path.is_file``; False also for names that no file can have."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """``Path.is_dir``; False also for names that no folder can have."""
    try:
        return path.is_dir()
    except OSError:
        return False


def found(folder: Path, suffix: str) -> list[Listed]:
    """Files below a folder whose names end so, relative to it with ``/``, in no order."""
    root, made = str(folder), []
    for base, _, names in os.walk(root):
        for name in (name for name in names if name.endswith(suffix)):
            with contextlib.suppress(FileNotFoundError):  # replaced this moment
                stat = Path(f"{base}{os.sep}{name}").stat()
                stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
                relative = f"{base[len(root) :]}{os.sep}{name}".replace(os.sep, "/")[1:]
                made.append((relative, stamp))
    return made


def collision_key(path: str) -> str:
    """Equal for two paths that some file system would take for the same file."""
    return unicodedata.normalize("NFC", path).casefold()


def slug(name: str) -> str:
    """A class name as a path part: [a-z0-9._-], at most 80 bytes, unique through 8 hex digits."""
    stem = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:70]
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{stem}-{digest}" if stem else digest


def remove(path: Path) -> None:
    """Delete a file; one that is gone already is fine. Raises OutputError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed ({error.strerror}).") from error


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new empty folder below ``parent``, which is made if need be, and removed when the block ends;
    with ``parent`` if nothing else was put there. Raises OutputError."""
    with writing(parent):
        new = not parent.exists()
        parent.mkdir(parents=True, exist_ok=True)
        sweep(parent, deep=False)
        made = temporary_path(parent)
        made.mkdir()
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
            if new and not any(parent.iterdir()):
                parent.rmdir()


def move_into(made: Path, target: Path) -> None:
    """Give the files of a folder their place in another one on the same disk. Raises OutputError."""
    with writing(target):
        target.mkdir(exist_ok=True)
        for path in made.iterdir():
            os.replace(path, target / path.name)


def remove_tree(path: Path) -> None:
    """Delete a folder with all in it. Raises OutputError."""
    with writing(path):
        shutil.rmtree(path)


@contextlib.contextmanager
def binary_stream(path: Path, lasting: bool = True, new: bool = True) -> Iterator[BinaryIO]:
    """A file to append to, a ``new`` one, or one of which readers know how much of it counts; on disk
    when the block ends, unless it need not be ``lasting``. Raises OutputError."""
    with writing(path), path.open("xb" if new else "ab") as stream:
        yield stream
        stream.flush()
        if lasting:
            os.fsync(stream.fileno())


class Stream:
    """A file written piece by piece, for what is too large to hold: as ``write_bytes``, readers see the
    old content until all of it is there. Leaving the ``with`` block by an exception writes nothing.

    Raises OutputError; the temporary file, in the same folder, is removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary: Path | None = None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Stream:
        with writing(self.path, "Choose another folder with -o."):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = temporary_path(self.path.parent)
            handle = os.open(temporary, _CREATE, 0o666)  # less the umask
            self._temporary = temporary
            self._file = os.fdopen(handle, "wb", 1 << 20)
        return self

    def write(self, text: str) -> None:
        """Append text as UTF-8; names that are not UTF-8 come out as the bytes they were."""
        self.write_bytes(text.encode("utf-8", "surrogateescape"))

    def write_bytes(self, data: bytes) -> None:
        """Append bytes."""
        if self._file is None:
            raise ValueError(f"{self.path}: is not open for writing")
        with writing(self.path, "Choose another folder with -o."):
            self._file.write(data)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._file is not None and self._temporary is not None:
                with writing(self.path, "Choose another folder with -o."):
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._file.close()
                    os.replace(self._temporary, self.path)
        finally:
            if self._file is not None:
                with contextlib.suppress(OSError):  # of a full disk, which was reported before
                    self._file.close()
            if self._temporary is not None:
                self._temporary.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """See to it that the names in a folder are on disk, where the system can. Raises OutputError."""
    if os.name == "nt":  # which cannot open a folder
        return
    with writing(path):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a finished file of the same folder its name, once it is on disk. Raises OutputError."""
    with writing(path):
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)


@contextlib.contextmanager
def writing(path: Path, hint: str = "") -> Iterator[None]:
    """What the system refuses while ``path`` is written, as OutputError."""
    try:
        yield
    except OSError as error:
        raise _refused(path, error, hint) from error


def _refused(path: Path, error: OSError, hint: str) -> OutputError:
    """What is wrong with a place, by what is there; else what the system says."""
    for above in path.parents:
        if os.path.lexists(above) and not is_folder(above):
            what = "a link to nothing" if above.is_symlink() and not above.exists() else "a file"
            said = f"{above}: is {what}, and a folder is needed there."
            return OutputError(said, "Name another folder with -o, or move it away.")
    if isinstance(error, IsADirectoryError):
        return OutputError(f"{path}: is a folder, and a file is to be written.", "Name a file.")
    reason = error.strerror or type(error).__name__
    return OutputError(f"{path}: cannot be written ({reason}).", hint)
