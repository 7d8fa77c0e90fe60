"""Many images: one record each. Failures are recorded, not fatal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from .detector import Detector
from .discovery import Query
from .errors import EmbeddingError, ImageError, ResourceError
from .images import LoadedImage, read_image
from .output import Output
from .records import ImageRecord, failed


@dataclass(frozen=True, slots=True)
class Result:
    """A record and how long its image took, in seconds."""

    record: ImageRecord
    seconds: float


def run(detector: Detector, queries: list[Query], output: Output | None) -> Iterator[Result]:
    """Detect in each image and save as it goes. An image that fails gives a failed record."""
    for query in queries:
        started = time.monotonic()
        image: LoadedImage | None = None
        try:
            image = read_image(query.path, detector.settings.max_pixels)
            record = detector.detect_loaded(image, query.name)
        except (ImageError, EmbeddingError, ResourceError) as error:
            record = failed(query.name, error, image.sha256 if image else "")
        if output is not None:
            output.save(record, image)
        yield Result(record, time.monotonic() - started)
