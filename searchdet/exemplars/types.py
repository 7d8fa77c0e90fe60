"""What an exemplar is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..annotations import Drawn

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Found:
    """One example of a folder or an annotation file, not yet read.

    name: path below the folder's parent, with ``/``, and ``#`` and a number where its image holds
    several. label None marks a negative. mask: a mask file; drawn: an object of an annotation file, and
    said: how messages call that. doubt: an image whose mask this could be, itself where it is named so.
    """

    path: Path
    name: str
    label: str | None
    mask: Path | None = None
    drawn: Drawn | None = None
    said: str = ""
    doubt: Path | None = None


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One example. label None marks a negative.

    pixels (H, W, 3) uint8; mask (H, W) bool; mask_source: file, labelme, coco, box, alpha or whole, and
    where the object was looked for auto (in a photo) or boxed (in its box). sha256 of the image:
    ``LoadedImage.content``. copy_of, view: of what this is a changed view, and which (``augment``); ""
    for an example itself.
    """

    name: str
    label: str | None
    pixels: UInt8Array
    mask: BoolArray
    mask_source: str
    sha256: str
    copy_of: str = ""
    view: str = ""
