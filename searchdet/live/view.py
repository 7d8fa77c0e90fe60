"""What all regions of a shelf are under one judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..records import ClassLimits

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """Accepted detections, A of them, by image, then best first. image (A,); row (A,): number of the
    region within its image, the candidate id of records; label (A,); score (A,) after suppression."""

    image: IntArray
    row: IntArray
    label: IntArray
    score: FloatArray

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, slots=True)
class View:
    """All R regions under one judge. label (R,): best class, -1 for what is not valid; score (R,) of it
    before suppression, gap (R,) its lead over the second class, NaN with one class; both NaN where not
    valid. limits: of each class. found: the accepted detections."""

    label: IntArray
    score: FloatArray
    gap: FloatArray
    limits: tuple[ClassLimits, ...]
    found: Found
