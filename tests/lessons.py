"""A predictor that learns, over a picture with three patches, and lessons of these."""

from __future__ import annotations

import numpy as np
from fakes import GivenProposer, GridBackbone

from searchdet.annotations.shapes import Drawn
from searchdet.config import ScoringOptions, Settings
from searchdet.images import LoadedImage, from_array
from searchdet.integrations.learning import Learning
from searchdet.integrations.predictor import Lesson
from searchdet.regions import Models

RED, GREEN = (220, 30, 30), (30, 200, 30)
SIZE = (64, 128)
AT = {"red": (8, 8, 40, 40), "green": (56, 8, 88, 40), "red too": (96, 8, 120, 40)}


def picture() -> LoadedImage:
    pixels = np.full((*SIZE, 3), 128, np.uint8)
    for name, (x0, y0, x1, y1) in AT.items():
        pixels[y0:y1, x0:x1] = RED if name.startswith("red") else GREEN
    return from_array(pixels)


def masks() -> np.ndarray:
    found = np.zeros((len(AT), *SIZE), bool)
    for mask, (x0, y0, x1, y1) in zip(found, AT.values(), strict=True):
        mask[y0:y1, x0:x1] = True
    return found


def lesson(name: str, label: str | None, kind: str = "labelstudio") -> Lesson:
    x0, y0, x1, y1 = AT[name]
    return Lesson(name, label, Drawn(SIZE, kind, polygons=((x0, y0, x1, y0, x1, y1, x0, y1),)))


def settings(**scoring: object) -> Settings:
    plain = {"min_score": 0.6, "shape_weight": 0.0, "context_weight": 0.0}
    return Settings(scoring=ScoringOptions(**(plain | scoring)))


def learning(backbone: object = None, **scoring: object) -> Learning:
    models = Models(backbone or GridBackbone(16, 32), GivenProposer(masks()))
    return Learning(models, settings(**scoring))
