"""Many images: discovery, names, one record each, dataset files. Failures are recorded, not fatal."""

from __future__ import annotations

import glob
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files
from .detector import Detector
from .errors import EmbeddingError, ImageError, OutputError, ResourceError, UsageError
from .exemplars import Exemplar
from .exports import coco
from .images import SUFFIXES, LoadedImage, read_image
from .records import ImageRecord, failed, read_json
from .render import encode_jpeg, outlined, overlay

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Query:
    """One image to search: its file, and its name in records (relative, with ``/``)."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """A record and how long its image took, in seconds."""

    record: ImageRecord
    seconds: float


def discover(inputs: list[str], root: Path | None = None, recursive: bool = False) -> list[Query]:
    """Images named by files, folders and quoted globs, in natural order within each.

    Names are relative to ``root``; without it to a folder that was given, else to the working folder,
    else to the file's own folder. Raises UsageError where nothing is found or two names collide.
    """
    queries: list[Query] = []
    for text in inputs:
        queries += _expand(text, root, recursive)
    seen: dict[str, Path] = {}
    unique = []
    for query in queries:
        key = files.collision_key(query.name)
        path = query.path.resolve()
        if key not in seen:
            seen[key] = path
            unique.append(query)
        elif seen[key] != path:
            raise UsageError(
                f"{query.path} and {seen[key]} would both be recorded as {query.name}.",
                "Pass --root with a folder that holds both.",
            )
    return unique


def _expand(text: str, root: Path | None, recursive: bool) -> list[Query]:
    path = Path(text)
    if path.is_dir():
        found = sorted(_images_in(path, recursive), key=_natural)
        if not found:
            deeper = "" if recursive else " (add --recursive for folders inside it)"
            raise UsageError(f"{path}: no image in this folder{deeper}.")
        return [Query(item, _name(item, root or path)) for item in found]
    if path.is_file():
        return [Query(path, _name(path, root))]
    if glob.has_magic(text):
        matches = [Path(item) for item in glob.glob(text, recursive=True)]
        found = sorted((item for item in matches if item.is_file()), key=_natural)
        if found:
            return [Query(item, _name(item, root)) for item in found]
        raise UsageError(f"{text}: no file matches.")
    raise UsageError(f"{text}: no such file or folder.", "Name images, a folder or a quoted glob.")


def _images_in(folder: Path, recursive: bool) -> Iterator[Path]:
    for base, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and recursive)
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(base) / name


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.as_posix())
    return [(1, int(p), p) if p.isdecimal() else (0, 0, p) for p in parts]


def _name(path: Path, root: Path | None) -> str:
    """Relative name of a file: below ``root``, else below the working folder, else its bare name."""
    absolute = Path(os.path.abspath(path))
    base = Path(os.path.abspath(root)) if root is not None else Path.cwd()
    if absolute.is_relative_to(base):
        return absolute.relative_to(base).as_posix()
    if root is not None:
        raise UsageError(f"{path}: lies outside --root {root}.")
    return absolute.name


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
        files.write_json(path, record.to_json())

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


def read_records(folder: Path) -> list[dict[str, Any]]:
    """All records of an output folder, in natural order; what is no record is left out with a WARNING.
    Raises UsageError where there is no such folder."""
    if not (folder / "records").is_dir():
        raise UsageError(f"{folder}: has no folder `records`.", "Name an output folder of `detect`.")
    found = sorted((folder / "records").rglob("*.json"), key=_natural)
    return [record for record in map(_read_record, found) if record is not None]


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except (ValueError, OSError) as error:
        log.warning("%s is left out: %s", path, error)
        return None


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
