"""Fails the k-th call by which a program reaches the disk, as a full, broken or locked disk would."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

ERRORS = {
    "disk full": errno.ENOSPC,
    "read-only": errno.EROFS,
    "permission": errno.EACCES,
    "I/O error": errno.EIO,
}


class _Written:
    """A file whose writes are counted."""

    def __init__(self, real: Any, count: Callable[[str], None]) -> None:
        self._real, self._count = real, count

    def write(self, data: bytes) -> int:
        self._count("write")
        written: int = self._real.write(data)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *error: object) -> None:
        self._real.__exit__(*error)


class Faults:
    """Within it, call number ``at`` (from 1; 0: none) raises the error, and, if ``lasting``, all calls
    after it. calls: what was called, in order."""

    def __init__(self, at: int = 0, number: int = errno.ENOSPC, lasting: bool = False) -> None:
        self.calls: list[str] = []
        self._at, self._number, self._lasting = at, number, lasting
        self._real = (os.open, os.fdopen, os.fsync, os.replace)

    def _count(self, name: str) -> None:
        self.calls.append(name)
        place = len(self.calls)
        if self._at and (place == self._at or (self._lasting and place > self._at)):
            raise OSError(self._number, os.strerror(self._number))

    def __enter__(self) -> Faults:
        make, fdopen, fsync, replace = self._real

        def made(path: Any, flags: int, *args: Any, **options: Any) -> int:
            if flags & os.O_CREAT:
                self._count("open")
            return make(path, flags, *args, **options)

        def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                self._count(name)
                return real(*args, **options)

            return call

        os.open = made
        os.fdopen = lambda *args, **kw: _Written(fdopen(*args, **kw), self._count)  # type: ignore[assignment]
        os.fsync = counted("fsync", fsync)
        os.replace = counted("rename", replace)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.open, os.fdopen, os.fsync, os.replace = self._real
