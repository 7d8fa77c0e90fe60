"""Options that cannot act: named once, and without any effect on records and on what is remembered."""

from __future__ import annotations

import json
import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import QUICK
from typer.testing import CliRunner

from searchdet import proposals
from searchdet.cli import app
from searchdet.config import (
    EmbeddingOptions,
    ExemplarOptions,
    ProposalOptions,
    ScoringOptions,
    SuppressionOptions,
)
from searchdet.config.acting import CHOOSING, acting, warn
from searchdet.config.option import declared
from searchdet.detector import Detector
from searchdet.proposals import sam
from searchdet.proposals.given import MaskProposer
from searchdet.proposals.regions import RegionProposer
from searchdet.regions import describe

pytestmark = pytest.mark.model

PARTS = (ProposalOptions, EmbeddingOptions, ScoringOptions, SuppressionOptions)
GIVEN = Path("given.json")
CASES = [
    (ProposalOptions(masks_dataset=GIVEN), ProposalOptions(masks_dataset=GIVEN, masks_from=GIVEN)),
    (ProposalOptions(guided_share=0.5), ProposalOptions(guided_share=0.5, prompting="guided")),
    (
        ProposalOptions(crop_points_downscale=2),
        ProposalOptions(crop_points_downscale=2, crop_layers=1),
    ),
    (ProposalOptions(tile_overlap=0.5), ProposalOptions(tile_overlap=0.5, tile=64)),
    (ProposalOptions(border_width=5), ProposalOptions(border_width=5, drop_border=True)),
    (EmbeddingOptions(topk_share=0.3), EmbeddingOptions("topk", topk_share=0.3)),
    (ScoringOptions(topk=5), ScoringOptions(topk=5, pos_agg="mean_topk")),
    (ScoringOptions(threshold="default", min_score=0.5), ScoringOptions(threshold="default")),
    (ScoringOptions(second_look=5, centring="mean"), ScoringOptions(second_look=5)),
    (SuppressionOptions(nms_iou=0.4), SuppressionOptions("nms", nms_iou=0.4)),
    (SuppressionOptions(max_covered=0.4), SuppressionOptions("nms", max_covered=0.4)),
]


@pytest.mark.parametrize(("idle", "busy"), CASES)
def test_an_option_acts_where_what_it_needs_is_given(idle: Any, busy: Any) -> None:
    kept, found = acting(idle)
    assert [item.flag for item in found]
    name = found[0].flag.removeprefix("--").replace("-", "_")
    assert getattr(kept, name) == getattr(type(idle)(), name)
    assert replace(kept, **{name: getattr(idle, name)}) == idle, "nothing else moves"
    assert acting(busy) == (busy, [])
    assert acting(kept) == (kept, [])


def test_every_need_is_of_an_option_and_is_tried_here() -> None:
    names = [field.name for kind in PARTS for field in fields(kind)]
    assert len(set(names)) == len(names), "so a name says whose option it is"
    tried = {acting(idle)[1][0].flag for idle, _ in CASES}
    assert tried == {item.flags[0] for kind in PARTS for item in declared(kind) if item.option.needs}
    assert not any(item.option.needs for item in declared(ExemplarOptions))


class Watched:
    """Options that note which of their fields are looked at."""

    def __init__(self, options: ProposalOptions) -> None:
        self.options, self.seen = options, set()

    def __getattr__(self, name: str) -> Any:
        self.seen.add(name)
        return getattr(self.options, name)


FILTERING = {"drop_border": True, "drop_rectangles": 0.9, "max_containment": 0.9, "smooth": 1}
PICTURE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)


def test_regions_reads_what_it_says() -> None:
    watched = Watched(ProposalOptions(**FILTERING))
    RegionProposer(watched).propose(PICTURE)
    RegionProposer(watched).propose(PICTURE, np.ones((4, 6), np.float32))
    # a promise is there only with --prompting guided, which is asked above the proposer
    assert watched.seen | {"prompting"} == RegionProposer.reads


