"""Weight files that have loaded completely before, by content.

Where all results of a run are remembered, a network need not be loaded for it; that its file fits is
known from the time when it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .cache import Store, key_of
from .checkpoints import WeightsInfo
from .errors import CheckpointError
from .hashes import FileHashes
from .version import __version__

KIND = "loaded"


@dataclass(frozen=True, slots=True)
class LoadedBefore:
    """What is remembered of loaded weight files."""

    store: Store

    @property
    def hashes(self) -> FileHashes:
        """Digests, remembered where the rest is; not at all where nothing is kept."""
        return FileHashes(self.store.folder, self.store.folder is not None)

    def layout(self, network: str, sha256: str) -> str | None:
        """The layout in which a file with that digest filled the network; None if it never did."""
        return self.store.recall(self._key(network, sha256), lambda _, facts: str(facts["layout"]))

    def note(self, network: str, sha256: str, layout: str) -> None:
        """Remember that a file filled the network completely."""
        self.store.write(self._key(network, sha256), {}, {"layout": layout})

    def _key(self, network: str, sha256: str) -> str:
        return key_of({"network": network, "sha256": sha256, "version": __version__})


def require_unchanged(path: Path, weights: WeightsInfo) -> None:
    """Raise CheckpointError if a file is not what it was when the run began."""
    if FileHashes().sha256(path) != weights.sha256:
        raise CheckpointError(f"{path}: changed during the run.", "Run again.")
