"""An output folder: where each result lies, how it is written, and how its records are read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import exports
from ..config import names_of
from ..config.address import Place, is_address
from ..config.pictures import KINDS
from ..errors import OutputError, UsageError
from ..images import LoadedImage, Query
from ..images.inputs import natural_text
from ..records import ImageRecord, read_record
from ..storage import files, kinds, places
from ..storage.values import JsonObject
from . import recordmemory
from .pictures import Maps, drawn
from .render import THUMBNAIL_QUALITY, Picture, encode_jpeg, thumbnail

log = logging.getLogger(__name__)


DRAWN = re.compile(r"(\d{3,}-)?[a-z0-9._-]+\.(png|jpg)")
"""Names of the files in an image's folder of masks, crops or heat maps."""
_MAX_NAME = 255
"""Bytes of a file name on common file systems."""


def pictures(text: str) -> tuple[str, ...]:
    """``overlay,crops`` as names of what to draw; ``none`` is none. Raises UsageError for another."""
    chosen = names_of(text)
    for name in chosen:
        if name not in KINDS:
            raise UsageError(f"--save {name!r} is unknown; choose {', '.join(KINDS)} or none.")
    return chosen


@dataclass(frozen=True, slots=True)
class Output:
    """An output folder, here or in a store: ``records/``, ``thumbnails/``, ``exemplars/``, a folder for
    each of ``save``, dataset files in ``formats``, ``run.json``, and ``sources/`` with the path of each
    image.

    overwrite: search images again whose record is there, and replace records of other images.
    cache: the folder that remembers what dataset files need of records; None reads all in each run.
    there: the files that a store had when the run began, so that it is not asked for others.
    """

    folder: Place
    save_pictures: tuple[str, ...] = ("overlay",)
    overwrite: bool = False
    formats: tuple[str, ...] = ("coco",)
    cache: Path | None = None
    there: frozenset[str] | None = None

    @property
    def wants_heat(self) -> bool:
        return "heatmap" in self.save_pictures

    @property
    def wants_maps(self) -> bool:
        return self.wants_heat or self.wants_anomaly

    @property
    def wants_anomaly(self) -> bool:
        return "anomaly" in self.save_pictures

    def check(self, queries: list[Query]) -> None:
        """Fail early: the folder must be writable and must not be read as input. Removes what a killed
        process left."""
        places.probe(self.folder)
        if isinstance(self.folder, Path):
            files.sweep(self.folder)
        for query in queries:
            if places.lies_in(query.path, self.folder):
                raise UsageError(f"{query.path}: lies in the output folder {self.folder}.")
        exports.check_names(self.formats, (query.name for query in queries))

    def listed(self) -> Output:
        """The same, with what a store holds now, so that resuming asks it for nothing else. Raises
        RemoteError."""
        if isinstance(self.folder, Path):
            return self
        return replace(self, there=frozenset(name for name, _ in places.found(self.folder, "")))

    def path(self, kind: str, name: str, suffix: str) -> Place:
        """The file of an image: its mirrored name below ``kind``. A name that would get too long with
        the suffix ends in a digest."""
        whole = self.folder / kind / f"{name}{suffix}"
        if len(os.fsencode(whole.name)) <= _MAX_NAME:
            return whole
        digest = hashlib.sha256(os.fsencode(whole.name)).hexdigest()[:16]
        cut = os.fsencode(whole.name)[: _MAX_NAME - len(suffix) - 17].decode("utf-8", "ignore")
        return whole.with_name(f"{cut}-{digest}{suffix}")

    def known(self, name: str, sha256: str, settings: str) -> ImageRecord | None:
        """The record of an image if it is whole, of that content and those settings, and its pictures
        are there; else None. What is no record is made again. Masks, crops and heat maps always are."""
        path = self.path("records", name, ".json")
        if self.overwrite or not self._may_hold(path):
            return None
        try:
            record = read_record(path)
        except (ValueError, OSError) as error:
            log.warning("The record of %s cannot be read and is made again (%s).", name, error)
            return None
        if record is None or record.failed or record.image != name:
            return None
        if (record.sha256, record.settings_sha256) != (sha256, settings):
            return None
        drawn_kinds = [KINDS[kind] for kind in self.save_pictures]
        if any(kind.many for kind in drawn_kinds):
            return None
        shown = [("thumbnails", ".jpg"), *((kind.folder, kind.suffix) for kind in drawn_kinds)]
        there = all(self._holds(self.path(kind, name, suffix)) for kind, suffix in shown)
        return record if there else None

    def holds_done(self, name: str) -> bool:
        """Whether there is a record of an image that did not fail."""
        try:
            record = read_record(self.path("records", name, ".json"), rejected=False)
        except (ValueError, OSError):
            return False
        return record is not None and not record.failed

    def _may_hold(self, path: Place) -> bool:
        """Whether a file can be there, without asking: not if a store had none when the run began."""
        if self.there is None or isinstance(path, Path) or isinstance(self.folder, Path):
            return True
        return path.relative_to(self.folder) in self.there

    def _holds(self, path: Place) -> bool:
        return self._may_hold(path) if self.there is not None else places.is_file(path)

    def save(
        self,
        record: ImageRecord,
        image: LoadedImage | None,
        source: Place | None = None,
        maps: Maps | None = None,
    ) -> None:
        """Write one record, last of all, and with an image its pictures; older pictures of it go.

        source: the image's file; maps: that are drawn too. Raises OutputError.
        """
        name = record.image
        path = self.path("records", name, ".json")
        self._require_same_source(record, source)
        if self._may_hold(path) and self._is_there(path):
            self._remove_pictures(name)
        if image is not None:
            small = encode_jpeg(thumbnail(image.pixels), THUMBNAIL_QUALITY)
            self._write(self.path("thumbnails", name, ".jpg"), small)
            for place, data in drawn(self.save_pictures, image.pixels, record, maps):
                self._write(self.path(place.folder, f"{name}{place.part}", place.suffix), data)
        if source is not None:
            self._note_source(name, source)
        self._write(path, record.to_bytes())

    def _is_there(self, path: Place) -> bool:
        try:
            return places.is_file(path)
        except OSError as error:
            raise OutputError(f"{path}: the store does not answer ({error.strerror}).") from error

    def _write(self, path: Place, data: bytes) -> None:
        """A link in the folder must not lead what is written out of it."""
        if places.leads_out(path, self.folder):
            raise OutputError(f"{path}: a link leads out of {self.folder}.", "Remove it.")
        places.write(path, data)

    def _remove_pictures(self, name: str) -> None:
        """What was drawn for an older record, so that nothing shows what is no longer so."""
        places.remove(self.path("thumbnails", name, ".jpg"))
        for kind in KINDS.values():
            if not kind.many:
                places.remove(self.path(kind.folder, name, kind.suffix))
                continue
            for path in places.inside(self.folder / kind.folder / name):
                if DRAWN.fullmatch(path.name):
                    places.remove(path)

    def _require_same_source(self, record: ImageRecord, source: Place | None) -> None:
        """An image may change, but two images of one name must not replace each other unseen."""
        path = self.path("records", record.image, ".json")
        if self.overwrite or not (self._may_hold(path) and self._is_there(path)):
            return
        known = self.source(record.image)
        if source is not None and known == places.same(source):
            return
        try:
            old = read_record(path, rejected=False)
        except (ValueError, OSError):
            return  # damaged, and said so in ``known``
        if old is None or (record.sha256 and old.sha256 == record.sha256):
            return
        if not old.sha256 and source is not None and _bare(known) == _bare(places.same(source)):
            return  # a failed one, by an address that was signed otherwise
        if known is not None or (old.sha256 and record.sha256):
            raise OutputError(
                f"{path}: already holds another image named {record.image}.",
                "Pass --root to keep both apart, or --overwrite to replace it.",
            )

    def source(self, name: str) -> str | None:
        """Where an image was when its record was made; None where that was not noted."""
        try:
            value = json.loads(places.read(self.path("sources", name, ".json")))
            return str(value["path"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _note_source(self, name: str, source: Place) -> None:
        noted, path = self.path("sources", name, ".json"), places.same(source)
        if not self._may_hold(noted) or self.source(name) != path:
            self._write(noted, files.json_bytes({"path": path}))

    def clear_records(self) -> None:
        """Make room for the records of another search: the old ones go, with their pictures and noted
        sources. Raises OutputError where there are some and ``overwrite`` was not asked for."""
        found = [
            self.folder / "records" / name for name, _ in places.found(self.folder / "records", ".json")
        ]
        if found and not self.overwrite:
            raise OutputError(
                f"{self.folder}: holds records already.",
                "Name another folder with -o, or pass --overwrite to replace them.",
            )
        for path in found:
            name = self._image_of(path)
            self._remove_pictures(name)
            places.remove(self.path("sources", name, ".json"))
            places.remove(path)

    def _image_of(self, path: Place) -> str:
        """The image of a record file: as the record says if it lies where that image's does, else as
        the file is called."""
        with contextlib.suppress(ValueError, OSError):
            record = read_record(path, rejected=False)
            if record is not None and self.path("records", record.image, ".json") == path:
                return record.image
        return places.relative(path, self.folder / "records").removesuffix(".json")

    def preview(self, shown: Sequence[Picture]) -> None:
        """Show the exemplars: ``exemplars/<name>.jpg``, written only where it is not there already."""
        for item in shown:
            path = self.path("exemplars", item.name, ".jpg")
            if not _is(path, item.jpeg):
                self._write(path, item.jpeg)

    def finish(self, run: JsonObject) -> None:
        """Write ``run.json``, and rebuild the dataset files from all records of the folder; again where
        another process added records meanwhile, so that the last to finish leaves them all.

        ``run.json`` comes first: a record that cannot be exported must not hide how the run went.
        """
        places.write(self.folder / kinds.RUN_FILE, files.json_bytes(run))
        if not self.formats or not places.is_folder(self.folder / "records"):
            return
        listed = None
        while listed != (listed := recordmemory.listing(self.folder)):
            with (
                contextlib.closing(recordmemory.records(self.folder, self.cache, listed)) as found,
                places.staged(self.folder) as target,
            ):
                exports.write(target, found, exports.Options(self.formats))


def _bare(source: str | None) -> str | None:
    """A noted source without what tells the queries of an address apart."""
    return source.partition("#")[0] if source is not None and is_address(source) else source


def _is(path: Place, data: bytes) -> bool:
    try:
        return places.read(path) == data
    except OSError:
        return False


def read_records(folder: Place, rejected: bool = True) -> Iterator[ImageRecord]:
    """The records of an output folder, one by one in natural order; what is no record is left out with
    a WARNING. rejected: as for ``read_record``. Raises UsageError where there is no such folder, or for
    a record of another version or a damaged one."""
    inner = folder / "records"
    if not places.is_folder(inner):
        raise UsageError(f"{folder}: has no folder `records`.", "Name an output folder of `detect`.")
    listed = sorted(places.found(inner, ".json"), key=lambda item: natural_text(item[0]))
    for name, data in places.read_each(inner, listed):
        record = recordmemory.record_of(inner / name, data, rejected)
        if record is not None:
            yield record