def test_sam_reads_what_it_says(tiny_sam: Path) -> None:
    made = proposals.load_proposer("sam", tiny_sam, points_per_side=4)
    watched = Watched(ProposalOptions(points_per_side=4, pred_iou_thresh=0.1, **FILTERING))
    watching = sam.SamProposer(made._loaded, watched, made.compute)
    watching.propose(PICTURE)
    watching.propose(PICTURE, np.ones((4, 6), np.float32))
    # a promise is there only with --prompting guided, which is asked above the proposer
    assert watched.seen | {"prompting"} == sam.READS == made.reads
    every = {field.name for field in fields(ProposalOptions)}
    given = {"masks_from", "masks_dataset"}
    assert every == sam.READS | describe.READS | CHOOSING | given
    assert given < MaskProposer.reads


IGNORED = {
    "--points-per-side": "8",
    "--pred-iou-thresh": "0.5",
    "--stability-score-thresh": "0.5",
    "--guided-share": "0.5",
    "--tile-overlap": "0.5",
    "--border-width": "7",
    "--topk": "2",
    "--nms-iou": "0.2",
    "--max-covered": "0.2",
}
WORDS = [word for pair in IGNORED.items() for word in pair]


def call(*words: str) -> str:
    base = ["--positive", "in/positive", "--negative", "in/negative", "--proposals", "regions"]
    result = CliRunner().invoke(app, ["detect", "in/images/a.png", *base, *words])
    assert result.exit_code == 0, result.stderr
    return result.stderr


def test_what_cannot_act_is_told_once_and_changes_nothing(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = call("-o", "one")
    assert "Not used" not in plain
    monkeypatch.setattr(RegionProposer, "propose", None)
    told = call("-o", "two", *WORDS)
    (line,) = [line for line in told.splitlines() if "Not used" in line]
    assert line.startswith("WARNING: Not used, as they cannot act here: ")
    for flag, value in IGNORED.items():
        assert f"{flag} {value} (" in line
    assert "--points-per-side 8 (`regions` does not read it)" in line
    assert "--tile-overlap 0.5 (needs --tile)" in line
    records = [(world / name / "records/in/images/a.png.json").read_bytes() for name in ("one", "two")]
    assert records[0] == records[1]
    runs = [json.loads((world / name / "run.json").read_text()) for name in ("one", "two")]
    assert "ignored_options" not in runs[0]
    assert sorted(runs[1]["ignored_options"]) == sorted(IGNORED)
    assert "done before" in call("-o", "one", *WORDS), "the same settings"
    more = call("-o", "two", "--timeout", "100", *WORDS)
    assert "done before" in more
    assert json.loads((world / "two/run.json").read_text())["ignored_options"]


def test_what_acts_still_does(world: Path) -> None:
    call("-o", "one")
    told = call("-o", "one", "--suppression", "nms", "--nms-iou", "0.2", "--max-masks", "50")
    assert "Not used" not in told
    assert "done before" not in told
    scoring = json.loads((world / "one/run.json").read_text())["settings"]["suppression"]
    assert scoring == {
        **{"suppression": "nms", "nms_iou": 0.2, "max_covered": 0.5},
        **{"class_overlap": "best", "max_masks": 50},
    }


def test_index_and_search_tell_it_too(world: Path) -> None:
    def invoke(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.stderr
        return result.stderr

    index = ["index", "in/images", "-r", "--proposals", "regions", "-o"]
    assert "Not used" not in invoke(*index, "one")
    assert "--points-per-side 8 (`regions`" in invoke(*index, "two", "--points-per-side", "8")
    one, two = (json.loads((world / name / "index.json").read_text()) for name in ("one", "two"))
    assert one == two
    search = ["search", "two", "--positive", "in/positive", "-o", "found"]
    assert "--nms-iou 0.2 (needs --suppression nms or box_nms)" in invoke(*search, "--nms-iou", "0.2")
    run = json.loads((world / "found/run.json").read_text())
    assert run["ignored_options"] == ["--nms-iou"]
    assert run["settings"]["suppression"]["nms_iou"] == 0.5


def test_a_detector_from_python_is_told(world: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made = Detector.from_folders(
            world / "in/positive",
            backbone=QUICK,
            proposals="regions",
            topk_share=0.2,
            min_score=0.4,
        )
    assert "--topk-share 0.2 (needs --pooling topk)" in caplog.text
    assert made.settings.embedding == EmbeddingOptions()
    caplog.clear()
    assert warn([]) == ()
    assert not caplog.records
