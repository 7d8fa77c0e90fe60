"""Many images: one record each. Failures are recorded, not fatal; what is done is not redone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ..backbones import FeatureMap
from ..detector import Detector, require_drawable
from ..errors import EmbeddingError, ImageError, ResourceError, SearchdetError, memory_as_error
from ..images import LoadedImage, Query, decode, digest, read_bytes
from ..output import Output
from ..records import ImageRecord, failed
from ..regions import Regions
from ..storage.stages import READING, WRITING, Seconds, gathered, stage, together
from ..storage.values import JsonObject
from .summary import Summary

UNREACHABLE = "unreachable"
AHEAD = 1
"""Images that are read while another one is worked on."""


@dataclass(frozen=True, slots=True)
class Result:
    """The record of one image, how long the image took in seconds, whether it was there already, and
    how long each stage of the work took, as far as it was done."""

    record: ImageRecord
    seconds: float
    known: bool = False
    stages: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """How a run went: images by status, seconds by image and by stage of the work, and what was found.
    No record stays in memory."""

    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    known: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    summary: Summary = field(default_factory=Summary)

    def add(self, result: Result) -> None:
        """Count one more."""
        status = result.record.status
        self.counts[status] = self.counts.get(status, 0) + 1
        self.known += result.known
        if not result.known:
            self.seconds[result.record.image] = round(result.seconds, 3)
        self.stages = together(self.stages, result.stages)
        self.summary.add(result.record)

    def to_json(self) -> JsonObject:
        """What ``run.json`` says of it, as JSON values."""
        return {
            "counts": self.counts,
            "known": self.known,
            "seconds": self.seconds,
            "stages": {name: round(value, 3) for name, value in self.stages.items()},
            "statistics": self.summary.to_json(),
        }


@dataclass(frozen=True, slots=True)
class _Described:
    """What was seen of an image, and how long it took in seconds, of each stage too. map: where it is
    wanted and new."""

    regions: Regions
    map: FeatureMap | None
    seconds: float
    stages: Seconds


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An image that is read: its pixels, or the record that is there already, or why it failed.
    described: where the reader has looked at it too. reading: seconds."""

    query: Query
    sha256: str = ""
    image: LoadedImage | None = None
    described: _Described | None = None
    known: ImageRecord | None = None
    error: SearchdetError | None = None
    reading: float = 0.0


def run(detector: Detector, queries: Iterable[Query], output: Output | None) -> Iterator[Result]:
    """Detect in each image, in order, and save as it goes; the next image is read meanwhile, and
    described too where proposals need no network of their own.

    An image that fails gives a failed record. One whose record is in the output folder with the same
    content and settings is not searched again. Raises OutputError.
    """
    for prepared in _ahead(detector, queries, output):
        yield _finish(detector, prepared, output)


def one(detector: Detector, query: Query, output: Output | None) -> Result:
    """``run`` for a single image."""
    return _finish(detector, _prepare(detector, query, output), output)


def fail(query: Query, error: SearchdetError, sha256: str, output: Output | None) -> Result:
    """Record an image as failed; what is known of it stays where a store merely did not give it now.
    Raises OutputError."""
    record = failed(query.name, error, sha256)
    stays = error.code == UNREACHABLE and output is not None and output.holds_done(query.name)
    if output is not None and not stays:
        output.save(record, None, query.path)
    return Result(record, 0.0)


def ready(detector: Detector, output: Output | None) -> None:
    """Show the exemplars in the output. Raises UsageError where it is to show what the detector does
    not know."""
    require_drawable(detector.bank, output)
    if output is not None:
        output.preview(detector.gathered.shown)


def _ahead(detector: Detector, queries: Iterable[Query], output: Output | None) -> Iterator[_Prepared]:
    waiting: deque[Future[_Prepared]] = deque()
    pool = ThreadPoolExecutor(1, "searchdet-reader")
    try:
        for query in queries:
            waiting.append(pool.submit(_read_ahead, detector, query, output))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # who stops does not wait for an image that nobody will judge
        pool.shutdown(wait=False, cancel_futures=True)


def _prepare(detector: Detector, query: Query, output: Output | None) -> _Prepared:
    sha256, started = "", time.monotonic()
    try:
        with memory_as_error(query.path):
            data = read_bytes(query.path)
            sha256 = digest(data)
            if output is not None:
                known = output.known(query.name, sha256, detector.judge.fingerprint)
                if known is not None:
                    return _Prepared(query, sha256, known=known)
            settings = detector.settings
            image = decode(query.path, data, settings.max_pixels, settings.reading.bounds)
            return _Prepared(query, sha256, image, reading=time.monotonic() - started)
    except (ImageError, ResourceError) as error:
        return _Prepared(query, sha256, error=error)


def _read_ahead(detector: Detector, query: Query, output: Output | None) -> _Prepared:
    """``_prepare``, and regions where these are of the embedded proposer: they then take a core that
    judging leaves idle. Two networks at once would wait for each other."""
    prepared = _prepare(detector, query, output)
    if prepared.image is None or detector.regions.describer.proposer.compute is not None:
        return prepared
    try:
        with memory_as_error(query.path):
            return replace(prepared, described=_describe(detector, prepared.image, query.name, output))
    except (ImageError, EmbeddingError, ResourceError) as error:
        return replace(prepared, image=None, error=error)


def _describe(detector: Detector, image: LoadedImage, name: str, output: Output | None) -> _Described:
    started, maps = time.monotonic(), list[FeatureMap]()
    seen = maps.append if output is not None and output.wants_maps else None
    with gathered() as stages:
        regions = detector.describe(image, name, seen)
    return _Described(regions, maps[0] if maps else None, time.monotonic() - started, stages)


def _finish(detector: Detector, prepared: _Prepared, output: Output | None) -> Result:
    query, image, started = prepared.query, prepared.image, time.monotonic()
    if prepared.known is not None:
        return Result(prepared.known, 0.0, known=True)
    if prepared.error is not None or image is None:
        error = prepared.error or ImageError("decode", f"{query.path}: was not read.")
        return fail(query, error, prepared.sha256, output)
    before = 0.0 if prepared.described is None else prepared.described.seconds
    try:
        with memory_as_error(query.path):
            seen = prepared.described or _describe(detector, image, query.name, output)
            with gathered() as stages:
                record = detector.judged(image, query.name, seen.regions)
                with stage(WRITING):
                    _write(detector, query, image, (record, seen), output)
    except (ImageError, EmbeddingError, ResourceError) as error:
        return fail(query, error, image.sha256, output)
    spent = together({READING: prepared.reading}, seen.stages, stages)
    return Result(record, before + time.monotonic() - started, stages=spent)


def _write(
    detector: Detector,
    query: Query,
    image: LoadedImage,
    found: tuple[ImageRecord, _Described],
    output: Output | None,
) -> None:
    """Save a record of what was seen, with the pictures that are wanted. Raises OutputError."""
    if output is not None:
        record, seen = found
        maps = detector.maps(image.pixels, output, seen.map) if output.wants_maps else None
        output.save(record, image, query.path, maps)
