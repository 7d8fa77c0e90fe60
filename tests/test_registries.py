"""Each registry is the one place where a proposer or an exporter is added; all else follows from it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pointed
import pytest
import typer
from hqs import save, trained_hq
from typer.testing import CliRunner

from searchdet import exports, proposals
from searchdet.cli import app
from searchdet.config import ProposalOptions
from searchdet.errors import CheckpointError, UsageError
from searchdet.exports.job import Job
from searchdet.exports.labelled import Labelled
from searchdet.models import catalogue
from searchdet.proposals import PROPOSERS, ProposerSpec, choose, load_proposer, weights_of
from searchdet.proposals.types import ByImage, ImageId, Proposals

GRID = ProposerSpec("grid", "gridproposer", "four squares")
FILES = {"sam": "tiny_sam", "sam_hq": "hq_file", "mobile_sam": "tiny_mobile_sam"}
"""For each proposer with weights the fixture that is a file of it."""


@pytest.fixture
def grid(monkeypatch: pytest.MonkeyPatch) -> ProposerSpec:
    """A proposer that one entry adds."""
    monkeypatch.setitem(PROPOSERS, GRID.name, GRID)
    return GRID


def option_help(command: str, flag: str) -> str:
    """The help of an option, as the command has it."""
    found = typer.main.get_command(app).commands[command].params
    return str(next(param.help for param in found if flag in param.opts))


@pytest.fixture(scope="module")
def hq_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(trained_hq(), tmp_path_factory.mktemp("checkpoints") / "hq.pth")


@pytest.fixture(scope="module")
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str | None]:
    """A small file of each proposer with weights."""

    def find(name: str) -> str | None:
        if weights_of(name) is None:
            return None
        if name in FILES:
            return str(request.getfixturevalue(FILES[name]))
        return str(pointed.save(pointed.network(name), tmp_path_factory.mktemp(name)))

    return find


def masks_of(photo: np.ndarray, folder: Path) -> Path:
    """A folder with two masks of an image a.png of the photo's size."""
    masks = np.zeros((2, *photo.shape[:2]), bool)
    masks[0, 5:40, 5:40] = masks[1, 50:90, 20:60] = True
    np.savez(folder / "a.masks.npz", masks=masks, quality=[0.5, 0.7])
    return folder


@pytest.mark.parametrize("name", [*PROPOSERS, GRID.name])
def test_every_proposer_keeps_the_contract(
    name: str,
    grid: ProposerSpec,
    checkpoint: Callable[[str], str | None],
    photo: np.ndarray,
    tmp_path: Path,
) -> None:
    given = {"masks_from": masks_of(photo, tmp_path)} if name == "masks" else {}
    made = load_proposer(name, checkpoint(name), "cpu", "fp32", points_per_side=4, **given)
    assert made.name == name == PROPOSERS[name].name
    weights = weights_of(name)
    assert (made.weights is None) == (weights is None and name != "masks"), "masks are of a file"
    assert (made.compute is None) == (weights is None)
    assert made.reads <= ProposalOptions.__dataclass_fields__.keys()
    one = made.of(ImageId("a.png")) if isinstance(made, ByImage) else made
    found = one.propose(photo)
    assert isinstance(found, Proposals)
    assert found.size == photo.shape[:2]
    assert (np.diff(found.quality) <= 0).all()
    assert "limit" in found.removed, "finish was not called"


@pytest.mark.parametrize("name", [*PROPOSERS, GRID.name])
def test_every_proposer_is_listed_chosen_and_in_the_help(
    name: str, grid: ProposerSpec, tiny_sam: Path, checkpoint: Callable[[str], str | None]
) -> None:
    rows = [row for row in catalogue.entries() if row.model == name]
    weights = weights_of(name)
    files = [""] if weights is None else [item.filename for item in weights.published]
    assert [row.filename for row in rows] == files
    assert {catalogue.kind_of(row) for row in rows} == {"proposals"}
    assert f"{name} ({PROPOSERS[name].words})" in proposals.help_text()
    given = checkpoint(name)
    assert choose(ProposalOptions(name, given)).name == name
    assert given is None or choose(ProposalOptions(checkpoint=given)).name == name
    if weights is None:
        with pytest.raises(UsageError, match="takes no --sam-checkpoint"):
            choose(ProposalOptions(name, str(tiny_sam)))
    else:
        with pytest.raises(CheckpointError, match="needs weights"):
            choose(ProposalOptions(name))


