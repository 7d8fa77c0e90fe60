"""A second look within a run: at which regions, what it changes, and where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import GivenProposer, GridBackbone, LookingBackbone, PatchNetwork
from typer.testing import CliRunner

from searchdet.bank import Bank, Enrolment
from searchdet.bank.build import Gathered
from searchdet.bank.describe import build_bank
from searchdet.calibration import left_out_scores
from searchdet.cli import app
from searchdet.config import (
    EmbeddingOptions,
    ProposalOptions,
    ScoringOptions,
    Settings,
    SuppressionOptions,
)
from searchdet.decision import make_judge
from searchdet.detector import Detector, image_info
from searchdet.errors import UsageError
from searchdet.exemplars import Exemplar
from searchdet.images import from_array
from searchdet.records import Candidate, ImageRecord
from searchdet.regions import Describer, Models

RED, ORANGE, BLUE, GREY = (220, 40, 40), (220, 120, 40), (40, 60, 220), (128, 128, 128)
COLOURS = (RED, ORANGE, BLUE, (90, 200, 60), (200, 200, 60))


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Squares of five colours in a row, each with a dark half, and their masks; a last one is empty."""
    image = np.full((64, 200, 3), GREY, np.uint8)
    masks = np.zeros((6, 64, 200), bool)
    for i, colour in enumerate(COLOURS):
        masks[i, 16:48, 40 * i + 4 : 40 * i + 36] = True
        image[masks[i]] = colour
        image[16:48, 40 * i + 4 : 40 * i + 10 + 4 * i] = (20, 20, 20)
    return image, masks


def exemplar(name: str, label: str | None, colour: tuple[int, int, int], dark: int) -> Exemplar:
    pixels = np.full((32, 32, 3), colour, np.uint8)
    pixels[:, :dark] = 20
    return Exemplar(name, label, pixels, np.ones((32, 32), bool), "whole", f"{dark:064}")


EXEMPLARS = [
    exemplar("red/1.png", "red", RED, 4),
    exemplar("red/2.png", "red", RED, 10),
    exemplar("red/3.png", "red", ORANGE, 7),
    exemplar("neg/1.png", None, BLUE, 8),
]


def bank_of(backbone: GridBackbone, closer: bool) -> Bank:
    return build_bank(backbone, EXEMPLARS, EmbeddingOptions(), closer=closer)


def detector(look: int | None, closer: bool = True, **scoring: object) -> Detector:
    backbone = LookingBackbone(16, 50)
    bank = bank_of(backbone, closer)
    backbone.closer.seen = 0
    own = ScoringOptions(**({"second_look": look, "min_score": 0.2} | scoring))
    models = Models(backbone, GivenProposer(scene()[1]))
    return Detector(models, Gathered(bank), Settings(scoring=own))


def network(made: Detector) -> PatchNetwork:
    closer = made.regions.describer.backbone.closer
    assert isinstance(closer, PatchNetwork)
    return closer


def by_id(record: ImageRecord) -> dict[int, Candidate]:
    return {item.id: item for item in record.candidates}


def compared(item: Candidate) -> tuple[object, ...]:
    """What is compared with the bank, without what others do to it."""
    return (
        *(item.positive_similarity, item.negative_similarity, item.score_before_suppression),
        *(item.nearest_positive, item.nearest_negative, item.margin),
    )


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_second_look_changes_the_best_rows_and_no_others(count: int) -> None:
    looking, image = detector(count), from_array(scene()[0], "s")
    regions = looking.regions.regions(image.pixels, image.sha256)
    first = looking.judge.record(image_info(image, "s"), regions)
    second = looking.detect(scene()[0], "s")
    assert network(looking).seen == count
    assert (first.looked_at, second.looked_at) == (0, count)
    assert first.levels == second.levels, "a level is that of the map"
    before, after = by_id(first), by_id(second)
    best = sorted((i for i in before if before[i].score is not None), key=lambda i: -before[i].score)
    seen = {i for i in after if "second_look" in after[i].flags}
    assert seen == set(best[:count])
    for i in before:
        assert (compared(before[i]) != compared(after[i])) == (i in seen)
        assert before[i].shape_similarity == after[i].shape_similarity
        assert before[i].context_similarity == after[i].context_similarity
    assert after[5].reason == "invalid", "what has no descriptor is not looked at"
    assert not any(item.flags for item in before.values() if item.id != 5)


def test_more_looks_than_regions_see_each_once_and_the_backbone_says_how_many() -> None:
    looking = detector(100)
    assert looking.detect(scene()[0]).looked_at == network(looking).seen == 5
    usual = detector(None)
    assert usual.detect(scene()[0]).looked_at == LookingBackbone.second_look
    assert usual.run_info().scoring.second_look == LookingBackbone.second_look


