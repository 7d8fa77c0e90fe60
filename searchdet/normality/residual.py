"""How far cells are from what is normal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .types import ARRAYS, BY_IMAGE, NEAREST, SUBSPACE, Normality

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
EXPLAINED = 0.9
"""Share of the variance of normal cells that the subspace holds."""
USUAL = 0.95
"""Share of the cells of an image that are taken to be normal where nothing else says what is."""
_TOGETHER = 4096
"""Cells that are compared at once."""
_MAD = 1.4826
"""Median absolute deviation to the deviation of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over cells: how many, of the vectors (D,), of their outer products (D, D)."""

    count: int
    total: Float64Array
    outer: Float64Array

    @classmethod
    def of(cls, cells: FloatArray) -> Moments:
        """Of cells (N, D)."""
        wide = np.asarray(cells, np.float64)
        return cls(len(wide), wide.sum(axis=0), wide.T @ wide)

    def plus(self, other: Moments, sign: int = 1) -> Moments:
        """Of both, or without the other's (sign -1)."""
        return Moments(
            self.count + sign * other.count,
            self.total + sign * other.total,
            self.outer + sign * other.outer,
        )


def subspace(moments: Moments, explained: float = EXPLAINED) -> dict[str, FloatArray]:
    """The mean and the fewest principal directions that hold this share of the variance."""
    middle = moments.total / moments.count
    spread = moments.outer / moments.count - np.outer(middle, middle)
    values, vectors = np.linalg.eigh(spread)
    values, vectors = np.clip(values[::-1], 0, None), vectors[:, ::-1]
    held = np.cumsum(values) / max(float(values.sum()), 1e-12)
    kept = min(int(np.searchsorted(held, explained)) + 1, len(values))
    return {"middle": middle.astype(np.float32), "basis": vectors[:, :kept].astype(np.float32)}


def residuals(cells: FloatArray, method: str, model: Mapping[str, FloatArray]) -> FloatArray:
    """(N,): for each of N cells (N, D) the length of what the subspace does not explain, or one less
    the cosine to the nearest normal cell. By image: the former, of the image's own usual cells."""
    if method == BY_IMAGE:
        return _within(cells)
    if method not in ARRAYS:
        raise ValueError(f"there is no method {method!r}")
    made = np.empty(len(cells), np.float32)
    for start in range(0, len(cells), _TOGETHER):
        some = cells[start : start + _TOGETHER]
        if method == NEAREST:
            made[start : start + _TOGETHER] = 1 - (some @ model["cells"].T).max(axis=1)
        else:
            apart = some - model["middle"]
            left = apart - (apart @ model["basis"]) @ model["basis"].T
            made[start : start + _TOGETHER] = np.linalg.norm(left, axis=1)
    return made


def _within(cells: FloatArray) -> FloatArray:
    first = residuals(cells, SUBSPACE, subspace(Moments.of(cells)))
    usual = cells[first <= np.quantile(first, USUAL)]
    return residuals(cells, SUBSPACE, subspace(Moments.of(usual)))


def robust(values: FloatArray) -> tuple[float, float]:
    """Median, and the deviation of a normal distribution with the same median distance from it."""
    middle = float(np.median(values))
    return middle, max(_MAD * float(np.median(np.abs(values - middle))), 1e-6)


def deviations(cells: FloatArray, normality: Normality) -> FloatArray:
    """(h, w): residuals of cells (h, w, D), in deviations from the median of those of good parts that
    were left out, or of the image's own."""
    info = normality.info
    found = residuals(cells.reshape(-1, cells.shape[-1]), info.method, normality.model)
    middle, spread = robust(found) if info.method == BY_IMAGE else (info.middle, info.spread)
    return np.asarray((found - middle) / spread, np.float32).reshape(cells.shape[:2])
