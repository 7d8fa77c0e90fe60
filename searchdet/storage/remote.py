"""Objects in stores: ``s3://``, ``gs://``, ``http://``, ``https://`` and ``memory://``.

All of it goes through fsspec, which also finds the credentials. Nothing is remembered of listings,
every body is held against the size that was promised, and what a store refuses comes as OSError.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..config.address import WEB, Remote
from ..errors import OutputError, RemoteError, UsageError
from .files import Stamp, Stream

PART = 32 << 20
"""Bytes of a large object that are asked for at once."""
PATIENCE, SLOWEST = 60.0, 100_000.0
"""Seconds, and bytes a second, that a write may take at most."""
TOGETHER = 32
"""Objects that are asked for at once."""


_QUERY = re.compile(r"(?<=[^\s?])\?\S*")
"""Of an address in a message, however it is written there."""


class Unreachable(OSError):
    """A store that does not answer, refuses, or gives less than it promised."""


class Changed(OSError):
    """Another process wrote an object meanwhile."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object of a listing."""

    at: Remote
    stamp: Stamp

    @property
    def size(self) -> int:
        return self.stamp[0]


def read(at: Remote, most: int | None = None) -> bytes:
    """The bytes of an object. Raises OSError; FileNotFoundError, IsADirectoryError, and Unreachable
    where fewer come than there are. most: of bytes; a larger one raises OSError (EFBIG)."""
    with _asked(at) as (store, name):
        if at.scheme in WEB:
            data: bytes = store.cat_file(name)
            _require_small(at, len(data), most)
            return data
        size = _file(at, store.info(name)).size
        _require_small(at, size, most)
    return b"".join(ranges([(at, start, min(start + PART, size)) for start in range(0, size, PART)]))


def ranges(wanted: Sequence[tuple[Remote, int, int]]) -> list[bytes]:
    """Bytes ``start`` to ``end`` of objects of one store, side by side. Raises OSError, also where
    fewer come."""
    if not wanted:
        return []
    with _asked(wanted[0][0]) as (store, _):
        names = [_name(at) for at, _, _ in wanted]
        starts, ends = [start for _, start, _ in wanted], [end for _, _, end in wanted]
        made = list(store.cat_ranges(names, starts, ends, on_error="return"))
    for (at, start, end), data in zip(wanted, made, strict=True):
        if isinstance(data, BaseException):
            raise _refused(at, data) from data
        if len(data) != end - start:
            raise Unreachable(errno.EIO, f"only {len(data)} of {end - start} bytes came")
    return made


def read_many(wanted: Sequence[Found]) -> Iterator[bytes | OSError]:
    """The bytes of objects of a listing, in its order, some at once; or why one cannot be read."""
    for at in range(0, len(wanted), TOGETHER):
        part = wanted[at : at + TOGETHER]
        try:
            small = all(0 < item.size <= PART for item in part)
            if small:
                yield from ranges([(item.at, 0, item.size) for item in part])
        except OSError:
            small = False
        if not small:
            yield from (_tried(item.at) for item in part)


def _tried(at: Remote) -> bytes | OSError:
    try:
        return read(at)
    except OSError as error:
        return error


def stat(at: Remote) -> Found:
    """An object as a listing has it. Raises OSError; IsADirectoryError for what others lie below."""
    with _asked(at) as (store, name):
        return _file(at, store.info(name))


def is_file(at: Remote) -> bool:
    """Whether there is such an object. Raises OSError where that is not known."""
    try:
        stat(at)
    except (FileNotFoundError, IsADirectoryError):
        return False
    return True


def is_folder(at: Remote) -> bool:
    """Whether something lies below the name. Raises OSError where that is not known."""
    try:
        with _asked(at) as (store, name):
            return bool(store.info(name)["type"] == "directory")
    except FileNotFoundError:
        return False


def find(at: Remote) -> list[Found]:
    """All objects below a name, by name. Raises OSError, and UsageError for one whose name no file can
    have."""
    with _asked(at) as (store, name):
        if at.scheme in WEB:
            raise Unreachable(errno.ENOTSUP, "a web server gives no listing; name the files")
        try:
            every = store.find(name, detail=True)
        except FileNotFoundError:
            every = {}
    made = []
    for path, info in every.items():
        if info["type"] != "file" or path.endswith("/"):  # what stores keep for a folder
            continue
        inner = path.strip("/")[len(at.url.partition("://")[2]) + 1 :]
        if any(part in ("", ".", "..") for part in inner.split("/")):
            raise UsageError(
                f"{at}/{inner}: no file can be called so.", "Rename the object, or name others."
            )
        made.append(Found(at / inner, _stamp(info)))
    return sorted(made, key=lambda item: item.at.url)


def write(at: Remote, data: bytes, **how: Any) -> None:
    """Put an object in its place, which stores do whole or not at all. how: what the store's writer
    takes more. Raises OutputError."""
    with _writing(at), _asked(at) as (store, name):
        _require_writable(at)
        store.pipe_file(name, data, **how, **_patience(store, len(data)))


