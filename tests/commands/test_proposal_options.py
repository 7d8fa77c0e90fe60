"""Options of proposals on the command line: accepted, recorded, or refused with a way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from searchdet.cli import app
from searchdet.proposals.sam.decoder import PointDecoder

pytestmark = pytest.mark.model

RED, BLUE = (200, 40, 40), (40, 60, 200)
SAM = ["--points-per-side", "8", "--pred-iou-thresh", "0.7", "--stability-score-thresh", "0.8"]


def draw(patches: dict[tuple[int, int], tuple[int, int, int]], size: tuple[int, int]) -> np.ndarray:
    """Squares of 40 pixels at (x, y) on light grey."""
    image = np.full((*size, 3), 235.0)
    for (x, y), colour in patches.items():
        image[y : y + 40, x : x + 40] = colour
    noise = np.random.default_rng(1).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Exemplars and two images; b.png has a red square at the left edge. The working folder."""
    for name, pixels in {
        "positive/red/1.png": draw({(0, 0): RED}, (40, 40)),
        "negative/1.png": draw({(0, 0): BLUE}, (40, 40)),
        "negative/2.png": draw({}, (40, 40)),
        "a.png": draw({(30, 30): RED, (120, 110): BLUE}, (192, 192)),
        "b.png": draw({(0, 60): RED, (120, 110): BLUE}, (192, 192)),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: str) -> Any:
    folders = ["--positive", "positive", "--negative", "negative"]
    return CliRunner().invoke(app, ["detect", *folders, "--json", "--no-save", *words])


def record_of(*words: str) -> dict[str, Any]:
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout.splitlines()[0]))


def boxes(record: dict[str, Any]) -> list[list[float]]:
    return sorted(item["bbox"] for item in record["detections"])


def red_squares(record: dict[str, Any], *corners: tuple[int, int]) -> bool:
    found = boxes(record)
    wanted = sorted([x, y, x + 40, y + 40] for x, y in corners)
    return len(found) == len(wanted) and bool(np.abs(np.subtract(found, wanted)).max() <= 6)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"points_per_side": 32, "crop_layers": 0, "prompting": "guided", "tile": 0}),
        ([], {"drop_border": False, "drop_rectangles": None, "max_containment": 1.0, "smooth": 0}),
        (["--tile", "128", "--tile-overlap", "0.3"], {"tile": 128, "tile_overlap": 0.3, "views": 5}),
        (["--drop-border", "--border-width", "3"], {"drop_border": True, "border_width": 3}),
        (
            ["--drop-rectangles", "0.95", "--max-containment", "0.8", "--smooth", "2"],
            {"drop_rectangles": 0.95, "max_containment": 0.8, "smooth": 2},
        ),
        (
            ["--min-area", "1", "--max-area", "40", "--scored-masks", "9"],
            {"min_area": 1.0, "max_area": 40.0, "scored_masks": 9},
        ),
    ],
)
def test_options_reach_the_record_with_regions(
    world: Path, words: list[str], expected: dict[str, Any]
) -> None:
    record = record_of("a.png", "--proposals", "regions", *words)
    options = record["proposer"]["options"] | record["proposals"]
    assert {key: options[key] for key in expected} == expected
    assert record["proposer"]["name"] == "regions"
    assert set(record["proposals"]["removed"]) >= {"area", "duplicate", "limit"}


FILTERS = {
    "border": ["--drop-border"],
    "rectangle": ["--drop-rectangles", "0.9"],
    "contained": ["--max-containment", "0.9"],
    "area": ["--max-area", "3"],
    "limit": ["--scored-masks", "1"],
}


@pytest.mark.parametrize(
    ("proposals", "name"),
    [("regions", name) for name in ("border", "rectangle", "contained", "area")]
    + [("sam", name) for name in ("border", "rectangle", "area", "limit")],
)
def test_each_filter_says_what_it_removed(
    world: Path, tiny_sam: Path, monkeypatch: pytest.MonkeyPatch, proposals: str, name: str
) -> None:
    monkeypatch.delenv("SEARCHDET_SCORED_MASKS")  # no other comes for one that is removed
    words = ["b.png", "--proposals", proposals]
    sam = ["--sam-checkpoint", str(tiny_sam), *SAM, "--points-per-side", "6"]
    words += sam if proposals == "sam" else []
    plain, found = (record_of(*words, *more)["proposals"] for more in ([], FILTERS[name]))
    assert found["removed"][name] > plain["removed"].get(name, 0)
    assert found["count"] < plain["count"]


def test_an_object_at_the_edge_is_found_unless_the_border_is_dropped(
    world: Path, tiny_sam: Path
) -> None:
    words = ["b.png", "--sam-checkpoint", str(tiny_sam), *SAM]
    assert red_squares(record_of(*words), (0, 60))
    dropped = record_of(*words, "--drop-border")
    assert (dropped["status"], dropped["detections"]) == ("empty", [])
    assert dropped["proposals"]["removed"]["border"] >= 1


def test_guided_asks_fewer_points_and_finds_the_same(world: Path, tiny_sam: Path) -> None:
    words = ["a.png", "--sam-checkpoint", str(tiny_sam), *SAM]
    everything, default, few, more = (
        record_of(*words, *extra)
        for extra in (
            [],
            ["--prompting", "guided"],
            ["--prompting", "guided", "--guided-share", "0.125"],
            ["--prompting", "guided", "--guided-share", "0.5"],
        )
    )
    assert everything["proposals"]["points_asked"] == 64
    assert 4 <= few["proposals"]["points_asked"] <= 8
    assert few["proposals"]["points_asked"] < more["proposals"]["points_asked"] <= 32
    assert 4 <= default["proposals"]["points_asked"] < 64
    for record in (everything, default, few, more):
        assert red_squares(record, (30, 30))