def test_the_help_is_of_the_registries() -> None:
    for command in ("detect", "index"):
        assert option_help(command, "--proposals") == proposals.help_text()
    for command, flag in (("detect", "--format"), ("search", "--format"), ("export", "--to")):
        assert ", ".join(exports.FORMATS) in option_help(command, flag)


def test_a_name_that_is_none_is_refused_with_all_that_are(grid: ProposerSpec) -> None:
    known = ", ".join(["auto", *PROPOSERS])
    with pytest.raises(UsageError, match=rf"'fastsam' is unknown; choose {known}\."):
        choose(ProposalOptions("fastsam"))


def test_a_module_without_a_plan_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROPOSERS, "worlds", ProposerSpec("worlds", "worlds", "no proposer"))
    with pytest.raises(TypeError, match="worlds: PLAN is NoneType"):
        choose(ProposalOptions("worlds"))


def test_one_entry_makes_a_proposer_of_the_command_line(world: Path, grid: ProposerSpec) -> None:
    words = ["--positive", "in/positive", "--proposals", "grid", "-o", "out", "--min-score", "-1"]
    done = CliRunner().invoke(app, ["detect", "in/images/a.png", *words])
    assert done.exit_code == 0, done.stderr
    record = json.loads((world / "out/records/in/images/a.png.json").read_text())
    assert record["proposals"]["count"] == 4
    assert record["proposer"]["name"] == "grid"
    assert record["proposer"]["fallback"] is False
    rows = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)
    assert "grid" in {row["name"] for row in rows}


class Names:
    """``names.txt``: the images, a line each."""

    uses: ClassVar[tuple[str, ...]] = ("--image-root",)
    mirrors: ClassVar[bool] = True

    def __init__(self, job: Job) -> None:
        self._out = job.stream("names.txt")

    def add(self, image: Labelled) -> None:
        self._out.write(f"{image.name}\n")

    def finish(self) -> tuple[str, ...]:
        return ("names.txt",)


def test_one_entry_makes_an_exporter_of_the_command_line(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(exports.FORMATS, "names", Names)
    words = ["--positive", "in/positive", "--proposals", "regions", "-o", "out", "--format", "names"]
    done = CliRunner().invoke(app, ["detect", "in/images/a.png", *words])
    assert done.exit_code == 0, done.stderr
    assert (world / "out/names.txt").read_text() == "in/images/a.png\n"
    for more, code in ((["--image-root", "x"], 0), (["--polygons"], 2)):
        done = CliRunner().invoke(app, ["export", "out", "-o", "new", "--to", "names", *more])
        assert done.exit_code == code, done.stderr
    with pytest.raises(UsageError):
        exports.check_names(["names"], ["a.png", "a.jpg"])
    done = CliRunner().invoke(app, ["export", "out", "--to", "nams"])
    assert "coco, yolo, labelme, labelstudio, voc, csv, names" in done.stderr


def test_every_writer_says_what_acts_on_it() -> None:
    params = typer.main.get_command(app).commands["export"].params
    flags = {flag for param in params for flag in param.opts}
    for name, writer in exports.FORMATS.items():
        assert set(writer.uses) <= flags, name
        assert isinstance(writer.mirrors, bool), name
    assert {flag for writer in exports.FORMATS.values() for flag in writer.uses} == {
        "--images",
        "--polygons",
        "--yolo-parts",
        "--image-root",
        "--ids-from",
        "--yolo-boxes",
        "--csv-bom",
    }


@pytest.mark.process
def test_the_registries_cost_nothing() -> None:
    script = (
        "import sys; from searchdet import exports, proposals; proposals.help_text()\n"
        "assert not {'numpy', 'torch', 'cv2', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
