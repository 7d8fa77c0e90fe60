"""Which file this is: its SHA-256, and whether it is the published one of that name."""

from __future__ import annotations

import logging
from pathlib import Path

from ..errors import CheckpointError
from ..storage.hashes import FileHashes
from .folder import carried
from .published import Published
from .shards import digest_of

log = logging.getLogger(__name__)


def verify_identity(
    path: Path,
    published: tuple[Published, ...],
    allow_unverified: bool = False,
    hashes: FileHashes | None = None,
) -> tuple[str, bool | None]:
    """(sha256, verified) of a weight file.

    A file with an official name and another hash is refused unless ``allow_unverified``; where the
    published hash is not confirmed to be a SHA-256, it is only warned about. Raises CheckpointError.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such weight file.", "`searchdet models list` shows where each file comes from."
        )
    digest = digest_of(path, (hashes or FileHashes()).sha256)
    for item in published:
        agrees = item.agrees(digest) if item.filename == path.name else None
        if agrees is None:
            continue
        if agrees:
            return digest, True
        message = f"{path}: the name is official, the content is not (SHA-256 {digest[:16]}...)."
        if item.sure and not allow_unverified:
            again = "Download it again, rename it, or pass --allow-unverified-weights."
            raise CheckpointError(message, item.reinstall if path == carried(item) else again)
        log.warning("%s Its record says verified: false.", message)
        return digest, False
    return digest, None
