"""Many images: one record each. Failures are recorded, not fatal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Tally:
    """How a run went: images by status, and seconds by image. No record stays in memory."""

    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Count one more."""
        status = result.record.status
        self.counts[status] = self.counts.get(status, 0) + 1
        self.seconds[result.record.image] = round(result.seconds, 3)


def run(detector: Detector, queries: Iterable[Query], output: Output | None) -> Iterator[Result]:
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
