"""Where on a shelf the regions lie of which a person said something; each is looked for once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..bank.said import Sayings
from ..decision.told import digest_of, place, told_at
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

    def told(self, said: Mapping[str, Sayings], classes: Sequence[str]) -> Told:
        """What was said of the rows of the shelf. said: by the content of the pictures."""
        some = [
            self._of(image, of, classes)
            for content, of in said.items()
            for image in self._showing(content)
        ]
        rows = [np.zeros(0, np.int64), *(item.rows for item in some)]
        return Told(np.concatenate(rows), np.concatenate([rows[0], *(item.labels for item in some)]))

    def image(self, image: int, said: Mapping[str, Sayings], classes: Sequence[str]) -> Told:
        """What was said of the regions of one image, by their numbers in it."""
        item = self._shelf.images[image]
        of = said.get(item.image.content)
        found = Told.nothing() if of is None else self._of(image, of, classes)
        return Told(found.rows - item.start, found.labels)

    def _showing(self, content: str) -> list[int]:
        images = self._shelf.images
        for i in range(self._seen, len(images)):
            self._images.setdefault(images[i].image.content, []).append(i)
        self._seen = len(images)
        return self._images.get(content, [])

    def _of(self, image: int, of: Sayings, classes: Sequence[str]) -> Told:
        start = self._shelf.images[image].start
        found = told_at(of, [self._place(image, of, i) for i in range(len(of.masks))], classes)
        return Told(found.rows + start, found.labels)

    def _place(self, image: int, of: Sayings, i: int) -> int:
        key = (image, of.masks[i], of.vectors[i].tobytes())
        if key not in self._places:
            item = self._shelf.images[image]
            kept = self._shelf.arrays["vectors"][item.start : item.start + item.count]

            def digest(row: int) -> str:
                return digest_of(self._shelf.regions(image, np.asarray([row])).proposals, 0)

            self._places[key] = place(of, i, l2_normalize(np.asarray(kept, np.float32)), digest)
        return self._places[key]