def write_over(at: Remote, data: bytes, before: bytes | None) -> None:
    """Put an object in the place of one that holds ``before``, None for none at all. S3 sees to it that
    nobody comes in between; other stores are asked before. Raises Changed where it is another one, and
    OutputError."""
    with _writing(at), _asked(at) as (store, name):
        how, there = {}, None
        with contextlib.suppress(FileNotFoundError):
            tag = store.info(name).get("ETag")
            there = read(at)
            how = {"IfMatch": tag} if at.scheme == "s3" and tag else {}
        if there != before:
            raise Changed(errno.ESTALE, "it was written meanwhile")
        if there is None:
            how = {"mode": "create"}
        try:
            store.pipe_file(name, data, **how, **_patience(store, len(data)))
        except FileExistsError as error:
            raise Changed(errno.ESTALE, "it was written meanwhile") from error
        except OSError as error:
            if "PreconditionFailed" in str(error) or "pre-conditions" in str(error):
                raise Changed(errno.ESTALE, "it was written meanwhile") from error
            raise


def fetch_file(item: Found, path: Path) -> None:
    """An object as a file of this machine, which may be larger than memory. Raises OSError, and
    OutputError where it cannot be written."""
    with Stream(path) as stream:
        for start in range(0, item.size, PART):
            stream.write_bytes(ranges([(item.at, start, min(start + PART, item.size))])[0])


def write_file(at: Remote, path: Path) -> None:
    """``write`` for a file of this machine, which may be larger than memory. Raises OutputError."""
    with _writing(at), _asked(at) as (store, name):
        _require_writable(at)
        store.put_file(str(path), name, **_patience(store, path.stat().st_size))


def remove(at: Remote) -> None:
    """Delete an object; one that is gone already is fine. Raises OutputError."""
    with _writing(at), contextlib.suppress(FileNotFoundError), _asked(at) as (store, name):
        _require_writable(at)
        store.rm_file(name, **_patience(store, 0))


def _patience(store: Any, size: int) -> dict[str, float]:
    """How long a write may take. Libraries end a read that stands still, but may wait for ever for a
    server's word that it takes a body."""
    return {"timeout": PATIENCE + size / SLOWEST} if store.async_impl else {}


def _require_writable(at: Remote) -> None:
    if at.scheme in WEB:
        raise Unreachable(errno.EROFS, "a web server takes no files")


@contextlib.contextmanager
def answered(at: Remote, what: str = "read") -> Iterator[None]:
    """What a store refuses while an address is ``read`` or ``listed``, as RemoteError."""
    try:
        yield
    except OSError as error:
        raise RemoteError(f"{at}: cannot be {what} ({error.strerror or error}).") from error


@contextlib.contextmanager
def _writing(at: Remote) -> Iterator[None]:
    try:
        yield
    except Changed:
        raise
    except OSError as error:
        said = f"{at}: cannot be written ({error.strerror or error})."
        raise OutputError(said, "Run again when the store answers; what is done stays.") from error


def _require_small(at: Remote, size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise OSError(errno.EFBIG, f"it holds {size} bytes, more than {most}")


def _file(at: Remote, info: dict[str, Any]) -> Found:
    if info["type"] != "file":
        raise IsADirectoryError(errno.EISDIR, "it is no object, but others lie below it")
    return Found(at, _stamp(info))


def _stamp(info: dict[str, Any]) -> Stamp:
    """Size, time in nanoseconds, and a number for the tag by which stores know content."""
    when = next((info[key] for key in ("LastModified", "mtime", "created") if info.get(key)), None)
    tag = next((str(info[key]) for key in ("ETag", "etag", "md5Hash") if info.get(key)), "")
    digest = int(hashlib.sha256(tag.encode()).hexdigest()[:15], 16)
    when = when.timestamp() if isinstance(when, datetime) else when
    at = int(when * 1e9) if isinstance(when, float) else 0
    return int(info["size"]), at, digest if tag else 0, 0


def _name(at: Remote) -> str:
    """As fsspec takes it."""
    return f"{at.url}{at.query}"


@contextlib.contextmanager
def _asked(at: Remote) -> Iterator[tuple[Any, str]]:
    """The store of an address, and its name there; what goes wrong comes as OSError.

    Libraries of stores raise types of their own, of several packages, for what a network does.
    """
    try:
        yield _store(at), _name(at)
    except (Unreachable, Changed, UsageError, OutputError):
        raise
    except Exception as error:
        raise _refused(at, error) from error


def _store(at: Remote) -> Any:
    try:
        import fsspec

        return fsspec.filesystem(at.scheme, use_listings_cache=False)
    except ImportError as error:
        raise UsageError(
            f"{at.scheme}:// needs a package that is not installed ({error.name or error}).",
            'Install it: pip install "searchdet[cloud]".',
        ) from error


def _refused(at: Remote, error: BaseException) -> OSError:
    """The error of a library as one of the system's, without what an address holds in secret."""
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "there is no such object")
    status = getattr(error, "status", None)
    if isinstance(error, OSError) and error.strerror and error.errno not in (None, errno.EIO):
        said = error.strerror
    elif isinstance(status, int):
        said = f"HTTP {status}"
    else:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    said = _QUERY.sub("", said)
    if isinstance(error, PermissionError):
        return PermissionError(errno.EACCES, said)
    if isinstance(error, IsADirectoryError):
        return IsADirectoryError(errno.EISDIR, said)
    return Unreachable(getattr(error, "errno", None) or errno.EIO, said[:300])
