"""Networks that are loaded when they are first needed, once their file is known to fit.

Where all results of a run are remembered, a network need not be loaded for it; that its file fits is
known from the time when it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Generic, TypeVar

from ..errors import CheckpointError
from ..records import WeightsInfo
from ..storage import kinds
from ..storage.cache import Store, key_of
from ..storage.hashes import FileHashes
from ..storage.values import Fields
from ..version import __version__
from .identity import verify_identity
from .loader import Fit
from .published import Published
from .shards import digest_of

Network = TypeVar("Network")
FORM = 2


class Lazy(Generic[Network]):
    """What is said of a network's weights, and the network, loaded when it is first asked for."""

    def __init__(
        self, weights: WeightsInfo, load: Callable[[], Network], fit: Fit | None = None
    ) -> None:
        self.weights = weights
        self.fit = fit or Fit(weights.layout)
        self._load = load
        self._network: Network | None = None
        self._lock = threading.Lock()

    @property
    def loaded(self) -> bool:
        """Whether the network is there already."""
        return self._network is not None

    def get(self) -> Network:
        """The network, loaded once however many threads ask. Raises CheckpointError where its file
        cannot be loaded."""
        with self._lock:
            if self._network is None:
                self._network = self._load()
            return self._network


class LoadedBefore:
    """Which files have filled a network completely before, by content, remembered below a cache folder;
    None remembers nothing. ``eager``: networks are loaded now all the same."""

    def __init__(self, folder: Path | None, eager: bool = False) -> None:
        self.hashes = FileHashes(folder, folder is not None)
        self._store = Store(folder, kinds.LOADED)
        self._eager = eager

    def fit(self, network: str, sha256: str) -> Fit | None:
        """How a file with that digest filled the network; None if it never did, or if it is to be
        loaded anyway."""
        if self._eager:
            return None
        return self._store.recall(self._key(network, sha256), lambda _, facts: _fit(facts))

    def note(self, network: str, sha256: str, fit: Fit) -> None:
        """Remember that a file filled the network completely."""
        self._store.write(self._key(network, sha256), {}, asdict(fit))

    def _key(self, network: str, sha256: str) -> str:
        return key_of({"network": network, "sha256": sha256, "version": [__version__, FORM]})


def _fit(facts: Fields) -> Fit:
    unused = facts.texts("unused")
    return Fit(facts.text("layout"), facts.text("prefix"), unused, facts.text("content"))


def load_or_wait(
    name: str,
    path: Path,
    published: tuple[Published, ...],
    allow_unverified: bool,
    load: Callable[[], tuple[Network, Fit]],
    before: LoadedBefore | None = None,
) -> Lazy[Network]:
    """The network of a file, loaded now unless this very content has filled it before.

    name: the network's. load: makes it of the file, and says how that filled it. Raises
    CheckpointError, and ``get`` does so where the file has changed since.
    """
    hashes = before.hashes if before is not None else None
    digest, verified = verify_identity(path, published, allow_unverified, hashes)
    fit = before.fit(name, digest) if before is not None else None
    if fit is None:
        network, fit = load()
        if before is not None:
            before.note(name, digest, fit)
        made = Lazy(_said(path, digest, fit, verified), lambda: network, fit)
        made.get()
        return made

    def load_unchanged() -> Network:
        network, _ = load()
        if before is not None and digest_of(path, before.hashes.sha256) != digest:
            raise CheckpointError(f"{path}: changed during the run.", "Run again.")
        return network

    return Lazy(_said(path, digest, fit, verified), load_unchanged, fit)


def _said(path: Path, digest: str, fit: Fit, verified: bool | None) -> WeightsInfo:
    return WeightsInfo(path.name, digest, fit.layout, verified, fit.prefix, fit.unused)
