"""What was learned of good parts: a model of their cells, and the units of what is left."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..records import NormalityInfo
from ..storage.tensors import Arrays
from ..storage.values import Fields
from .units import LIMIT_BY_IMAGE

FloatArray = npt.NDArray[np.float32]
SUBSPACE, NEAREST, BY_IMAGE = "subspace", "nearest", "image"
ARRAYS: Mapping[str, tuple[str, ...]] = {
    SUBSPACE: ("middle", "basis"),
    NEAREST: ("cells",),
    BY_IMAGE: (),
}
"""What a model of each method is made of."""


@dataclass(frozen=True)
class Normality:
    """What is normal. info: what records say of it, the units among it.

    model: of ``subspace`` the mean ``middle`` (D,) of the normal cells and the orthonormal columns
    ``basis`` (D, K) of their main directions; of ``nearest`` unit vectors ``cells`` (N, D); of
    ``image`` nothing, as each image is its own.
    """

    info: NormalityInfo
    model: Mapping[str, FloatArray]

    def __post_init__(self) -> None:
        if set(self.model) != set(ARRAYS.get(self.info.method, ("",))):
            raise ValueError(f"a model of {self.info.method!r} is not made of {sorted(self.model)}")

    @property
    def dim(self) -> int | None:
        """Length of the cells' vectors; None for any."""
        name = {SUBSPACE: "middle", NEAREST: "cells"}.get(self.info.method)
        return None if name is None else int(self.model[name].shape[-1])

    @functools.cached_property
    def digest(self) -> str:
        """Of all that what is unusual depends on."""
        found = hashlib.sha256(repr(self.info).encode())
        for name in sorted(self.model):
            found.update(np.ascontiguousarray(self.model[name], np.float16).tobytes())
        return found.hexdigest()

    def to_arrays(self) -> dict[str, npt.NDArray[np.float16]]:
        """The model as files hold it, which changes no value of it (``halved``)."""
        return {f"normality.{name}": array.astype(np.float16) for name, array in self.model.items()}

    @classmethod
    def read(cls, arrays: Arrays, facts: Fields, dim: int) -> Normality | None:
        """Of a file; None where it holds none. dim: of its space. Raises ValueError."""
        if "normality" not in facts.values:
            return None
        info = NormalityInfo.from_json(facts.child("normality"))
        model = {name: arrays[f"normality.{name}"] for name in ARRAYS.get(info.method, ())}
        for name, array in model.items():
            if array.dtype != np.float16 or not array.size or not np.isfinite(array).all():
                raise ValueError(f"its normality.{name} is {array.dtype} {array.shape}")
        made = cls(info, {name: array.astype(np.float32) for name, array in model.items()})
        if made.dim not in (None, dim):
            raise ValueError("what is normal has another dimension than its space")
        return made

    def limited(self, limit: float) -> Normality:
        """The same with another limit."""
        return replace(self, info=replace(self.info, limit=limit))


def halved(model: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """A model in the precision in which a bank keeps it."""
    return {name: array.astype(np.float16).astype(np.float32) for name, array in model.items()}


def of_images(proposer: str, tile: int) -> Normality:
    """Each image as its own measure. tile: pixels of the tiles in which images are seen, 0 for none."""
    info = NormalityInfo(BY_IMAGE, 0, 0, "none", 0.0, 1.0, LIMIT_BY_IMAGE, proposer)
    return Normality(replace(info, tile=tile), {})
