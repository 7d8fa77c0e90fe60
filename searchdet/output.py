"""An output folder: where each result lies, how it is written, and how its records are read again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import exports, files
from .discovery import Query, natural
from .errors import OutputError, UsageError
from .images import LoadedImage
from .records import ImageRecord, read_json
from .render import THUMBNAIL_QUALITY, Picture, encode_jpeg, overlay, thumbnail

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Output:
    """An output folder: ``records/``, ``overlays/``, ``thumbnails/``, ``exemplars/``, ``run.json`` and
    dataset files in ``formats``."""

    folder: Path
    overlays: bool = True
    overwrite: bool = False
    formats: tuple[str, ...] = ("coco",)

    def check(self, queries: list[Query]) -> None:
        """Fail early: the folder must be writable and must not be read as input."""
        files.probe_folder(self.folder)
        inside = self.folder.resolve()
        for query in queries:
            if query.path.resolve().is_relative_to(inside):
                raise UsageError(f"{query.path}: lies in the output folder {self.folder}.")

    def record_path(self, name: str) -> Path:
        return self.folder / "records" / f"{name}.json"

    def save(self, record: ImageRecord, image: LoadedImage | None) -> None:
        """Write one record, and with an image its thumbnail and overlay. Raises OutputError."""
        path = self.record_path(record.image)
        self._require_same_image(path, record)
        if image is not None:
            small = encode_jpeg(thumbnail(image.pixels), THUMBNAIL_QUALITY)
            files.write_bytes(self.folder / "thumbnails" / f"{record.image}.jpg", small)
        if self.overlays and image is not None:
            drawn = overlay(image.pixels, record)
            files.write_bytes(self.folder / "overlays" / f"{record.image}.jpg", encode_jpeg(drawn))
        files.write_bytes(path, record.to_bytes())

    def _require_same_image(self, path: Path, record: ImageRecord) -> None:
        try:
            old = read_json(path)
        except (ValueError, OSError) as error:
            raise OutputError(f"{path}: not a record of ours ({error}).", "Use another -o.") from error
        if old is None or self.overwrite or not (old["sha256"] and record.sha256):
            return
        if old["sha256"] != record.sha256:
            raise OutputError(
                f"{path}: already holds another image named {record.image}.",
                "Pass --root to keep both apart, or --overwrite to replace it.",
            )

    def preview(self, shown: Sequence[Picture]) -> None:
        """Show the exemplars: ``exemplars/<name>.jpg``, written only where it is not there already."""
        for item in shown:
            path = self.folder / "exemplars" / f"{item.name}.jpg"
            if not _holds(path, item.jpeg):
                files.write_bytes(path, item.jpeg)

    def finish(self, run: dict[str, Any]) -> None:
        """Rebuild the dataset files from all records of the folder, and write ``run.json``."""
        if self.formats:
            found = read_records(self.folder, rejected=False)
            exports.write(self.folder, found, exports.Options(self.formats))
        files.write_json(self.folder / "run.json", run)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def read_records(folder: Path, rejected: bool = True) -> Iterator[dict[str, Any]]:
    """The records of an output folder, one by one in natural order; what is no record is left out with
    a WARNING. rejected: as for ``read_json``. Raises UsageError where there is no such folder."""
    if not (folder / "records").is_dir():
        raise UsageError(f"{folder}: has no folder `records`.", "Name an output folder of `detect`.")
    for path in sorted((folder / "records").rglob("*.json"), key=natural):
        try:
            record = read_json(path, rejected)
        except (ValueError, OSError) as error:
            log.warning("%s is left out: %s", path, error)
            continue
        if record is not None:
            yield record
