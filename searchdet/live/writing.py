"""The records of a session, in its folder, as `detect` writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..batch import Summary
from ..config import Settings
from ..decision import Judge
from ..errors import ImageError
from ..images import LoadedImage, digest, read_bytes
from ..output import Output
from ..records import ImageInfo, ImageRecord, failed
from ..regions import note_guide
from ..storage import kinds
from ..storage.values import JsonObject
from ..version import versions
from .regions import read_as_described
from .settings import LiveSettings
from .state import Failure


def write(
    out: Path,
    judge: Judge,
    records: Iterable[tuple[ImageInfo, ImageRecord]],
    failures: Sequence[Failure],
    given: LiveSettings,
) -> None:
    """Write records with pictures where images can be read, and without where none lies; those of
    images that could not be described; then ``run.json`` and datasets. Raises UsageError for an image
    that is no longer as it was described, ImageError for one that cannot be read, and OutputError."""
    if judge.bank.normality is not None:
        note_guide(given.settings.cache, judge.fingerprint, judge.bank.normality.digest)
    target = given.output or Output(out, cache=given.settings.cache)
    target.preview(given.shown)
    counts, summary = Counter[str](), Summary()
    for info, record in records:
        counts[record.status] += 1
        summary.add(record)
        image = _image(info, given.paths, given.settings)
        target.save(record, image, given.paths.get(info.name))
    for item in failures:
        path = given.paths.get(item.name)
        counts["failed"] += 1
        target.save(_failed(item, path), None, path)
    done: JsonObject = {"counts": dict(counts), "known": 0, "seconds": {}, "stages": {}}
    done = {**done, "statistics": summary.to_json()}
    said = {**judge.run_json(), **judge.exemplars_json()}
    target.finish({"schema": kinds.RUN_SCHEMA, "versions": versions(), **said, **done})


def _failed(item: Failure, path: Path | None) -> ImageRecord:
    """The record of an image that could not be described; of a file that can be read, its content."""
    try:
        sha256 = "" if path is None else digest(read_bytes(path))
    except ImageError:  # which is why it failed
        sha256 = ""
    return failed(item.name, ImageError(item.code, item.message), sha256)


def _image(info: ImageInfo, paths: Mapping[str, Path], settings: Settings) -> LoadedImage | None:
    path = paths.get(info.name)
    return None if path is None else read_as_described(path, info, settings)
