"""Weight files that have loaded completely before, by content.

Where all results of a run are remembered, a network need not be loaded for it; that its file fits is
known from the time when it was.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError
from ..records import WeightsInfo
from ..storage import kinds
from ..storage.cache import Store, key_of
from ..storage.hashes import FileHashes
from ..version import __version__


class LoadedBefore:
    """What is remembered below a cache folder, or, with None, nothing. ``eager``: networks are loaded
    now all the same."""

    def __init__(self, folder: Path | None, eager: bool = False) -> None:
        self.hashes = FileHashes(folder, folder is not None)
        self._store = Store(folder, kinds.LOADED)
        self._eager = eager

    def layout(self, network: str, sha256: str) -> str | None:
        """The layout in which a file with that digest filled the network; None if it never did, or if
        it is to be loaded anyway."""
        if self._eager:
            return None
        return self._store.recall(self._key(network, sha256), lambda _, facts: facts.text("layout"))

    def note(self, network: str, sha256: str, layout: str) -> None:
        """Remember that a file filled the network completely."""
        self._store.write(self._key(network, sha256), {}, {"layout": layout})

    def require_unchanged(self, path: Path, weights: WeightsInfo) -> None:
        """Raise CheckpointError if a file is not what it was when the run began."""
        if self.hashes.sha256(path) != weights.sha256:
            raise CheckpointError(f"{path}: changed during the run.", "Run again.")

    def _key(self, network: str, sha256: str) -> str:
        return key_of({"network": network, "sha256": sha256, "version": __version__})
