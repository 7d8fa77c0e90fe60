"""Files made to be read wrongly: each of these once ended a run, hung it or took all memory."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import images_factory as factory
import numpy as np
import pytest
import references as ref
import reports
import torch
from exported import record as exported_record
from exported import save, square
from PIL import Image
from test_cli import call
from test_exemplar_forms import BOX, annotation, dataset, labelme, picture, shape
from typer.testing import CliRunner

from searchdet import bankfile, exports, index, report, tensors
from searchdet.banking import audit_facts
from searchdet.checkpoints import read_state_dict
from searchdet.cli import app
from searchdet.discovery import Scan, discover
from searchdet.errors import CheckpointError, ExemplarError, UsageError
from searchdet.exemplars import find_coco, find_negatives, find_positives, load
from searchdet.hashes import cache_folder
from searchdet.output import Output, read_records
from searchdet.proposals import rle
from searchdet.proposals.sam.weights import SamShape, build, fill_sam
from searchdet.records import read_json
from searchdet.scorecard import scorecard
from searchdet.truth import Truth, read_truth

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
import memories

Weights = dict[str, Any]


def itself() -> Weights:
    made: Weights = {}
    made["model"] = made
    return made


ODD = {
    "a dictionary that holds itself": itself,
    "a view of 400 GB": lambda: {"w": torch.ones(1).expand(10**11)},
    "sparse": lambda: {"w": torch.ones(2, 2).to_sparse()},
    "without values": lambda: {"w": torch.ones(2, device="meta")},
    "complex": lambda: {"w": torch.ones(2, dtype=torch.complex64)},
    "of eight bits": lambda: {"w": torch.ones(2).to(torch.float8_e4m3fn)},
    "too large for float32": lambda: {"w": torch.tensor([1e300], dtype=torch.float64)},
}


@pytest.mark.parametrize("made", ODD.values(), ids=ODD.keys())
def test_weights_that_are_no_plain_numbers(tmp_path: Path, made: Any) -> None:
    path = tmp_path / "w.pth"
    torch.save(made(), path)
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        read_state_dict(path)


@pytest.mark.parametrize("name", ["blocks.0.attn.qkv.bias", "blocks.0.attn.qkv.bias_mask"])
@pytest.mark.parametrize("form", [(1,), (96,), (192, 1, 1)])
def test_vit_tensors_that_do_not_fit_together(tmp_path: Path, name: str, form: tuple[int, ...]) -> None:
    from searchdet.backbones.network import load_network
    from searchdet.devices import Compute

    state = ref.vit_meta(ref.saved(ref.vit_reference()))
    state[name] = torch.zeros(form)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        load_network(ref.small_spec("dinov3_vits16"), tmp_path / "w.pth", Compute("cpu", "fp32"))


TINY = SamShape(32, 16, 16, 2, 2, 2.0, 1, (1,), 16, 16, 2, 32, 3, 2, 16)
POSITIONS, HEIGHTS = "image_encoder.pos_embed", "image_encoder.blocks.0.attn.rel_pos_h"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (POSITIONS, (1,)),
        (POSITIONS, (1, 0, 0, 16)),
        (HEIGHTS, (3,)),
        (HEIGHTS, (3, 5)),
        ("image_encoder.neck.0.weight", (9, 16, 1, 1)),
        ("image_encoder.patch_embed.proj.weight", (16, 3, 0, 0)),
        ("image_encoder.blocks", None),
        ("mask_decoder.iou_prediction_head.layers", None),
    ],
)
def test_shapes_no_sam_has(tmp_path: Path, name: str, form: tuple[int, ...] | None) -> None:
    from searchdet.devices import Compute

    state = {k: v for k, v in build(TINY).state_dict().items() if form or not k.startswith(name)}
    if form:
        state[name] = torch.zeros(form)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        fill_sam(tmp_path / "w.pth", Compute("cpu", "fp32"))


HUGE = rle.encode(np.ones((1, 1), bool))["counts"]
TEXTS = ["", HUGE, "0" * 9, "P", "oooooooooooooo1", "~~", "P" * 12 + "1", "é", "[;620000000000000e_9"]


@pytest.mark.parametrize("text", TEXTS)
def test_run_lengths_of_no_mask(text: str) -> None:
    code = {"size": [90, 120], "counts": text}
    with pytest.raises(ValueError, match=r"run lengths|codec"):
        rle.require(code, (90, 120))
    with pytest.raises(ValueError, match=r"run lengths|codec"):
        rle.runs(code)
    with pytest.raises(ValueError, match=r"run lengths|codec"):
        rle.decode([code], (90, 120))
    truth = ref_truth(code)
    with pytest.raises(UsageError, match="cannot be drawn"):  # pycocotools would run for ever
        scorecard(truth, [judged("1.png")])


def ref_truth(segmentation: Any) -> Truth:
    return Truth(
        {
            "images": [{"id": 7, "file_name": "1.png", "width": 120, "height": 90}],
            "categories": [{"id": 3, "name": "bolt"}],
            "annotations": [annotation(segmentation=segmentation)],
        }
    )


def judged(name: str) -> dict[str, Any]:
    classes = ("bolt",)
    return json.loads(reports.record(name, classes, reports.facts(classes), 1).to_bytes())


FAR = [1e9, 1e300, float("inf"), float("nan"), -1e9]


@pytest.mark.parametrize("value", FAR)
def test_corners_far_away_are_refused_before_they_are_drawn(tmp_path: Path, value: float) -> None:
    picture(tmp_path / "neg" / "1.png")
    for points, kind in (
        ([[0.0, 0.0], [value, 0.0], [5.0, 5.0]], "polygon"),
        ([[9.0, 9.0], [value, 9.0]], "circle"),
        ([[9.0, 9.0], [value, value]], "rectangle"),
    ):
        labelme(tmp_path / "neg" / "1.json", [shape("a", points, kind)])
        try:
            (made,) = load(find_negatives(tmp_path / "neg"))
        except ExemplarError as error:
            assert "1." in error.message
        else:
            assert kind == "rectangle"
            assert made.mask.any()
    ring = [0.0, 0.0, value, 0.0, 5.0, 5.0]
    with pytest.raises(ExemplarError, match="cannot be drawn"):
        load(find_coco(dataset(tmp_path, [annotation(segmentation=[ring])])))
    with pytest.raises(UsageError, match="cannot be drawn"):
        scorecard(ref_truth([ring]), [judged("1.png")])


def test_a_bitmap_that_is_a_bomb(tmp_path: Path) -> None:
    picture(tmp_path / "neg" / "1.png")
    for data in (factory.png(30000, 30000), factory.png(30, 20), b"\x89PNG\r\n\x1a\n" + b"\0" * 40):
        text = base64.b64encode(data).decode()
        labelme(tmp_path / "neg" / "1.json", [shape("a", BOX, "mask", mask=text)])
        with pytest.raises(ExemplarError, match="bitmap"):
            load(find_negatives(tmp_path / "neg"))


BROKEN_TRUTHS: list[dict[str, Any]] = [
    {"images": [3]},
    {"images": [{"id": "x", "file_name": "1.png"}]},
    {"images": [{"id": 1}]},
    {"categories": [{}]},
    {"categories": [{"id": None, "name": "a"}]},
    {"annotations": ["x"]},
    {"annotations": [annotation(bbox=[1, 2, 3])]},
    {"annotations": [annotation(bbox=[1, 2, 3, "4"])]},
    {"annotations": [annotation(bbox=[1, 2, 3, float("nan")])]},
    {"annotations": [annotation(bbox=[1, 2, -3, 4])]},
    {"annotations": [annotation(bbox=[1, 2, 1e30, 4])]},
    {"annotations": [annotation(image_id=[])]},
    {"annotations": [annotation(iscrowd="no")]},
]


@pytest.mark.parametrize("change", BROKEN_TRUTHS, ids=str)
def test_a_truth_of_another_form(tmp_path: Path, change: dict[str, Any]) -> None:
    path = dataset(tmp_path, [annotation()])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UsageError, match="ground truth"):
        read_truth(path)
    with pytest.raises(ExemplarError, match="ground truth"):
        find_coco(path)


def test_a_truth_that_is_too_deep_and_classes_that_are_no_lists(tmp_path: Path) -> None:
    path = dataset(tmp_path, [annotation()])
    parts = tmp_path / "parts.json"
    for value in ({"bolt": 3}, {"bolt": [3]}, {"bolt": "a.png"}):
        parts.write_text(json.dumps(value))
        with pytest.raises(UsageError, match="no list of names"):
            read_truth(path, parts)
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="not JSON"):
        read_truth(path)


def test_an_image_of_a_truth_with_an_impossible_name(tmp_path: Path) -> None:
    path = dataset(tmp_path, [annotation()])
    path.write_text(path.read_text().replace("a.png", "x" * 300))
    with pytest.raises(ExemplarError, match="is not in"):
        find_coco(path)


RECORD = {"schema": "searchdet.record/2"}


@pytest.mark.parametrize("value", [RECORD, RECORD | {"image": 3}, None, float("nan")])
def test_what_is_no_whole_record_is_made_again(
    world: Path, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert call("in/images/a.png", "-o", "out").exit_code == 0
    path = world / "out/records/in/images/a.png.json"
    before = path.read_bytes()
    whole = json.loads(before)
    path.write_text(json.dumps(value if isinstance(value, dict) else whole | {"width": value}))
    with pytest.raises(ValueError, match="record"):
        read_json(path)
    again = call("in/images/a.png", "-o", "out")
    assert again.exit_code == 0, again.stderr
    assert "made again" in again.stderr
    assert path.read_bytes() == before


def test_damaged_records_are_told_by_name(tmp_path: Path) -> None:
    good = judged("a.png")
    for key, value in {"thresholds": {}, "scoring": [], "detections": [{}], "exemplars": None}.items():
        folder = tmp_path / key
        (folder / "records").mkdir(parents=True)
        (folder / "records/a.json").write_text(json.dumps(good | {key: value}))
        with pytest.raises(UsageError, match=r"'a\.png' is damaged"):
            report.write(folder)
    item = json.loads(exported_record("1.png", [("bolt", square(reports.SIZE), 0.8)]).to_bytes())
    for key, value in {"score": "x", "bbox": [1], "quality": None, "segmentation": {}}.items():
        broken = item | {"detections": [item["detections"][0] | {key: value}]}
        with pytest.raises(UsageError, match=r"'1\.png' is damaged"):
            scorecard(ref_truth([[0.0, 0.0, 9.0, 0.0, 9.0, 9.0]]), [broken])


def test_a_record_of_an_impossible_size(tmp_path: Path) -> None:
    made = json.loads(exported_record("a.png", [("nut", square(), 0.8)]).to_bytes())
    size = {"width": 60_000, "height": 60_000}
    made["detections"][0]["segmentation"] = {"size": [60_000, 60_000], "counts": "0" + "P" * 4}
    with pytest.raises(UsageError, match="no image is of"):
        exports.write(tmp_path, [made | size], exports.Options(("coco",)))
    save(tmp_path).mkdir(exist_ok=True)
    (tmp_path / "records").mkdir()
    (tmp_path / "records/a.json").write_text(json.dumps(made | size))
    assert list(read_records(tmp_path)) == []


def test_a_bank_of_an_unknown_backbone_and_names_of_no_file(tmp_path: Path) -> None:
    path = tmp_path / "bank"
    bankfile.save(memories.bank(), path)
    arrays, facts = tensors.read(path)
    facts["space"]["backbone"] = "other"
    path.write_bytes(tensors.pack(arrays, facts))
    with pytest.raises(UsageError, match="no backbone 'other'"):
        audit_facts(bankfile.load(path))
    for change in ({"classes": ["a", "\ud800"]}, {"classes": 3}, {"space": {"dim": "x"}}):
        path.write_bytes(tensors.pack(arrays, facts | change))
        with pytest.raises(ExemplarError, match="--bank"):
            bankfile.load(path)


@pytest.mark.parametrize("kind", list(memories.MEMORIES))
def test_an_entry_of_another_form_is_made_again(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache"
    memories.MEMORIES[kind](folder)
    (path,) = memories.entries(folder, kind)
    sound = path.read_bytes()
    other = b"[" * 100_000 if kind == "sha256" else tensors.pack({"x": np.ones(3)}, {"x": 1})
    path.write_bytes(other)
    with caplog.at_level(logging.WARNING):
        memories.MEMORIES[kind](folder)
    assert path.read_bytes() == sound
    assert kind == "sha256" or "made again" in caplog.text


LINES = [("start", 1), ("start", "0"), ("count", -1), ("count", 2.5), ("facts", []), ("image", {})]


@pytest.mark.parametrize(("key", "value"), LINES)
def test_lines_of_an_index(world: Path, key: str, value: Any) -> None:
    assert CliRunner().invoke(app, ["index", "in/images", "-o", "idx"]).exit_code == 0
    path = world / "idx/images.jsonl"
    first, *rest = path.read_text().splitlines()
    changed = json.dumps(json.loads(first) | {key: value})
    text = "\n".join([changed, *rest]) + "\n"
    path.write_text(text)
    facts = json.loads((world / "idx/index.json").read_text())
    facts["bytes"]["images.jsonl"] = len(text)
    (world / "idx/index.json").write_text(json.dumps(facts))
    with pytest.raises(UsageError, match="is not an index"):
        index.load(world / "idx")


@pytest.mark.parametrize("name", ["vectors", "boxes", "counts", "offsets"])
def test_rotten_rows_of_an_index_are_told_by_image(world: Path, name: str) -> None:
    words = ["--positive", "in/positive", "--negative", "in/negative"]
    assert CliRunner().invoke(app, ["index", "in/images", "-o", "idx"]).exit_code == 0
    path = world / "idx" / name
    path.write_bytes(b"\xff" * path.stat().st_size)
    done = CliRunner().invoke(app, ["search", "idx", *words, "--min-score", "-1"])
    assert done.exit_code == 2, (done.stderr, done.stdout)
    assert "part of the index is damaged" in done.stderr


def test_names_that_no_file_can_have(world: Path) -> None:
    long = "x" * 300
    for words in (
        [long, "--positive", "in/positive"],
        ["in/images", "--positive", long],
        ["in/images", "--positive", "in/positive", "--sam-checkpoint", long],
    ):
        done = CliRunner().invoke(app, ["detect", *words])
        assert done.exit_code == 2, done.stderr
        assert "no file has so long a name" in done.stderr
    (world / "list").write_text(f"in/images/a.png\n{long}\n")
    done = call("@list", "-o", "out")
    assert done.exit_code == 3
    assert "FAILED (missing)" in done.stderr
    (world / "list").write_bytes(b"in/images/a.png\0in/images/none.png")
    done = call("@list", "--no-save")
    assert done.exit_code == 2
    assert "--null" in done.stderr
    assert call("@list", "--null", "--no-save").exit_code == 0
    (world / "s.toml").write_text('positive = "a\\u0000b"')
    done = CliRunner().invoke(app, ["--config", "s.toml", "detect", "in/images"])
    assert done.exit_code == 2, done.stderr


def test_loops_of_links_and_linked_exemplars(world: Path) -> None:
    loop = world / "in/images/loop.png"
    loop.symlink_to(loop)
    assert "loop.png" in [query.name for query in discover([str(loop.parent)], Scan())]
    done = call("in/images", "-o", "out")
    assert done.exit_code == 3, done.stderr
    assert "loop.png: FAILED (missing)" in done.stderr
    loop.unlink()
    elsewhere = world / "elsewhere"
    elsewhere.mkdir()
    (world / "in/positive/red/2.png").rename(elsewhere / "other.png")
    (world / "in/positive/red/2.png").symlink_to(elsewhere / "other.png")
    (world / "in/positive/linked").symlink_to(elsewhere)
    names = [item.name for item in find_positives(world / "in/positive")]
    assert names == ["positive/linked/other.png", "positive/red/1.png", "positive/red/2.png"]


def test_names_that_are_no_utf8_are_printed_as_their_bytes(world: Path) -> None:
    name = os.fsdecode(b"\xff.png")
    (world / "in/positive/red/2.png").rename(world / "in/positive/red" / name)
    words = ["--positive", "in/positive", "--negative", "in/negative", "-o", "b"]
    assert CliRunner().invoke(app, ["bank", "build", *words]).exit_code == 0
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    for command in ("show", "audit"):
        line = [sys.executable, "-m", "searchdet", "bank", command, "b"]
        done = subprocess.run(line, capture_output=True, env=environment, check=True)
        assert b"positive/red/\xff.png" in done.stdout


def test_a_cache_of_files_that_are_none(world: Path) -> None:
    first = call("in/images/a.png", "--json", "--no-save")
    for path in cache_folder().rglob("*.safetensors"):
        path.write_bytes(tensors.pack({"a": np.zeros(1)}, {}))
    second = call("in/images/a.png", "--json", "--no-save")
    assert second.exit_code == 0
    assert second.stdout == first.stdout
    buffer = io.BytesIO()
    Image.new("L", (2, 2)).save(buffer, "PNG")
    assert Output(world).known("x", "", "") is None
