"""SHA-256 of large files, remembered by path, size, time and inode.

A shell loop would otherwise hash the same 350 MB for every image.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

import platformdirs

from ..errors import OutputError
from . import files, kinds

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where remembered facts live: ``SEARCHDET_CACHE`` or the platform's user cache folder."""
    override = os.environ.get("SEARCHDET_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("searchdet"))


class FileHashes:
    """Remembered SHA-256 digests, in the cache folder or another; ``remember`` False reads each file.
    A broken or unwritable memory costs time, never correctness."""

    def __init__(self, folder: Path | None = None, remember: bool = True) -> None:
        self._folder = (folder or cache_folder()) / kinds.SHA256
        self._remember = remember

    def sha256(self, path: Path) -> str:
        """Digest of the file's bytes, from memory where path, size, mtime, ctime and inode agree."""
        real = path.resolve()
        if not self._remember:
            return fresh_sha256(real)
        stat = real.stat()
        token = [str(real), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        entry = (
            self._folder / f"{hashlib.sha256(str(real).encode('utf-8', 'replace')).hexdigest()}.json"
        )
        try:
            known = json.loads(entry.read_text(encoding="utf-8"))
            if known["file"] == token and len(known["sha256"]) == 64:
                return str(known["sha256"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.debug("no remembered hash of %s (%s)", real, type(error).__name__)
        digest = fresh_sha256(real)
        try:
            files.write_json(entry, {"file": token, "sha256": digest})
        except OutputError as error:
            log.warning("The hash of %s cannot be remembered: %s", path.name, error.message)
        return digest


def fresh_sha256(path: Path) -> str:
    """Digest of the file's bytes, read now: nothing remembered stands in for a file that rots."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
