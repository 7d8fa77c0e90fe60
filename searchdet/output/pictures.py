"""What ``--save`` draws of one image, as bytes with their place. A new kind is a line in
``config.pictures`` and one here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..config.pictures import KINDS
from ..masks import rle
from ..records import Candidate, ImageRecord
from ..storage.files import slug
from .render import contours, encode_jpeg, encode_png, heatmap, overlay, semantic, side_by_side, union

UInt8Array = npt.NDArray[np.uint8]
Heat = Mapping[str, npt.NDArray[np.float32]]
"""For each class (h, w): how much each cell of the image looks like it."""
DEVIATIONS = (0.0, 14.0)
"""The ends of the colours for what is unusual: the same everywhere, so that a good part looks so."""
MARGIN = 0.1
"""Of a crop around the box of its mask, as a share of the box."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture goes: folder, what is added to the image's name, and the suffix."""

    folder: str
    part: str
    suffix: str

    @classmethod
    def of(cls, name: str, part: str = "") -> Place:
        """Of a picture of that kind."""
        return cls(KINDS[name].folder, part, KINDS[name].suffix)


@dataclass(frozen=True, slots=True)
class Maps:
    """What is drawn of an image beside its detections. anomaly (h, w): deviations of its cells from
    what is normal."""

    heat: Heat | None = None
    anomaly: npt.NDArray[np.float32] | None = None


def drawn(
    wanted: tuple[str, ...], image: UInt8Array, record: ImageRecord, maps: Maps | None
) -> Iterator[tuple[Place, bytes]]:
    """Pictures of the detections of a record on its (H, W, 3) image."""
    maps = maps or Maps()
    if maps.anomaly is not None:
        picture = heatmap(image, maps.anomaly, "deviations", DEVIATIONS)
        yield Place.of("anomaly"), encode_jpeg(picture)
    whole: dict[str, Callable[[], bytes]] = {
        "overlay": lambda: encode_jpeg(overlay(image, record)),
        "contours": lambda: encode_jpeg(contours(image, record), subsampling=0),
        "side-by-side": lambda: encode_jpeg(side_by_side(image, overlay(image, record))),
        "semantic": lambda: semantic(record),
        "union": lambda: encode_png(union(record)),
        "original": lambda: encode_png(image),
    }
    for name, draw in whole.items():
        if name in wanted:
            yield Place.of(name), draw()
    for item in record.detections:
        part = f"/{item.id:03}-{slug(item.label or '')}"
        if "masks" in wanted:
            mask = rle.decode([item.segmentation], image.shape[:2])[0]
            yield Place.of("masks", part), encode_png(mask.astype(np.uint8) * 255)
        if "crops" in wanted:
            yield Place.of("crops", part), encode_png(cut_out(image, item))
    for label, values in (maps.heat or {}).items():
        yield Place.of("heatmap", f"/{slug(label)}"), encode_jpeg(heatmap(image, values, label))


def cut_out(image: UInt8Array, item: Candidate) -> UInt8Array:
    """(h, w, 4): the detection with a margin around it; transparent outside its mask, so that it can be
    an example."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = item.bbox
    across, down = MARGIN * (x1 - x0), MARGIN * (y1 - y0)
    rows = slice(int(max(0, y0 - down)), int(min(height, y1 + down + 1)))
    columns = slice(int(max(0, x0 - across)), int(min(width, x1 + across + 1)))
    mask = rle.decode([item.segmentation], (height, width))[0][rows, columns]
    return np.dstack([image[rows, columns], mask.astype(np.uint8) * 255])