def test_a_second_look_at_nothing_calls_no_network() -> None:
    looking = detector(3)
    given = looking.regions.describer.proposer
    given.masks, given.quality = np.zeros((0, 64, 200), bool), []
    assert looking.detect(scene()[0]).looked_at == 0
    assert network(looking).seen == 0


def test_no_second_look_is_as_a_bank_without_crops() -> None:
    with_crops, without = detector(0), detector(0, closer=False)
    one, two = (made.detect(scene()[0], "s") for made in (with_crops, without))
    assert network(with_crops).seen == 0
    assert one == two
    assert with_crops.judge.fingerprint == without.judge.fingerprint
    assert not with_crops.bank.looks_closer
    assert bank_of(LookingBackbone(), True).looks_closer
    assert detector(3).detect(scene()[0]).levels == one.levels, "a level is that of the map"
    chiefs = [detector(look).judge for look in (0, 3)]
    left_out = [left_out_scores(chief.bank, 0, chief.rule.scoring) for chief in chiefs]
    assert detector(3).judge.fingerprint != one.settings_sha256
    assert (left_out[0] != left_out[1]).all(), "thresholds are judged by what is compared"


def test_centring_takes_no_second_look_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    centred = detector(3, centring="mean")
    assert "--second-look 3 (needs --centring none)" in caplog.text
    assert centred.settings.scoring.second_look == 0
    assert centred.detect(scene()[0]).looked_at == network(centred).seen == 0
    caplog.clear()
    assert detector(None, centring="mean").settings.scoring.second_look == 0
    assert not caplog.text


def test_a_backbone_without_a_network_cannot_look_again() -> None:
    models = Models(GridBackbone(), GivenProposer(scene()[1]))
    with pytest.raises(UsageError, match="--second-look needs a network, which grid is not"):
        models.effective(Settings(scoring=ScoringOptions(second_look=1)))
    for asked in (None, 0):
        settings, _ = models.effective(Settings(scoring=ScoringOptions(second_look=asked)))
        assert settings.scoring.second_look == 0


def test_a_bank_without_crops_cannot_be_looked_at_again() -> None:
    backbone = LookingBackbone()
    info = Models(backbone, GivenProposer(scene()[1])).info(Settings())
    gathered = Gathered(bank_of(backbone, False))
    with pytest.raises(UsageError, match="holds no second look") as refused:
        make_judge(gathered, ScoringOptions(second_look=2), SuppressionOptions(), info)
    assert "--second-look 0" in refused.value.hint
    make_judge(gathered, ScoringOptions(second_look=0), SuppressionOptions(), info)


@pytest.mark.parametrize(("asked", "wanted"), [(None, True), (0, False), (7, True)])
def test_exemplars_are_looked_at_where_candidates_will_be(asked: int | None, wanted: bool) -> None:
    settings = Settings(scoring=ScoringOptions(second_look=asked))
    assert Enrolment.of(LookingBackbone(), settings).closer == wanted
    if asked != 7:
        assert not Enrolment.of(GridBackbone(), settings).closer


def test_the_command_refuses_it_by_name(world: Path) -> None:
    words = ["in/images/a.png", "--positive", "in/positive", "--backbone", "filterbank", "--no-save"]
    result = CliRunner().invoke(app, ["detect", *words, "--second-look", "5"])
    assert result.exit_code == 2
    assert "--second-look needs a network, which filterbank is not." in result.stderr
    assert CliRunner().invoke(app, ["detect", *words, "--second-look", "0"]).exit_code == 0
    assert CliRunner().invoke(app, ["detect", *words, "--second-look", "-1"]).exit_code == 2


def test_in_tiles_each_region_is_looked_at_in_the_whole_image() -> None:
    """What a crop shows does not depend on how the image was cut for proposals."""
    whole = detector(5)
    backbone, (image, masks) = whole.regions.describer.backbone, scene()

    class ByTile(GivenProposer):
        def propose(self, part: np.ndarray, promise: np.ndarray | None = None):
            at = next(
                x
                for x in range(image.shape[1])
                if np.array_equal(image[:, x : x + part.shape[1]], part)
            )
            self.masks = masks[:5, :, at : at + part.shape[1]]
            self.masks = self.masks[self.masks.any(axis=(1, 2))]
            self.quality = [0.5] * len(self.masks)
            return super().propose(part)

    options = ProposalOptions(tile=96)
    describer = Describer(backbone, ByTile(masks), options, EmbeddingOptions())
    tiled = replace(whole.regions, describer=describer)
    found = tiled.regions(image, "s").proposals
    assert found.details["views"] > 1
    assert len(found) == 5
    rows = np.arange(5)
    got = tiled.crops(image, "s", found, rows)
    plain = whole.regions.regions(image, "s").proposals
    wanted = whole.regions.crops(image, "s", plain, rows)
    order = np.argsort(found.boxes[:, 0])
    assert np.abs(got[order] - wanted).max() < 1e-3
