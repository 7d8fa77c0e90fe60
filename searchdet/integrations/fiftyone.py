"""A model of FiftyOne's remote zoo: what ``integrations/fiftyone/`` of the repository hands out.

model = foz.load_zoo_model("searchdet", positive="bolts", negative="not-bolts")
dataset.apply_model(model, label_field="bolts", confidence_thresh=0.3)
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..detector import Detector
from ..errors import UsageError
from ..images import from_array
from ..masks import rle
from ..storage import files
from .learning import Learning
from .predictor import Found, Predictor

NAME = "searchdet"


def download_model(model_name: str, model_path: str) -> None:
    """Nothing has to be fetched: a file says so, for the zoo asks whether one is there."""
    files.write_bytes(Path(model_path), b"The weights are where `searchdet models list` says.\n")


def load_model(
    model_name: str,
    model_path: str,
    positive: str | None = None,
    negative: str | None = None,
    bank: str | None = None,
    **options: Any,
) -> Any:
    """The model. options: as for ``Detector.from_folders``. Raises UsageError, ExemplarError and
    CheckpointError."""
    if model_name != NAME:
        raise UsageError(f"there is no model {model_name!r}; there is {NAME!r}.")
    made = Detector.from_folders(positive, negative, bank=bank, **options)
    return model_of(Learning.of(made))


def model_of(predictor: Predictor) -> Any:
    """A model that FiftyOne applies, over a predictor."""
    models = importlib.import_module("fiftyone.core.models")
    labels = importlib.import_module("fiftyone.core.labels")

    class SearchdetModel(models.Model):  # type: ignore[misc,name-defined]
        """Finds the objects of RGB arrays."""

        media_type, ragged_batches, transforms, preprocess = "image", True, None, False

        def predict(self, arg: npt.NDArray[np.uint8]) -> Any:
            """The detections of an (H, W, 3) uint8 RGB array."""
            image = from_array(arg, "sample")
            size = (image.height, image.width)
            found = predictor.predict(image, "sample")
            return labels.Detections(
                detections=[labels.Detection(**detection(item, size)) for item in found]
            )

    return SearchdetModel()


def detection(found: Found, size: tuple[int, int]) -> dict[str, Any]:
    """A detection's fields: its box as shares of the image of ``size`` (H, W), its mask in the box."""
    x0, y0, x1, y1 = found.box
    mask, _ = rle.window(found.mask)
    width, height = size[1], size[0]
    return {
        "label": found.label,
        "bounding_box": [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height],
        "mask": mask,
        "confidence": found.score,
    }
