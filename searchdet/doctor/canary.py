"""Canaries: what a network makes of one fixed generated picture, as eight numbers.

A file can have the right names and shapes, even the right hash, and the program still compute something
else with it: another version of a library, a broken processor path. Then the numbers change.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..embeddings import MapSource, embed_masks, l2_normalize
from ..proposals.types import OwnWeights
from ..storage import kinds
from ..storage.cache import Store, key_of
from ..storage.tensors import Arrays
from ..storage.values import Fields, JsonObject
from ..weights import Compute

FORM = 1
SIDE = 224
COUNT = 8
EXPECTED: dict[str, tuple[float, ...]] = {
    "filterbank": (-0.0523, -0.0001, 0.0423, 0.0049, -0.1551, -0.0955, -0.0785, 0.01)
}
"""Of models whose numbers are known. No real weight file was at hand when this was written."""
_TOLERANCE = {"fp32": 0.002, "fp16": 0.005, "bf16": 0.01}
"""Largest difference of one number of a unit vector; another network differs by ten times that."""

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Canary:
    """Numbers spread over a descriptor of unit length, rounded, and how they were computed."""

    numbers: Numbers
    device: str
    precision: str

    def differs(self, other: Numbers) -> bool:
        """Whether other numbers are more than rounding away."""
        if len(other) != len(self.numbers):
            return True
        least, pairs = _TOLERANCE[self.precision], zip(self.numbers, other, strict=True)
        return any(not abs(a - b) <= least for a, b in pairs)

    def text(self) -> str:
        """The numbers as a person reads them."""
        return " ".join(f"{number:.4f}" for number in self.numbers)


def picture(side: int = SIDE) -> npt.NDArray[np.uint8]:
    """(side, side, 3) uint8 RGB with gradients, edges and rings; the same on every machine."""
    y, x = np.mgrid[0:side, 0:side]
    centre = side // 2
    rings = ((x - centre) ** 2 + (y - centre) ** 2) // 97
    channels = (3 * x + 5 * y, x * y // 7, rings * 8)
    return np.stack([channel % 256 for channel in channels], axis=2).astype(np.uint8)


def of_backbone(backbone: MapSource, compute: Compute) -> Canary:
    """The canary of a loaded backbone."""
    whole = np.ones((1, SIDE, SIDE), np.bool_)
    return _canary(embed_masks(backbone, picture(), whole).vectors[0], compute)


def of_proposer(weights: OwnWeights, network: Any, compute: Compute) -> Canary:
    """The canary of a proposer's loaded network: its features, averaged over the picture."""
    import torch

    pixels = picture(weights.side(network)).transpose(2, 0, 1)
    with torch.inference_mode(), compute.autocast():
        batch = torch.from_numpy(np.ascontiguousarray(pixels))[None].to(compute.device)
        features = weights.embed(network, batch.float()).float().cpu()
    return _canary(l2_normalize(features.mean((2, 3)).numpy())[0], compute)


def places(length: int) -> list[int]:
    """Which numbers of a vector are taken: spread, since the first ones may all be of one kind."""
    return [int((i + 0.5) * length / COUNT) for i in range(COUNT)]


def _canary(vector: npt.NDArray[np.float32], compute: Compute) -> Canary:
    numbers = tuple(round(float(vector[i]), 4) + 0.0 for i in places(len(vector)))  # no -0.0
    return Canary(numbers, compute.device.split(":")[0], compute.precision)


def _remembered(_: Arrays, facts: Fields) -> tuple[Numbers, dict[str, str]]:
    versions, numbers = facts.child("versions"), facts.items("numbers")
    known = {name: versions.text(name) for name in versions.values}
    return facts.numbers("numbers", len(numbers)), known


@dataclass(frozen=True, slots=True)
class Memory:
    """Canaries of earlier runs by the hash of the weight file, the device's kind and the precision."""

    store: Store

    @classmethod
    def below(cls, folder: Path | None) -> Memory:
        """In a cache folder; None remembers nothing."""
        return cls(Store(folder, kinds.CANARIES))

    def recall(self, sha256: str, canary: Canary) -> tuple[Numbers, dict[str, str]] | None:
        """(numbers, versions of packages) of the first time, or None."""
        return self.store.recall(self._key(sha256, canary), _remembered)

    def note(self, sha256: str, canary: Canary, versions: dict[str, str]) -> None:
        """Remember a canary."""
        facts: JsonObject = {"numbers": list(canary.numbers), "versions": versions}
        self.store.write(self._key(sha256, canary), {}, facts)

    def _key(self, sha256: str, canary: Canary) -> str:
        how = {"device": canary.device, "precision": canary.precision}
        return key_of({"sha256": sha256, "form": FORM, **how})
