"""docs/from-synetra.md: every flag of the original, and lines that parse; those without weights run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from places import ROOT
from test_docs import check
from typer.testing import CliRunner

from searchdet.cli import app

PAGE = ROOT / "docs" / "from-synetra.md"
DETECT = [
    *("image", "--positive", "-p", "--negative", "-n", "--output", "-o", "--no-save"),
    *("--config", "-c", "--backend", "--confidence", "--max-masks", "--min-area"),
    *("--max-area", "--nested-iou", "--score-margin", "--score-ratio"),
    *("--score-confidence", "--min-pos-score", "--decision-threshold"),
    *("--adaptive-ratio", "--adaptive-diff-floor", "--topk", "--pos-agg"),
    *("--backbone", "--dinov3-backbone", "--layer", "--feat-short-side"),
    *("--dinov3-ckpt", "--pos-as-query-masks", "--no-pos-as-query-masks"),
    *("--sam-checkpoint", "--sam-encoder", "--sam2-checkpoint"),
    *("--sam2-config", "--fastsam-checkpoint", "--vit-pooling", "--loader"),
    *("--repo-dir", "--consensus-k", "--consensus-thr", "--nms-iou"),
    *("--sam-long-side", "--fastsam-imgsz", "--fastsam-conf", "--fastsam-iou"),
    *("--fastsam-retina", "--no-fastsam-retina", "--max-embedding-size"),
    *("--dino-half-precision", "--ban-border-masks"),
    *("--no-ban-border-masks", "--border-width", "--device", "--half"),
    *("--verbose", "-v", "--quiet", "-q", "--defect", "--use-heatmap"),
    *("--use-heatmap-masks", "--no-heatmap-masks"),
]
"""Of detect of the original, as its argument parser has them."""
OTHERS = ["images", "--parallel", "--continue-on-error", "examples", "output", "config"]
"""Of its other commands, beside those that detect has."""
COMMANDS = ["detect", "batch", "quick", "config create", "config validate", "config show", "info"]
RUN = re.compile(
    r"quick|config|doctor|masks-from|--save|box_nms|consensus|1000|--ratio|cross|quantile|rectangles"
    r"| -q| -v|\*"
)
"""What a line that is also run has: other commands, and what is not tested elsewhere as it stands."""
NEEDS = re.compile(r"\.(pth|safetensors)\b")


def table(title: str) -> list[tuple[list[str], str]]:
    """The rows below a heading: what of the original, and the line."""
    part = PAGE.read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ")][1:]
    made = []
    for row in rows:
        first, _, line = (cell.strip() for cell in row.strip("|").split(" | "))
        found = re.fullmatch(r"`(searchdet [^`]+)`", line)
        assert found, row
        made.append((re.findall(r"`([^`]+)`", first), found[1]))
    return made


TITLES = ("Commands", "Flags of detect", "Flags of batch, quick and config", "What had no flag")
LINES = list(dict.fromkeys(line for title in TITLES for _, line in table(title)))


@pytest.mark.parametrize(
    ("title", "wanted"), list(zip(TITLES, (COMMANDS, DETECT, OTHERS), strict=False))
)
def test_everything_of_the_original_has_its_row(title: str, wanted: list[str]) -> None:
    named = [name for names, _ in table(title) for name in names]
    assert sorted(named) == sorted(wanted)


@pytest.mark.parametrize("line", LINES)
def test_lines_are_taken_by_the_command_line(line: str) -> None:
    check(shlex.split(line)[1:])


@pytest.fixture
def place(world: Path) -> Path:
    """What the lines speak of: images, folders of examples, and masks of another tool."""
    shutil.copytree(world / "in/positive", world / "pos")
    shutil.copytree(world / "in/positive/red", world / "pos/blue")
    shutil.copytree(world / "in/negative", world / "neg")
    shutil.copytree(world / "in/images", world / "photos")
    shutil.copytree(world / "in", world / "parts")
    (world / "img.jpg").write_bytes((world / "in/images/a.png").read_bytes())
    (world / "searchdet.toml").write_text("[detect]\nmin-margin = 0.1\n")
    (world / "fastsam/img.masks").mkdir(parents=True)
    for number in range(2):
        mask = np.zeros((120, 140), np.uint8)
        mask[30:90, 20 + 60 * number : 60 + 60 * number] = 255
        cv2.imwrite(str(world / f"fastsam/img.masks/{number}.png"), mask)
    return world


@pytest.mark.model
def test_lines_without_weights_run(place: Path) -> None:
    """In turn, in one folder: what was described for the first is remembered for the next."""
    ran = 0
    for line in LINES:
        if NEEDS.search(line) or not RUN.search(line):
            continue
        words = shlex.split(line)[1:]
        more = ["--overwrite"] if words[0] in ("detect", "quick") else []
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == 0, f"{line}: {done.output}"
        ignored = "cannot act" in done.stderr
        assert not ignored, f"{line}: {done.stderr}"
        ran += 1
    assert ran > 15
    assert (place / "searchdet-out/union/img.jpg.png").is_file()