def test_crops_and_tiles_are_asked_too_and_counted(world: Path, tiny_sam: Path) -> None:
    words = ["a.png", "--sam-checkpoint", str(tiny_sam), *SAM, "--points-per-side", "4"]
    crops = record_of(*words, "--crop-layers", "1")
    assert crops["proposals"]["points_asked"] == 5 * 16
    assert crops["proposer"]["options"]["crop_layers"] == 1
    fewer = record_of(*words, "--crop-layers", "2", "--crop-points-downscale", "2")
    assert fewer["proposals"]["points_asked"] == 16 + 4 * 4 + 16 * 1
    assert fewer["proposer"]["options"]["crop_points_downscale"] == 2
    tiles = record_of(*words, "--tile", "120")
    assert tiles["proposals"]["views"] == 5
    assert tiles["proposals"]["points_asked"] == 5 * 16
    assert tiles["proposals"]["memory_retries"] == 0
    assert "tile_edge" in tiles["proposals"]["removed"]
    for record in (crops, tiles):
        assert red_squares(record, (30, 30))


REFUSED = [
    (["--proposals", "regions", "--crop-layers", "1"], "--crop-layers"),
    (["--prompting", "clever"], "auto, everything, guided"),
    (["--guided-share", "0"], "--guided-share"),
    (["--guided-share", "1.5"], "--guided-share"),
    (["--points-per-side", "0"], "1 and 256"),
    (["--points-per-side", "many"], "--points-per-side"),
    (["--crop-layers", "4"], "0 and 3"),
    (["--crop-layers", "-1"], "0 and 3"),
    (["--crop-layers", "1", "--crop-points-downscale", "0"], "1 and 16"),
    (
        ["--points-per-side", "8", "--crop-layers", "2", "--crop-points-downscale", "3"],
        "leaves no point in layer 2 of the crops, of 8 points a side",
    ),
    (["--tile", "32"], "at least 64"),
    (["--tile", "-64"], "at least 64"),
    (["--tile", "128", "--tile-overlap", "0.9"], "0.75"),
    (["--tile-overlap", "-0.1"], "--tile-overlap"),
    (["--border-width", "0"], "--border-width"),
    (["--drop-rectangles", "0.2"], "0.2; it must lie between 0.5 and 1"),
    (["--drop-rectangles", "95"], "between 0.5 and 1"),
    (["--max-containment", "0"], "--max-containment"),
    (["--max-containment", "1.1"], "--max-containment"),
    (["--smooth", "9"], "0 and 8"),
    (["--min-area", "50", "--max-area", "10"], "--min-area must be smaller"),
    (["--max-area", "120"], "120; it must lie between 0 and 100 percent"),
    (["--max-masks", "0"], "--max-masks"),
    (["--scored-masks", "0"], "--scored-masks"),
    (["--class-overlap", "worst"], "--class-overlap"),
    (["--second-look", "-1"], "--second-look"),
    (["--pred-iou-thresh", "1.2"], "--pred-iou-thresh"),
    (["--stability-score-thresh", "nan"], "--stability-score-thresh"),
]


@pytest.mark.parametrize(("words", "says"), REFUSED, ids=lambda value: " ".join(value))
def test_what_makes_no_sense_is_refused_with_a_reason(world: Path, words: list[str], says: str) -> None:
    result = call("a.png", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "internal" not in result.stderr


def test_options_come_from_the_environment_and_flags_win(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHDET_TILE", "128")
    monkeypatch.setenv("SEARCHDET_DROP_BORDER", "1")
    words = ["a.png", "--proposals", "regions"]
    found = record_of(*words)["proposer"]["options"]
    assert (found["tile"], found["drop_border"]) == (128, True)
    assert record_of(*words, "--tile", "0")["proposer"]["options"]["tile"] == 0


def test_a_lack_of_memory_is_recorded_and_the_next_image_goes_on(
    world: Path, tiny_sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from searchdet.proposals.sam import network

    real, left = PointDecoder.decode, [1]

    def decode(decoder: PointDecoder, side: Any, points: torch.Tensor) -> Any:
        if left:
            left.pop()
            raise torch.OutOfMemoryError("no memory")
        return real(decoder, side, points)

    monkeypatch.setattr(PointDecoder, "decode", decode)
    monkeypatch.setattr(network, "GPU_BATCH", network.CPU_BATCH)  # the least: no half of it is tried
    result = call("a.png", "b.png", "--sam-checkpoint", str(tiny_sam), *SAM)
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert result.exit_code == 3
    assert (first["status"], first["error"]["code"]) == ("failed", "oom")
    assert "smaller model" in first["error"]["message"]
    assert "a.png: FAILED (oom)" in result.stderr
    assert second["status"] == "ok"


def test_retries_for_memory_are_in_the_record(
    world: Path, tiny_sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from searchdet.proposals.sam import network

    real = PointDecoder.decode

    def decode(decoder: PointDecoder, side: Any, points: torch.Tensor) -> Any:
        if len(points) > 16:
            raise torch.OutOfMemoryError("no memory")
        return real(decoder, side, points)

    monkeypatch.setattr(PointDecoder, "decode", decode)
    monkeypatch.setattr(network, "CPU_BATCH", 64)
    monkeypatch.setattr(network, "GPU_BATCH", 64)
    record = record_of("a.png", "--sam-checkpoint", str(tiny_sam), *SAM)
    assert record["proposals"]["memory_retries"] == 2
    assert red_squares(record, (30, 30))
