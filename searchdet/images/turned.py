"""Arrays from the frame they are stored in to the one they are viewed in, by EXIF's orientation."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Kind = TypeVar("Kind", bound=np.generic)


def upright(array: npt.NDArray[Kind], orientation: int) -> npt.NDArray[Kind]:
    """(H, W, ...) as it is viewed."""
    made: Any = array.swapaxes(0, 1) if orientation >= 5 else array
    if orientation in (3, 4, 7, 8):
        made = made[::-1]
    if orientation in (2, 3, 6, 7):
        made = made[:, ::-1]
    return np.ascontiguousarray(made)
