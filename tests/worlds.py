"""What the tests of the command line share: drawn pictures, and whether inputs changed."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner, Result


def tree_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def rows_of(index: Path) -> Path:
    """The folder of the rows of an index."""
    return index / str(json.loads((index / "index.json").read_text())["rows"])


def draw(colours: list[tuple[int, int, int]], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.full((120, 60 * len(colours) + 20, 3), 235, np.float64)
    for i, colour in enumerate(colours):
        image[30:90, 20 + 60 * i : 60 + 60 * i] = colour
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


RED, BLUE = (200, 40, 40), (40, 60, 200)


def make_world(root: Path) -> None:
    """in/: images and exemplars."""
    for name, pixels in {
        "positive/red/1.png": draw([RED], 1)[30:90, 20:60],
        "positive/red/2.png": draw([RED], 2)[32:88, 22:58],
        "negative/1.png": draw([BLUE], 3)[30:90, 20:60],
        "negative/2.png": draw([BLUE], 4)[:25, :15],
        "images/a.png": draw([RED, BLUE], 5),
        "images/deep/a.png": draw([BLUE, RED], 6),
        "images/none.png": draw([BLUE, BLUE], 7),
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def make_template() -> None:
    """in/, and what the commands make of it, in the working folder."""
    from searchdet.cli import app

    make_world(Path("in"))
    examples = ["--positive", "in/positive", "--negative", "in/negative"]
    for words in (
        ["detect", "in/images", "-r", *examples, "--no-save"],
        ["detect", "in/images", *examples, "-o", "out"],
        ["index", "in/images", "-o", "idx"],
        ["bank", "build", *examples, "-o", "bank.safetensors"],
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.stderr


def call(*words: str, positive: str = "in/positive", negative: str | None = "in/negative") -> Result:
    """``searchdet detect`` with the exemplars of the world; no input may change."""
    more = ["--positive", positive] + (["--negative", negative] if negative else [])
    before = tree_hash(Path("in"))
    from searchdet.cli import app

    result = CliRunner().invoke(app, ["detect", *more, *words])
    assert tree_hash(Path("in")) == before, "an input was changed"
    return result


def hang(world: Path, body: str) -> list[str]:
    """A program that is searchdet with a proposer that misbehaves on a.png (it alone is 140 wide)."""
    examples = ["--positive", "in/positive", "--negative", "in/negative"]
    script = world / "bad.py"
    script.write_text(
        "import os, sys, time\n"
        "from searchdet.proposals.regions import RegionProposer\n"
        "real = RegionProposer.propose\n"
        "def propose(self, image, promise=None):\n"
        f"    if image.shape[1] == 140 and image[50, 50, 0] > 150: {body}\n"
        "    return real(self, image, promise)\n"
        "RegionProposer.propose = propose\n"
        "from searchdet.cli import main\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    return [sys.executable, str(script), "detect", "in/images", "-r", *examples, "-o", "out"]
