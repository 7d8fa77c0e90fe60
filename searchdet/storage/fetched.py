"""What a command needs as files of this machine, brought there from a store."""

from __future__ import annotations

import logging
from pathlib import Path

from ..config.address import WEB, Place, Remote, place_of
from ..errors import RemoteError
from . import files, remote

log = logging.getLogger(__name__)
_ORIGIN = ".searchdet-origin"
"""Beside what was fetched: where it is from."""


def fetch(at: Remote, folder: Path) -> Path:
    """A file, or a folder with all in it, below a folder of this machine; called as it is there, since
    folders name classes. Raises RemoteError, and UsageError for names that no file can have."""
    target = folder / at.name
    with remote.answered(at):
        single = at.scheme in WEB or remote.is_file(at)
        every = [] if single else remote.find(at)
        if not single and not every:
            raise RemoteError(f"{at}: there is no such object, and none below it.")
        if single:
            files.write_bytes(target, remote.read(at))
        for item, data in zip(every, remote.read_many(every), strict=True):
            with remote.answered(item.at):
                if isinstance(data, OSError):
                    raise data
            files.write_bytes(target / item.at.relative_to(at), data)
    files.write_bytes(folder / _ORIGIN, str(at).encode())
    log.info("%s: %d files fetched.", at, max(len(every), 1))
    return target


def origin_of(path: Path) -> Place:
    """Where a path was fetched from; the path itself where it was not."""
    try:
        return place_of((path.parent / _ORIGIN).read_text())
    except (OSError, ValueError):
        return path
