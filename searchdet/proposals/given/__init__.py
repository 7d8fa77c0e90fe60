"""``masks``: what any other tool found, read from a file or folder, as proposals of each image.

source.py says what such a place must answer; coco.py and folder.py (with npz.py) are the two there are.
Masks are looked up by the name that an image has in records, turned with photos that have an EXIF
rotation, and filtered as those of every proposer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...annotations import Photo
from ...config import ProposalOptions
from ...errors import UsageError
from ...records import WeightsInfo
from ...weights import Compute, LoadedBefore
from ..filters import READS as FILTERS
from ..filters import finish
from ..types import FloatArray, ImageId, Plan, Proposals, Proposer, UInt8Array, from_rles
from .coco import CocoMasks
from .folder import FolderMasks
from .source import Source, unfit

NAME = "masks"


class MaskProposer:
    """The masks of a file or folder. weights: that file, so that records, keys of the cache and
    fingerprints know what it held."""

    name = NAME
    reads = FILTERS | {"masks_from", "masks_dataset"}
    prompting = "everything"
    compute: Compute | None = None

    def __init__(self, source: Source, options: ProposalOptions, image: ImageId | None = None) -> None:
        path = options.masks_from
        self.weights: WeightsInfo | None = WeightsInfo(
            "" if path is None else path.name, source.digest, source.layout, None
        )
        self._source, self._options, self._image = source, options, image

    def of(self, image: ImageId) -> Proposer:
        """See ``ByImage``."""
        return MaskProposer(self._source, self._options, image)

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """The masks given of the image. Raises ImageError where there is nothing of it, or where its
        masks do not fit, and UsageError where nobody said which image it is."""
        if self._image is None or not self._image.name:
            raise UsageError(f"--proposals {NAME} looks masks up by name, and the image has none.")
        size = (image.shape[0], image.shape[1])
        photo = Photo(size, self._image.orientation)
        given = self._source.masks(self._image.name, photo)
        if any(tuple(code["size"]) != size for code in given.rles):
            raise unfit(self._image.name, f"{self._source.said} has masks of another size.")
        found = from_rles(given.rles, given.quality, size)
        first: dict[str, int] = {}
        for i, code in enumerate(found.rles):
            first.setdefault(code["counts"], i)
        rows = np.asarray(list(first.values()), np.int64)
        removed = {"duplicate": len(found) - len(rows)}
        details = {"given": len(found)}
        return finish(replace(found.take(rows), removed=removed, details=details), self._options)


def open_source(options: ProposalOptions) -> Source:
    """The place that the options name. Raises UsageError."""
    path = options.masks_from
    if path is None:
        raise UsageError(
            f"--proposals {NAME} needs masks.", "Name them: --masks-from FILE (COCO) or DIR."
        )
    if path.is_dir():
        if options.masks_dataset is not None:
            raise UsageError("--masks-dataset is for a list of results, not for a folder of masks.")
        return FolderMasks(path)
    if not path.is_file():
        raise UsageError(
            f"--masks-from {path}: no such file or folder.", "Name a COCO file or a folder of masks."
        )
    return CocoMasks(path, options.masks_dataset)


def _make(
    options: ProposalOptions, device: str, precision: str, before: LoadedBefore | None
) -> Proposer:
    if options.tile:
        raise UsageError(f"--tile cuts images, and `{NAME}` has masks of whole ones.", "Leave it out.")
    return MaskProposer(open_source(options), options)


PLAN = Plan(_make, licence="that of the masks")
