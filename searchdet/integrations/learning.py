"""The predictor of the bridges: one detector, whose bank grows while it runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..annotations.shapes import paint
from ..bank import Bank, Enrolment
from ..bank.build import find_masks, settle
from ..bank.describe import describe
from ..bank.file import require_space
from ..calibration import score_at
from ..config import Limits, Settings
from ..detector import Detector
from ..errors import ExemplarError
from ..exemplars import Exemplar, boxmask
from ..images import LoadedImage, decode
from ..masks import rle
from ..masks.rle import Rle
from ..normality import suited
from ..proposals.regions import IN_BOX, RegionProposer
from ..proposals.rendering import rendered
from ..proposals.types import BoxPrompted, ByImage, ImageId
from ..records import Candidate, ImageRecord, detections
from ..regions import Models, space_of
from ..storage import kinds
from ..storage.cache import Store
from .exemplars import Exemplars, Growing, named
from .predictor import Found, Lesson, Marks
from .prompts import under_points


class Learning:
    """Finds and learns with models that are loaded once. exemplars: where those are kept, by default in
    memory. normal: how it will be known what is normal, where a bank may say that first when there is
    one; "": as the bank says that is there."""

    def __init__(
        self,
        models: Models,
        settings: Settings,
        exemplars: Exemplars | None = None,
        normal: str = "",
    ) -> None:
        self._models = models
        held = None if exemplars is None else exemplars.bank
        if held is not None and held.normality is not None:
            normal = held.normality.info.method
        kept, _ = models.effective(settings, normal=normal)  # what cannot act is said once
        proposals = replace(kept.proposals, prompting=settings.proposals.prompting)
        scoring = replace(kept.scoring, second_look=settings.scoring.second_look)
        self._settings = replace(kept, proposals=proposals, scoring=scoring)
        space = space_of(models.backbone, self._settings.embedding)
        self._exemplars = Growing(None, space) if exemplars is None else exemplars
        if (bank := self._exemplars.bank) is not None:
            require_space(bank, space, "the bank")
        self._lock = threading.Lock()
        self._made: tuple[Bank, Detector] | None = None
        self._last: tuple[Detector, str, ImageRecord] | None = None
        self._seen: tuple[str, list[Found]] | None = None

    @classmethod
    def of(cls, detector: Detector) -> Learning:
        """With the models, the settings and the exemplars of a detector."""
        return cls(detector.models, detector.settings, Growing(detector.bank, None))

    @property
    def classes(self) -> tuple[str, ...]:
        with self._lock:
            bank = self._exemplars.bank
            return () if bank is None else bank.classes

    @property
    def version(self) -> str:
        with self._lock:
            made = self._detector()
            names = f"searchdet-{self._models.backbone.name}-{self._models.proposer.name}"
            return names if made is None else f"{names}-{made.judge.fingerprint[:12]}"

    def load(self, data: bytes, name: str) -> LoadedImage:
        return decode(Path(name), data, self._settings.max_pixels, self._settings.reading.bounds)

    def predict(self, image: LoadedImage, name: str, least: float | None = None) -> list[Found]:
        with self._lock:
            made = self._detector()
            if made is None:
                return []
            record = self._record(made, image, name)
            limits = Limits() if least is None else _limits(record, least)
            return [_found(item) for item in detections(record, limits)]

    def under(self, image: LoadedImage, name: str, marks: Marks) -> list[Found]:
        with self._lock:
            found = [one for one in self._in_boxes(image, marks) if rle.area(one.mask)]
            if marks.points:
                options = self._options(image, name)
                place = under_points([one.mask for one in options], marks)
                found += [] if place is None else [options[place]]
            return found

    def learn(self, key: str, image: LoadedImage, lessons: Sequence[Lesson]) -> int:
        with self._lock:
            if not lessons:
                self._exemplars.drop(key)
                return 0
            bank = self._exemplars.saved
            by = Enrolment.of(self._models.backbone, self._settings, self._models.proposer)
            items = [_exemplar(key, image, lesson) for lesson in lessons]
            if by.options.exemplar_mask == "auto":
                items = find_masks(items, by, bank)
            closer = by.closer if bank is None else bank.looks_closer
            kept = Store(by.cache, kinds.EXEMPLARS)
            rows = describe(by.backbone, items, by.embedding, kept, closer)
            self._exemplars.put(key, items, rows)
            return len(items)

    def forget(self, key: str) -> int:
        with self._lock:
            return self._exemplars.drop(key)

    def _detector(self) -> Detector | None:
        """The detector of the bank as it is now."""
        bank = self._exemplars.bank
        if bank is None:
            return None
        if self._made is None or self._made[0] is not bank:
            scoring = self._exemplars.scoring(self._settings.scoring, bank)
            if not bank.looks_closer:
                scoring = replace(scoring, second_look=0)
            if bank.normality is not None:
                scoring = suited.scoring_beside(scoring, not bank.by_normality)
            settings = replace(self._settings, scoring=scoring)
            gathered = settle(bank, settings.exemplars)
            self._made = bank, Detector(self._models, gathered, settings)
        return self._made[1]

    def _record(self, made: Detector, image: LoadedImage, name: str) -> ImageRecord:
        """The record of a picture; that of the last one is at hand."""
        if self._last is None or self._last[0] is not made or self._last[1] != image.content:
            self._last = made, image.content, made.detect_loaded(image, name)
        return self._last[2]

    def _options(self, image: LoadedImage, name: str) -> list[Found]:
        """What a point may mean: detections first, then by score; without a bank by quality."""
        made = self._detector()
        if made is not None:
            return [_option(item) for item in self._record(made, image, name).candidates]
        if self._seen is None or self._seen[0] != image.content:
            proposer = self._models.proposer
            if isinstance(proposer, ByImage):
                proposer = proposer.of(ImageId(name, image.orientation))
            self._seen = image.content, _unnamed(rendered(proposer.propose(image.pixels)).rles)
        return self._seen[1]

    def _in_boxes(self, image: LoadedImage, marks: Marks) -> list[Found]:
        if not marks.boxes:
            return []
        proposer = self._models.proposer
        chosen = proposer if isinstance(proposer, BoxPrompted) else RegionProposer(IN_BOX)
        finder = boxmask.Finder.of(chosen, self._settings.cache)
        return _unnamed(finder.masks(image.pixels, image.content, marks.boxes))


def _limits(record: ImageRecord, least: float) -> Limits:
    """Least scores of the classes at which a detection is right with a likelihood of ``least``."""
    held = {} if record.run is None else record.run.thresholds
    return Limits(class_min_score=tuple((name, score_at(least, item)) for name, item in held.items()))


def _found(item: Candidate) -> Found:
    return Found(item.label, item.probability, item.bbox, item.segmentation)


def _option(item: Candidate) -> Found:
    """A candidate that a person may mean, of a class or not."""
    return _found(item) if item.accepted else Found(None, None, item.bbox, item.segmentation)


def _unnamed(masks: Sequence[Rle]) -> list[Found]:
    boxes = rle.boxes(masks).tolist()
    return [Found(None, None, (a, b, c, d), m) for (a, b, c, d), m in zip(boxes, masks, strict=True)]


def _exemplar(key: str, image: LoadedImage, lesson: Lesson) -> Exemplar:
    name = named(key, lesson.name)
    try:
        mask = np.asarray(paint(lesson.drawn, (image.height, image.width)), np.bool_)
    except ExemplarError as error:
        raise ExemplarError(f"{name}: {error.message}", error.hint) from error
    if not mask.any():
        raise ExemplarError(f"{name}: covers no pixel of its picture.", "Draw it again, larger.")
    return Exemplar(name, lesson.label, image.pixels, mask, lesson.drawn.kind, image.content)
