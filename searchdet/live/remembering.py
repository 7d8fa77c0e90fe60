"""Where on a shelf the regions lie of which a person said something; each is looked for once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..bank.said import Sayings
from ..decision.told import around, digest_of, place, told_at
from ..embeddings import l2_normalize
from ..scoring import Told
from .shelf import Shelf


class Remembering:
    """Finds judged regions in all images of a shelf, which may grow."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._images: dict[str, list[int]] = {}
        self._seen = 0
        self._places: dict[tuple[int, str, bytes], int] = {}
        self._near: dict[tuple[int, ...], npt.NDArray[np.int64]] = {}

    def told(self, said: Mapping[str, Sayings], bank: Bank) -> Told:
        """What was said of the rows of the shelf. said: by the content of the pictures."""
        some = [
            (self._shelf.images[image].start, self._of(image, of, bank))
            for content, of in said.items()
            for image in self._showing(content)
        ]
        none = Told.nothing()
        return Told(
            np.concatenate([none.rows, *(start + item.rows for start, item in some)]),
            np.concatenate([none.labels, *(item.labels for _, item in some)]),
            np.concatenate([none.near, *(start + item.near for start, item in some)]),
        )

    def image(self, image: int, said: Mapping[str, Sayings], bank: Bank) -> Told:
        """What was said of the regions of one image, by their numbers in it."""
        of = said.get(self._shelf.images[image].image.content)
        return Told.nothing() if of is None else self._of(image, of, bank)

    def _showing(self, content: str) -> list[int]:
        images = self._shelf.images
        for i in range(self._seen, len(images)):
            self._images.setdefault(images[i].image.content, []).append(i)
        self._seen = len(images)
        return self._images.get(content, [])

    def _of(self, image: int, of: Sayings, bank: Bank) -> Told:
        found = told_at(of, [self._place(image, of, i) for i in range(len(of.masks))], bank.classes)
        if not bank.by_normality:
            return found
        key = (image, *found.rows[found.labels < 0].tolist())
        if key not in self._near:
            self._near[key] = around(found, self._shelf.regions(image).proposals).near
        return replace(found, near=np.setdiff1d(self._near[key], found.rows))

    def _place(self, image: int, of: Sayings, i: int) -> int:
        key = (image, of.masks[i], of.vectors[i].tobytes())
        if key not in self._places:
            item = self._shelf.images[image]
            kept = self._shelf.arrays["vectors"][item.start : item.start + item.count]

            def digest(row: int) -> str:
                return digest_of(self._shelf.regions(image, np.asarray([row])).proposals, 0)

            self._places[key] = place(of, i, l2_normalize(np.asarray(kept, np.float32)), digest)
        return self._places[key]
