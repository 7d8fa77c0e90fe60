"""What persons draw and paste, as exemplars: the object is found and described by the models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..bank import Bank, Enrolment
from ..bank.build import find_masks
from ..bank.describe import describe
from ..config import Settings
from ..exemplars import Exemplar
from ..images import LoadedImage, decode
from ..live.events import Box
from ..live.exemplars import Drawn
from ..masks import rle
from ..output import exemplar_picture
from ..records import ImageInfo
from ..storage import kinds
from ..storage.cache import Store
from .pictures import Pictures
from .work import Work


@dataclass(frozen=True, slots=True)
class Hands:
    """Turns boxes and pictures into exemplars, in the thread that has the models."""

    by: Enrolment
    settings: Settings
    pictures: Pictures
    work: Work

    def draw(self, image: ImageInfo, box: Box) -> Drawn:
        """The object in a box of an image, which is read again. Raises ImageError where that has
        changed, and ExemplarError."""
        loaded = self.pictures.load(image)
        mask = np.zeros((loaded.height, loaded.width), bool)
        x0, y0, x1, y1 = box
        mask[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = True
        item = Exemplar(image.name, None, loaded.pixels, mask, "box", loaded.content)
        return self.work.ask(lambda: self._described(item, None))

    def paste(self, name: str, data: bytes, label: str | None, bank: Bank | None) -> Drawn:
        """The object in a picture. label: the class that it is to show; bank: what is known of that.
        Raises ImageError and ExemplarError."""
        loaded = decode(Path(name), data, self.settings.max_pixels, self.settings.reading.bounds)
        mask, source = _shown(loaded)
        item = Exemplar(name, label, loaded.pixels, mask, source, loaded.content)
        return self.work.ask(lambda: self._described(item, bank))

    def _described(self, item: Exemplar, bank: Bank | None) -> Drawn:
        if self.by.options.exemplar_mask == "auto":
            (item,) = find_masks([item], self.by, bank)
        kept = Store(self.by.cache, kinds.EXEMPLARS)
        rows = describe(self.by.backbone, [item], self.by.embedding, kept)
        unnamed = tuple(replace(origin, name="") for origin in rows.origins)
        picture = exemplar_picture(item.pixels, item.mask)
        return Drawn(replace(rows, origins=unnamed), rle.encode(item.mask), picture)


def _shown(image: LoadedImage) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.bool_]], str]:
    """What of a picture is the object, as far as it says so itself."""
    if image.alpha is not None and image.alpha.any() and not image.alpha.all():
        return image.alpha, "alpha"
    return np.ones((image.height, image.width), bool), "whole"
