"""An output folder: where each result lies, how it is written, and how its records are read again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files
from .discovery import Query, natural
from .errors import OutputError, UsageError
from .exemplars import Exemplar
from .exports import coco
from .images import LoadedImage
from .records import ImageRecord, read_json
from .render import encode_jpeg, outlined, overlay

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Output:
    """An output folder: ``records/``, ``overlays/``, ``coco.json`` and ``run.json``."""

    folder: Path
    overlays: bool = True
    overwrite: bool = False

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
        """Write one record, and its overlay where there is a picture. Raises OutputError."""
        path = self.record_path(record.image)
        self._require_same_image(path, record)
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

    def preview(self, found: Sequence[Exemplar]) -> None:
        """Show exemplars whose mask was looked for: ``exemplars/<name>.jpg``."""
        for item in found:
            path = self.folder / "exemplars" / f"{item.name}.jpg"
            files.write_bytes(path, encode_jpeg(outlined(item.pixels, item.mask)))

    def finish(self, run: dict[str, Any]) -> None:
        """Rebuild the dataset file from all records of the folder, and write ``run.json``."""
        files.write_json(self.folder / "coco.json", coco.dataset(read_records(self.folder)))
        files.write_json(self.folder / "run.json", run)


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
