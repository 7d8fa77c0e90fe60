"""Small pictures of exemplars."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable

from ..masks import rle
from ..masks.rle import Rle
from ..output import Picture, exemplar_picture
from ..proposals.rendering import rendered
from ..records import ImageInfo
from ..regions import Regions
from .pictures import Kept, Pictures

_REGION = re.compile(r"(.*)#([0-9]{1,9})", re.DOTALL)


class Crops:
    """Pictures of exemplars by name: of files as they were read, of regions from their image."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._lock = threading.Lock()
        self._given: dict[str, bytes] = {}
        self._kept = Kept(16 << 20)

    def give(self, shown: Iterable[Picture]) -> None:
        """Pictures that are there already."""
        with self._lock:
            self._given |= {item.name: item.jpeg for item in shown}

    def given(self, name: str) -> bytes | None:
        """The picture of an exemplar that is no region."""
        with self._lock:
            return self._given.get(name)

    def masked(self, name: str, image: ImageInfo, mask: Rle) -> bytes:
        """The picture of an object in an image, by its mask. Raises ImageError where the file is
        gone."""

        def make() -> bytes:
            dense = rle.decode([mask], (image.height, image.width))[0]
            return exemplar_picture(self._pictures.load(image).pixels, dense)

        return self._kept.of(name, make)

    def region(self, name: str, image: ImageInfo, regions: Regions) -> bytes:
        """The same for the one region that is an exemplar."""
        return self.masked(name, image, rendered(regions.proposals).rles[0])


def region_of(name: str) -> tuple[str, int] | None:
    """Image and row of an exemplar that is called ``IMAGE#ROW``."""
    found = _REGION.fullmatch(name)
    return None if found is None else (found[1], int(found[2]))
