"""``searchdet quick``: one folder with examples and images; and -q, which tells of what fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from worlds import call, tree_hash

from searchdet.cli import app


def quick(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["quick", *words])
    assert result.exit_code == code, result.output
    return result


def records(out: Path) -> dict[str, dict[str, object]]:
    found = [json.loads(path.read_text()) for path in sorted((out / "records").rglob("*.json"))]
    return {str(item["image"]): item for item in found}


def test_quick_finds_what_detect_finds_in_the_images_beside_the_examples(world: Path) -> None:
    before = tree_hash(world / "in")
    quick("in", "-o", "quick", "--format", "none")
    assert tree_hash(world / "in") == before
    call("in/images", "-r", "--root", "in", "-o", "detect", "--format", "none")
    assert set(records(world / "quick")) == {"images/a.png", "images/deep/a.png", "images/none.png"}
    assert records(world / "quick") == records(world / "detect")


def test_named_images_are_searched_instead(world: Path) -> None:
    shutil.copy(world / "in/images/a.png", world / "elsewhere.png")
    quick("in", "elsewhere.png", "-o", "out")
    assert set(records(world / "out")) == {"elsewhere.png"}


def test_the_folder_of_results_may_lie_inside_and_negatives_may_lack(world: Path) -> None:
    shutil.rmtree(world / "in/negative")
    quick("in", "-o", "in/out")
    again = quick("in", "-o", "in/out")
    assert again.stderr.count("done before") == 3
    run = json.loads((world / "in/out/run.json").read_text())
    assert run["exemplars"]["negative"] == []


def test_a_folder_without_examples_is_refused_with_what_to_do(world: Path) -> None:
    result = quick("in/images", "-o", "out", code=2)
    assert "in/images: has no folder positive/" in result.stderr
    assert "others into negative/" in result.stderr
    assert not (world / "out").exists()


def test_quiet_tells_of_failures_and_warnings_alone(world: Path) -> None:
    (world / "in/images/broken.png").write_bytes(b"no picture")
    loud = call("in/images", "-o", "loud", "-v")
    told = call("in/images", "-o", "out", "-q")
    assert loud.exit_code == told.exit_code == 3
    assert told.stdout == ""
    rest = [line for line in told.stderr.splitlines() if not line.startswith("WARNING: ")]
    assert len(rest) == 1
    assert rest[0].startswith("broken.png: FAILED")
    assert "images: 1 detection on" in loud.stderr
    assert "INFO: Seconds by stage: reading" in loud.stderr


@pytest.mark.parametrize("words", [(), ("--timeout", "100")])
def test_run_json_has_stages_and_statistics(world: Path, words: tuple[str, ...]) -> None:
    call("in/images", "-r", "-o", "out", "--no-cache", *words)
    run = json.loads((world / "out/run.json").read_text())
    wanted = {"reading", "proposals", "embedding", "scoring", "suppression", "writing"}
    assert wanted == set(run["stages"])
    assert all(value >= 0 for value in run["stages"].values())
    assert sum(run["stages"].values()) <= 2.2 * sum(run["seconds"].values()) + 1
    found = list(records(world / "out").values())
    areas = [item["area"] for record in found for item in record["detections"]]
    pixels = sum(record["width"] * record["height"] for record in found)
    told = run["statistics"]
    assert (told["images"], told["detections"]) == (3, len(areas))
    assert told["area_share"] == pytest.approx(sum(areas) / pixels, abs=1e-6)
    assert told["classes"]["red"]["images"] == 2
    described = sum(record["proposals"]["count"] for record in found)
    removed = sum(sum(record["proposals"]["removed"].values()) for record in found)
    assert told["proposals"]["described"] == described
    assert told["proposals"]["found"] == described + removed
