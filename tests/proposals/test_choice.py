"""What ``--proposals auto`` took of several weight files: said once, and held by run.json."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from places import QUICK
from typer.testing import CliRunner

from searchdet.cli import app
from searchdet.config import ProposalOptions
from searchdet.proposals import PROPOSERS, choose, weights_of
from searchdet.proposals.choice import choice_of
from searchdet.regions.models import choose_proposals
from searchdet.weights import models_folder

VIT_B, VIT_H = "sam_vit_b_01ec64.pth", "sam_vit_h_4b8939.pth"
SAM2 = "sam2.1_hiera_tiny.pt"


def put(*names: str) -> None:
    for name in names:
        (models_folder() / name).write_bytes(b"x")


def said(options: ProposalOptions, caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="searchdet"):
        choose_proposals(options)
    return [(item.levelno, item.getMessage()) for item in caplog.records]


def test_of_several_files_it_says_which_it_took_and_which_not(caplog: pytest.LogCaptureFixture) -> None:
    put(VIT_B, SAM2)
    [(level, line)] = said(ProposalOptions(), caplog)
    assert level == logging.WARNING
    assert line == (
        f"proposals: sam from {models_folder() / VIT_B} (also there: {SAM2}; name another with "
        "--proposals or --sam-checkpoint)."
    )


def test_several_files_of_one_family_are_several(caplog: pytest.LogCaptureFixture) -> None:
    put(VIT_B, VIT_H)
    taken = choose(ProposalOptions()).checkpoint
    assert taken is not None
    other = VIT_H if taken.name == VIT_B else VIT_B
    [(_, line)] = said(ProposalOptions(), caplog)
    assert f"{taken} (also there: {other};" in line


def test_nothing_is_said_where_there_is_one_file_or_a_name(caplog: pytest.LogCaptureFixture) -> None:
    put(VIT_B)
    assert said(ProposalOptions(), caplog) == []
    put(SAM2)
    assert said(ProposalOptions("sam2"), caplog) == []
    assert said(ProposalOptions("regions"), caplog) == []


def test_that_the_content_of_a_file_decided_is_told(
    tiny_mobile_sam: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(VIT_B, SAM2)
    [(level, line)] = said(ProposalOptions(checkpoint=tiny_mobile_sam), caplog)
    assert level == logging.INFO
    assert line.startswith(f"proposals: mobile_sam from {tiny_mobile_sam} (its content says so;")
    assert said(ProposalOptions("mobile_sam", tiny_mobile_sam), caplog) == []


def test_the_order_is_that_of_the_proposers() -> None:
    """As docs/options.md has it."""
    files = {name: own.published[0].filename for name in PROPOSERS if (own := weights_of(name))}
    put(*files.values())
    for name, file in files.items():
        chosen = choose(ProposalOptions())
        assert (chosen.name, chosen.checkpoint) == (name, models_folder() / file)
        choice = choice_of(ProposalOptions(), chosen)
        (models_folder() / file).unlink()
        left = [path.name for path in models_folder().iterdir()]
        assert sorted(path.name for path in choice.others) == sorted(left) if choice else not left


@pytest.mark.model
def test_run_json_holds_what_was_taken(world: Path, tiny_sam: Path) -> None:
    shutil.copy(tiny_sam, models_folder() / VIT_B)
    put(SAM2)
    image = next(path for path in sorted(Path("in/images").iterdir()) if path.is_file())
    words = ["detect", str(image), "--positive", "in/positive", "-o", "out", "--backbone", QUICK]
    words += ["--allow-unverified-weights", "--points-per-side", "2"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert f"(also there: {SAM2};" in done.stderr
    held = json.loads(Path("out/run.json").read_text())["auto_proposals"]
    assert held == {"name": "sam", "file": VIT_B, "by": "order", "also_there": [SAM2]}
