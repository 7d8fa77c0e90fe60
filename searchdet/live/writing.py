"""The records of a session, in its folder, as `detect` writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..config import Settings
from ..decision import Judge
from ..images import LoadedImage
from ..output import Output
from ..records import ImageInfo, ImageRecord
from ..storage import kinds
from ..storage.values import JsonObject
from ..version import versions
from .regions import read_as_described
from .settings import LiveSettings


def write(
    out: Path, judge: Judge, records: Iterable[tuple[ImageInfo, ImageRecord]], given: LiveSettings
) -> None:
    """Write records with pictures where images can be read, and without where none lies; then
    ``run.json`` and datasets. Raises UsageError for an image that is no longer as it was described,
    ImageError for one that cannot be read, and OutputError."""
    target = given.output or Output(out, cache=given.settings.cache)
    target.preview(given.shown)
    counts: Counter[str] = Counter()
    for info, record in records:
        counts[record.status] += 1
        image = _image(info, given.paths, given.settings)
        target.save(record, image, given.paths.get(info.name))
    done: JsonObject = {"counts": dict(counts), "known": 0, "seconds": {}}
    said = {**judge.run_json(), **judge.exemplars_json()}
    target.finish({"schema": kinds.RUN_SCHEMA, "versions": versions(), **said, **done})


def _image(info: ImageInfo, paths: Mapping[str, Path], settings: Settings) -> LoadedImage | None:
    path = paths.get(info.name)
    return None if path is None else read_as_described(path, info, settings)
