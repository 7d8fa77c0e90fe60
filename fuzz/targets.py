"""What the damaged files are given to: the readers, and all that works on what they let through."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import references as ref
import reports
import seeds
import typer
from memories import MEMORIES, bank, entries, judge, picture
from PIL import Image
from seeds import SAM, Case

from searchdet import exports, report
from searchdet.annotations.coco import Truth, read_truth
from searchdet.backbones.network import load_network
from searchdet.bank import file as bankfile
from searchdet.bank.audit import audit
from searchdet.bank.build import settle
from searchdet.bank.edit import facts
from searchdet.bank.taught import Taught, teach
from searchdet.bank.verdicts import judged_records, read_verdicts, records_folder
from searchdet.calibration import thresholds_of
from searchdet.cli import app
from searchdet.commands.settings import file as settingsfile
from searchdet.config import ExemplarOptions, Limits, Settings
from searchdet.doctor.canary import spread_of_proposer
from searchdet.errors import SearchdetError
from searchdet.evaluation.scorecard import scorecard
from searchdet.exemplars import Exemplar, find_coco, find_positives, load
from searchdet.images import Scan, discover
from searchdet.images.png import header
from searchdet.images.read import read_image
from searchdet.images.tifftags import read_tags
from searchdet.index import file as index
from searchdet.index import search as searching
from searchdet.models import verify as weightfiles
from searchdet.output.folder import Output, read_records
from searchdet.proposals import weights_of
from searchdet.proposals.sam.weights import load_sam
from searchdet.records.record import read_record
from searchdet.weights.devices import Compute

FP32 = Compute("cpu", "fp32")
Step = Callable[[], object]


def outcome(target: str, case: Case, folder: Path) -> str:
    """``accepted``, or the expected error that a case ends in. Anything else is raised: a bug."""
    try:
        TARGETS[target](case, folder)
    except SearchdetError as error:
        error.one_line().encode("utf-8", "backslashreplace")
        return f"{type(error).__name__} ({error.code})"
    except Documented as error:
        return f"{error}"
    return "accepted"


class Documented(Exception):
    """An error outside the tree that a docstring announces."""


def _all(*steps: Step) -> None:
    """Go all steps; then raise the first expected error there was."""
    first: SearchdetError | None = None
    for step in steps:
        try:
            step()
        except SearchdetError as error:
            first = first or error
    if first is not None:
        raise first


def _require(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def _put(case: Case, folder: Path, name: str = "") -> Path:
    path = folder / (name or case.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(case.data)
    return path


def images(case: Case, folder: Path) -> None:
    found = read_image(_put(case, folder))
    _require(found.pixels.dtype == np.uint8 and found.pixels.shape[2:] == (3,), "pixels")
    _require(found.alpha is None or found.alpha.shape == found.pixels.shape[:2], "alpha")
    _require(found.frames >= 1 and 1 <= found.orientation <= 8, "facts")


def tiffs(case: Case, folder: Path) -> None:
    tags, head = read_tags(case.data), header(case.data)
    _require(tags is None or (1 <= tags.orientation <= 8 and tags.pages >= 1 and tags.bits), "tags")
    _require(head is None or head.declared is None or head.declared[1] > 0, "head")
    _all(lambda: images(case, folder), lambda: read_image(_put(case, folder), given=(0.0, 4095.0)))


def checkpoints(case: Case, folder: Path) -> None:
    name = case.name.partition("--")[0]
    path = _put(case, folder)
    _all(lambda: weightfiles.judge(path, FP32), lambda: _network(name, path))


def _network(name: str, path: Path) -> None:
    if name == SAM:
        weights = weights_of(SAM)
        assert weights is not None
        spread_of_proposer(weights, load_sam(path, FP32).get(), FP32)
    else:
        load_network(ref.small_spec(name), path, FP32, 64).feature_map(picture())


def banks(case: Case, folder: Path) -> None:
    made = bankfile.load(_put(case, folder))
    json.dumps(facts(made), allow_nan=False).encode()
    settle(made, ExemplarOptions()).bank.prototypes()
    for findings in (audit(made), thresholds_of(made)):
        json.dumps([item.to_json() for item in findings], allow_nan=False)


FORMATS = tuple(exports.FORMATS)
LOOSE = Limits(min_score=0.1, min_margin=-1.0, class_margin=0.01, class_min_score=(("bolt", 0.2),))


def records(case: Case, folder: Path) -> None:
    out = folder / "out"
    path = _put(case, out, "records/a.json")
    try:
        value = read_record(path)
    except ValueError as error:
        for remaining in ("records", "report"):
            _records_left_out(out, remaining)
        raise Documented("ValueError (no record)") from error
    _require(value is not None, "a file is a record or an error")
    read_record(path, rejected=False)
    Output(out).known("a", "0" * 64, "")
    truth = Truth(seeds.truth(("deep/a.png", "b.jpg", "c.png"), seeds.shapes()))
    _all(
        lambda: exports.write(out, read_records(out, False), exports.Options(FORMATS, polygons=True)),
        lambda: exports.write(out, read_records(out), exports.Options(FORMATS, LOOSE, yolo_parts=True)),
        lambda: report.write(out),
        lambda: scorecard(truth, list(read_records(out))),
    )


def _records_left_out(out: Path, what: str) -> None:
    if what == "records":
        _require(list(read_records(out)) == [], "what is no record is left out")
        return
    try:
        report.write(out)
    except SearchdetError:
        return
    _require(False, "a report of nothing")


def verdicts(case: Case, folder: Path) -> None:
    out = folder / "out"
    reports.write(out, seeds.judged(), picture=False)
    path = _put(case, out, "verdicts.json")
    found = read_verdicts(path)
    _require(len({item.name for item in found}) == len(found), "each candidate once")
    for item in judged_records(found, records_folder(path, None)):
        _require(len(item.verdicts) == len(item.candidates) > 0, "a candidate of each verdict")
        _require(
            all(v.candidate == c.id for v, c in zip(item.verdicts, item.candidates, strict=True)),
            "its own",
        )
    known = bank()
    _require(known.space is not None, "a space")
    try:
        teach(known, Taught(path), Settings(cache=folder / "cache"))
    except SearchdetError:  # the records are of another space, and nothing is remembered
        return
    _require(False, "exemplars of nothing")


def cache(case: Case, folder: Path) -> None:
    remember, memory = MEMORIES[case.name], folder / "cache"
    remember(memory)
    (path,) = entries(memory, case.name)
    path.write_bytes(case.data)
    remember(memory)
    if path.read_bytes() != case.data:
        raise Documented("made again")


def indexes(case: Case, folder: Path) -> None:
    path = folder / "index"
    seeds.write_index(path)
    [rows] = path.glob("rows-*")
    _put(case, path if case.name == "index.json" else rows)
    found = index.load(path)
    chief = judge()
    regions = [lambda item=item: chief.record(item.image, found.regions(item)) for item in found.images]
    _all(lambda: [record.to_bytes() for record in searching.search(found, chief, 5)], *regions)


def masks(case: Case, folder: Path) -> None:
    place = folder / "pos"
    place.mkdir()
    Image.fromarray(picture()).save(place / "1.png")
    _put(case, place, f"1.mask{Path(case.name).suffix}")
    found = find_positives(place)
    _all(lambda: _masks(load(found)), lambda: _masks(load(found, mask_index=1)))


def labelme(case: Case, folder: Path) -> None:
    place = folder / "pos"
    place.mkdir()
    Image.fromarray(picture()).save(place / "1.png")
    _put(case, place, "1.json")
    _masks(load(find_positives(place)))


def coco(case: Case, folder: Path) -> None:
    path = _put(case, folder, "truth.json")
    Image.new("RGB", reports.SIZE[::-1]).save(folder / "1.png")
    classes = ("bolt", "nut")
    record = reports.record("1.png", classes, reports.run(classes), 0)
    _all(
        lambda: _masks(load(find_coco(path))),
        lambda: json.dumps(scorecard(read_truth(path), [record]).to_json()),
        lambda: scorecard(read_truth(path), [record]).lines(),
    )


def _masks(found: list[Exemplar]) -> None:
    for item in found:
        _require(item.mask.shape == item.pixels.shape[:2] and item.mask.any(), "a mask of its image")


def config(case: Case, folder: Path) -> None:
    path = _put(case, folder)
    found = settingsfile.load([path], typer.main.get_command(app))
    for values in found.values.values():
        _require(all(setting.origin for setting in values.values()), "origin")


def lists(case: Case, folder: Path) -> None:
    place, before = folder / "in", Path.cwd()
    for name in ("1.png", "deep/2.png", "run[1]/3.png", "größe 4.png", "a"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    source = _put(case, folder)
    os.chdir(place)
    try:
        found = discover([f"@{source}"], Scan(null=case.name.startswith("null")))
    finally:
        os.chdir(before)
    _require(found, "an image or an error")
    _require(len({query.name for query in found}) == len(found), "each name once")
    for query in found:
        _require("\0" not in query.name and query.name, "a name")


TARGETS: dict[str, Callable[[Case, Path], None]] = {
    "images": images,
    "tiffs": tiffs,
    "checkpoints": checkpoints,
    "banks": banks,
    "records": records,
    "verdicts": verdicts,
    "cache": cache,
    "indexes": indexes,
    "masks": masks,
    "labelme": labelme,
    "coco": coco,
    "config": config,
    "lists": lists,
}
