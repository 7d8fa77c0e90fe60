"""Figures of anomaly sets against scikit-learn, and AUPRO against a sweep over thresholds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from skimage.measure import label, regionprops
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from searchdet.evaluation.anomaly import Pixels, ap, auroc, best_f1

Scores = npt.NDArray[np.float64]
Masks = npt.NDArray[np.bool_]


def pictures(seed: int, steps: int | None) -> tuple[Scores, Masks]:
    """(N, H, W) scores and defects, several an image, a good one among them. steps: few different
    scores, so that many are equal."""
    chance = np.random.default_rng(seed)
    masks = np.zeros((4, 24, 30), bool)
    masks[0, 2:6, 3:9] = masks[0, 12:14, 20:22] = True
    masks[1, 5:20, 5] = True
    masks[1, 4, 6] = True  # touches by a corner
    masks[2, 10:12, 10:25] = masks[2, 20, 1] = True
    scores = chance.normal(0, 1, masks.shape) + 1.2 * masks
    return (scores if steps is None else np.round(scores * steps) / steps), masks


def sklearn_f1(truth: npt.NDArray[np.bool_], scores: Scores) -> float:
    precision, recall, _ = precision_recall_curve(truth, scores)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.nanmax(2 * precision * recall / (precision + recall)))


def swept_aupro(scores: Scores, masks: Masks, limit: float) -> float:
    """By the definition: at each threshold the mean share of each region, and the share of normal
    pixels; then the area by trapezoids up to the limit."""
    parts = []
    for image, mask in zip(scores, masks, strict=True):
        parts += [image[tuple(p.coords.T)] for p in regionprops(label(mask, connectivity=2))]
    normal = scores[~masks]
    curve = [(0.0, 0.0)]
    for threshold in np.unique(scores)[::-1]:
        overlap = float(np.mean([(part >= threshold).mean() for part in parts]))
        curve.append((float((normal >= threshold).mean()), overlap))
    x, y = np.asarray(curve).T
    assert not np.isclose(x, limit, atol=1e-12).any(), "the limit must lie between two rates"
    kept = x < limit
    return float(auc(np.append(x[kept], limit), np.append(y[kept], np.interp(limit, x, y)))) / limit


def measured(scores: Scores, masks: Masks) -> Pixels:
    made = Pixels()
    for image, mask in zip(scores, masks, strict=True):
        made.add(image, mask)
    return made


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("steps", [None, 2])
def test_pixels_are_judged_as_scikit_learn_does(seed: int, steps: int | None) -> None:
    scores, masks = pictures(seed, steps)
    found = measured(scores, masks)
    assert found.auroc() == pytest.approx(roc_auc_score(masks.ravel(), scores.ravel()), abs=1e-12)
    assert found.best_f1() == pytest.approx(sklearn_f1(masks.ravel(), scores.ravel()), abs=1e-12)
    expected = average_precision_score(masks.ravel(), scores.ravel())
    assert found.ap() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("steps", [None, 2])
@pytest.mark.parametrize("limit", [0.3, 0.05])
def test_aupro_is_that_of_a_sweep_over_thresholds(seed: int, steps: int | None, limit: float) -> None:
    scores, masks = pictures(seed, steps)
    limit += 1e-7
    assert measured(scores, masks).aupro(limit) == pytest.approx(
        swept_aupro(scores, masks, limit), abs=1e-9
    )


def test_a_small_defect_counts_as_much_as_a_large_one() -> None:
    masks = np.zeros((1, 20, 20), bool)
    masks[0, 2:12, 2:12] = masks[0, 17, 17] = True
    scores = np.where(masks, 0.0, 0.0)
    scores[0, 2:12, 2:12] = 1.0  # the large one found, the small one not
    found = measured(scores, masks)
    # half of the overlap at once, the rest with all pixels: (0.5 + 0.65) / 2 over 0 to 0.3
    assert found.aupro() == pytest.approx(0.575)
    assert found.auroc() == pytest.approx(1 - 1 / 101 / 2)


def test_a_step_at_the_limit_itself_adds_no_area() -> None:
    masks = np.zeros((1, 1, 20), bool)
    masks[0, 0, :10] = True
    scores = np.asarray([[[2.0] * 5 + [0.5] * 5 + [1.0] * 3 + [0.0] * 7]])
    assert measured(scores, masks).aupro(0.3) == pytest.approx(0.5)


def test_sorting_is_perfect_or_wrong_altogether() -> None:
    _, masks = pictures(0, None)
    assert measured(masks * 1.0, masks).aupro() == 1.0
    assert measured(masks * 1.0, masks).best_f1() == 1.0
    assert measured(masks * -1.0, masks).auroc() == 0.0
    assert measured(masks * -1.0, masks).aupro() == 0.0


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.booleans()), min_size=2, max_size=30)
)
def test_images_are_judged_as_scikit_learn_does(pairs: list[tuple[float, bool]]) -> None:
    scores, truth = [s for s, _ in pairs], [t for _, t in pairs]
    if len(set(truth)) < 2:
        assert auroc(scores, truth) is None
        assert (best_f1(scores, truth) is None) == (not any(truth))
        assert (ap(scores, truth) is None) == (not any(truth))
        return
    assert ap(scores, truth) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert auroc(scores, truth) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert best_f1(scores, truth) == pytest.approx(
        sklearn_f1(np.asarray(truth), np.asarray(scores)), abs=1e-12
    )


def test_what_cannot_be_measured_is_none_and_what_does_not_fit_is_refused() -> None:
    empty = Pixels()
    assert (empty.auroc(), empty.best_f1(), empty.aupro(), empty.ap()) == (None,) * 4
    good = measured(np.zeros((2, 4, 5)), np.zeros((2, 4, 5), bool))
    assert (good.auroc(), good.best_f1(), good.aupro(), good.ap()) == (None,) * 4
    with pytest.raises(ValueError, match="not finite"):
        empty.add(np.zeros((4, 5)), np.zeros((5, 4), bool))
    with pytest.raises(ValueError, match="not finite"):
        empty.add(np.full((4, 5), np.nan), np.zeros((4, 5), bool))
