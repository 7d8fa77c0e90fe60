"""Hands: boxes and pictures to exemplars, by models that are loaded when the first one comes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..bank import Bank, Enrolment
from ..bank.build import find_masks
from ..bank.describe import describe
from ..config import Settings
from ..errors import UsageError
from ..exemplars import Exemplar
from ..images import LoadedImage, decode
from ..masks import rle
from ..output import exemplar_picture
from ..records import ImageInfo
from ..regions import Space, load_models, settings_in
from ..storage import kinds
from ..storage.cache import Store
from .events import Box
from .exemplars import Drawn
from .regions import read_as_described


class ModelHands:
    """The models of the settings, with the backbone of a space. paths: where images lie, by name; by:
    models that are there already."""

    def __init__(
        self,
        settings: Settings,
        space: Space,
        paths: Mapping[str, Path],
        by: Enrolment | None = None,
    ) -> None:
        self._settings, self._space, self._paths = settings_in(space, settings), space, paths
        self._by = by

    def draw(self, image: ImageInfo, box: Box) -> Drawn:
        """The object in a box of an image: by the proposer, if it takes boxes, else by the embedded
        one; where none stands out the box itself, with a WARNING. Raises UsageError for a box outside
        of the image or an image that changed, ImageError and CheckpointError."""
        path = self._paths.get(image.name)
        if path is None:
            raise UsageError(f"{image.name}: its file is not known.", "Choose a region instead.")
        loaded = read_as_described(path, image, self._settings)
        mask = np.zeros((loaded.height, loaded.width), bool)
        x0, y0 = (int(max(0, np.floor(v))) for v in box[:2])
        x1, y1 = (int(max(0, np.ceil(v))) for v in box[2:])
        mask[y0:y1, x0:x1] = True
        if not mask.any():
            raise UsageError(f"{image.name}: the box {list(box)} lies outside of it.", "Draw another.")
        item = Exemplar(image.name, None, loaded.pixels, mask, "box", loaded.content)
        return self._described(item, None)

    def paste(self, name: str, data: bytes, label: str | None, bank: Bank | None) -> Drawn:
        """The object in a picture, as ``--exemplar-mask auto`` finds it, beside the exemplars of its
        class; a transparent ground is no object. Raises ImageError and CheckpointError."""
        bounds = self._settings.reading.bounds
        loaded = decode(Path(name), data, self._settings.max_pixels, bounds)
        mask, source = _whole(loaded)
        if not mask.any():
            raise UsageError(f"{name}: shows nothing, all of it is transparent.", "Paste another.")
        item = Exemplar(name, label, loaded.pixels, mask, source, loaded.content)
        known = None if bank is None or label not in bank.classes else bank
        made = self._described(item, known)
        return replace(made, picture=exemplar_picture(loaded.pixels, _mask(made)))

    def _described(self, item: Exemplar, bank: Bank | None) -> Drawn:
        by = self._enrolment
        if by.options.exemplar_mask == "auto":
            (item,) = find_masks([item], by, bank)
        kept = Store(by.cache, kinds.EXEMPLARS)
        rows = describe(by.backbone, [item], by.embedding, kept)
        origins = (replace(rows.origins[0], name=""),)
        return Drawn(replace(rows, origins=origins), rle.encode(item.mask))

    @functools.cached_property
    def _enrolment(self) -> Enrolment:
        if self._by is not None:
            return self._by
        models = load_models(self._settings)
        made = Enrolment.of(models.backbone, self._settings, models.proposer)
        differs = self._space.differences(made.space)
        if differs:
            raise UsageError(
                f"the images were described by other models ({'; '.join(differs)}).", "Start again."
            )
        return made


def _whole(image: LoadedImage) -> tuple[np.ndarray, str]:
    if image.alpha is not None and not image.alpha.all():
        return image.alpha, "alpha"
    return np.ones((image.height, image.width), bool), "whole"


def _mask(drawn: Drawn) -> np.ndarray:
    height, width = drawn.mask["size"]
    return np.asarray(rle.decode([drawn.mask], (height, width))[0], bool)
