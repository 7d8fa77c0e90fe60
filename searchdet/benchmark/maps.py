"""Maps of what is unusual, which anomaly sets are judged by: written while an image is searched, in a
file of its own beside the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import OutputError
from ..masks import rle
from ..normality.regions import top_percent
from ..output import Output
from ..records import ImageRecord
from ..storage import places, tensors
from .watched import Seen, Watched

FloatArray = npt.NDArray[np.float32]
FOLDER, SUFFIX = "maps", ".safetensors"
LOWEST = -1.0
"""The score of a pixel that no region covers, and of an image without one: the least of a cosine."""
_STEPS = 2048
"""Values between two powers of two."""


@dataclass(frozen=True, slots=True)
class Scored:
    """How abnormal an image is. pixels: (H, W) float32; image: the score of the whole."""

    pixels: FloatArray
    image: float


class Maps:
    """The maps of one task, by the detector that makes them: cells (h, w) in deviations."""

    def __init__(self, detector: Watched, output: Output) -> None:
        self._detector, self._output = detector, output

    def note(self, seen: Seen) -> None:
        """Write the map of an image."""
        detector, image = self._detector, seen.image
        if detector.unusual is None:
            raise ValueError("nothing says what is normal")
        feature_map = seen.feature_map or detector.models.backbone.feature_map(image.pixels)
        field = detector.unusual.map_of(feature_map)
        of = {"settings": detector.judge.fingerprint, "image": image.sha256}
        places.write(self._output.path(FOLDER, seen.name, SUFFIX), tensors.pack({"map": field}, of))

    def require(self, names: Sequence[str]) -> None:
        """Remove the records that have no map of these settings: these images are searched again."""
        for name in names:
            path = self._output.path("records", name, ".json")
            if places.is_file(path) and self._read(name) is None:
                places.remove(path)

    def scored(self, record: ImageRecord) -> Scored:
        """The map of an image, drawn smoothly (bilinear) at its size; the score of the image is the
        mean of the most unusual hundredth of its cells. Raises OutputError where there is none."""
        found = self._read(record.image)
        if found is None or found[1] != record.sha256:
            raise OutputError(
                f"{self._output.path(FOLDER, record.image, SUFFIX)}: is not the map of its image.",
                "Run again with --overwrite.",
            )
        size = (record.width, record.height)
        return Scored(stepped(cv2.resize(found[0], size)), top_percent(found[0]))

    def _read(self, name: str) -> tuple[FloatArray, str] | None:
        """The map of an image, and the image's digest; None where there is none of these settings."""
        try:
            arrays, of = tensors.read(self._output.path(FOLDER, name, SUFFIX))
            field, settings, image = arrays["map"], of.text("settings"), of.text("image")
        except (OSError, ValueError, KeyError):
            return None
        return (field, image) if settings == self._detector.judge.fingerprint else None


def stepped(values: npt.NDArray[np.generic]) -> FloatArray:
    """Values to eleven binary digits, so that those of a whole set are few enough to be kept."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float32))
    return np.asarray(np.ldexp(np.rint(mantissa * _STEPS) / _STEPS, exponent), np.float32)


def of_regions(record: ImageRecord) -> Scored:
    """The map of a search with exemplars: of each pixel the score of the best region that covers it,
    LOWEST where none does; of the image the highest."""
    made = np.full((record.height, record.width), LOWEST, np.float32)
    scored = [item for item in record.candidates if item.score is not None]
    for item in sorted(scored, key=lambda one: one.score or 0.0):
        mask, (y, x) = rle.window(item.segmentation)
        made[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = item.score
    return Scored(made, float(made.max()))
