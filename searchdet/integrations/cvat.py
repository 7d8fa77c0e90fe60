"""A detection function for CVAT's auto-annotation.

    cvat-cli task auto-annotate 12 --function-module searchdet.integrations.cvat \\
        -p positive=str:bolts -p negative=str:not-bolts --conf-threshold 0.3
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from ..config import settings_from
from ..detector import Detector
from ..errors import UsageError
from ..images import from_pil
from ..regions import load_models
from .cvatshapes import KINDS, MASK, POLYGON, mask_points, points_of
from .learning import Learning
from .predictor import Box, Marks, Predictor


def create(
    positive: str | None = None,
    negative: str | None = None,
    bank: str | None = None,
    shapes: str = MASK,
    **options: Any,
) -> Detection:
    """What ``cvat-cli`` calls with its ``-p NAME=TYPE:VALUE``. shapes: mask, polygon or rectangle, as
    the labels of the task; options: as for ``Detector.from_folders``. Raises UsageError,
    ExemplarError and CheckpointError."""
    if shapes not in KINDS:
        raise UsageError(f"shapes={shapes!r} is none of {', '.join(KINDS)}.")
    sdk = package()
    made = Detector.from_folders(positive, negative, bank=bank, **options)
    return Detection(Learning.of(made), shapes, sdk)


def create_interaction(**options: Any) -> Interaction:
    """A function that finds the object at points or in a box, without exemplars."""
    sdk = package()
    settings = settings_from(options)
    return Interaction(Learning(load_models(settings), settings), sdk)


def package() -> Any:
    """CVAT's part for such functions. Raises UsageError where it is not installed."""
    try:
        return importlib.import_module("cvat_sdk.auto_annotation")
    except ImportError as error:
        raise UsageError("CVAT's SDK is not installed.", "`pip install cvat-sdk` beside it.") from error


class Detection:
    """What CVAT asks for the objects of a frame."""

    def __init__(self, predictor: Predictor, shapes: str, sdk: Any) -> None:
        self._predictor, self._shapes, self._sdk = predictor, shapes, sdk
        labels = [sdk.label_spec(name, n, type=shapes) for n, name in enumerate(predictor.classes)]
        self.spec = sdk.DetectionFunctionSpec(labels=labels)

    def detect(self, context: Any, image: Any) -> Sequence[Any]:
        """The objects of a PIL image, as shapes with their score. Parts of one mask that are polygons
        share a group."""
        name = context.frame_name
        found = self._predictor.predict(from_pil(image, name), name, context.conf_threshold)
        poly = self._shapes == MASK and context.conv_mask_to_poly
        kind = POLYGON if poly else self._shapes
        numbers = {label: n for n, label in enumerate(self._predictor.classes)}
        shapes, group = [], 0
        for item in found:
            parts = points_of(item, kind)
            group += len(parts) > 1
            more = {"score": item.score} | ({"group": group} if len(parts) > 1 else {})
            number = numbers[item.label or ""]
            shapes += [self._sdk.shape(number, type=kind, points=list(one), **more) for one in parts]
        return shapes


class Interaction:
    """What CVAT asks for the object that a person points at."""

    def __init__(self, predictor: Predictor, sdk: Any) -> None:
        self._predictor, self._sdk = predictor, sdk
        self.spec = sdk.InteractionFunctionSpec(
            min_pos_points=0, min_neg_points=0, min_bounding_boxes=0
        )

    def preprocess_image(self, context: Any, image: Any) -> Any:
        return from_pil(image, "frame")

    def detect(self, context: Any, pp_image: Any, prompts: Any) -> list[Any]:
        """The object under the points, else the one in the box, as a mask."""
        boxes: tuple[Box, ...] = ()
        if prompts.bounding_box is not None:
            (x0, y0), (x1, y1) = prompts.bounding_box
            boxes = ((float(x0), float(y0), float(x1), float(y1)),)
        points = tuple((float(x), float(y)) for x, y in prompts.pos_points)
        against = tuple((float(x), float(y)) for x, y in prompts.neg_points)
        found = self._predictor.under(pp_image, "frame", Marks(points, against, boxes))
        shape = self._sdk.InteractionResultShape
        return [shape(type=MASK, points=mask_points(item)) for item in found[-1:]]
