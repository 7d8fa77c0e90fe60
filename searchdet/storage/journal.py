"""A file that grows line by line, each on disk before it counts; a lock that ends with its process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

from ..errors import OutputError, UsageError
from . import files


class Journal:
    """Appends lines to a file. ``append`` returns when the line is on disk; one that cannot be written
    whole is taken back, so that the file never holds a part of it.

    Raises OutputError where the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with files.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("ab", buffering=0)
        self._whole = True
        files.sync_folder(path.parent)

    def append(self, line: bytes) -> None:
        """Add one line, which must end with its only line feed."""
        if not line.endswith(b"\n") or b"\n" in line[:-1]:
            raise ValueError("that is not one line")
        if not self._whole:
            raise OutputError(
                f"{self.path}: its last line was not written whole.", "Start again; it is cut off then."
            )
        before = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError("only a part of the line was written")
            os.fsync(self._file.fileno())
        except OSError as error:
            self._take_back(before)
            reason = error.strerror or str(error)
            raise OutputError(
                f"{self.path}: cannot be written ({reason}).", "Make room on the disk."
            ) from error

    def _take_back(self, size: int) -> None:
        self._whole = False
        with contextlib.suppress(OSError):  # then nothing more is appended, which says so
            os.ftruncate(self._file.fileno(), size)
            os.fsync(self._file.fileno())
            self._whole = True

    def close(self) -> None:
        """Close the file; what was appended is on disk already."""
        self._file.close()


def cut(path: Path, size: int) -> None:
    """Shorten a file to its first ``size`` bytes. Raises OutputError."""
    with files.writing(path), path.open("rb+") as stream:
        stream.truncate(size)
        stream.flush()
        os.fsync(stream.fileno())


class Lock:
    """A lock on a file, which the system takes back when the process ends, however it ends. Raises
    UsageError where another one holds it, and OutputError where the file cannot be made."""

    def __init__(self, path: Path, held: str, hint: str) -> None:
        """held, hint: what is said where another one holds it."""
        with files.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        try:
            _lock(self._file)
            if not os.path.samestat(os.fstat(self._file.fileno()), path.stat()):
                raise FileNotFoundError(f"{path}: was taken away this moment")
        except OSError as error:
            self._file.close()
            raise UsageError(held, hint) from error

    def release(self) -> None:
        """Give it back."""
        self._file.close()


def _lock(file: IO[bytes]) -> None:
    """Raises OSError where another open file of the same path is locked."""
    if os.name == "nt":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    import fcntl

    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
