"""What looks like known examples is proposed, however faint it is in the picture."""

from __future__ import annotations

import numpy as np
import pytest

from searchdet.config import ProposalOptions
from searchdet.masks import rle
from searchdet.proposals.regions import RegionProposer
from searchdet.proposals.thresholds import LEAST_PROMISE, eight_bits, promised


def noise(height: int = 120, width: int = 160) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(90, 160, (height, width, 3), dtype=np.uint8)


def best_overlap(image: np.ndarray, promise: np.ndarray | None, wanted: np.ndarray) -> float:
    found = RegionProposer(ProposalOptions()).propose(image, promise)
    masks = found.dense()
    shared = (masks & wanted).sum((1, 2))
    return float((shared / (masks | wanted).sum((1, 2))).max(initial=0))


def test_what_is_promised_is_proposed() -> None:
    image = noise()
    wanted = np.zeros(image.shape[:2], bool)
    wanted[40:80, 60:120] = True
    promise = np.full((12, 16), 0.1, np.float32)
    promise[4:8, 6:12] = 0.5
    assert best_overlap(image, None, wanted) < 0.5
    assert best_overlap(image, promise, wanted) > 0.75


def test_a_promise_without_contrast_adds_nothing() -> None:
    image = noise()
    plain = RegionProposer(ProposalOptions()).propose(image)
    flat = np.full((12, 16), 0.3, np.float32)
    same = RegionProposer(ProposalOptions()).propose(image, flat)
    assert plain.rles == same.rles
    assert eight_bits(flat, LEAST_PROMISE) is None


def test_a_promise_is_the_mean_of_each_superpixel() -> None:
    labels = np.repeat([0, 1], 20)[None].repeat(10, axis=0)
    promise = np.linspace(0, 1, 40, dtype=np.float32)[None].repeat(10, axis=0)
    got = promised(promise, labels)
    assert got[:, :20] == pytest.approx(promise[0, :20].mean(), abs=1e-6)
    assert got[:, 20:] == pytest.approx(promise[0, 20:].mean(), abs=1e-6)


def test_proposals_with_a_promise_keep_the_limits() -> None:
    rng = np.random.default_rng(1)
    promise = rng.random((30, 40)).astype(np.float32)
    options = ProposalOptions(min_area=1, max_area=20, scored_masks=50)
    found = RegionProposer(options).propose(noise(), promise)
    areas = np.asarray([rle.area(code) for code in found.rles]) / (120 * 160)
    assert len(found) <= 50
    assert (areas >= 0.0095).all()
    assert (areas <= 0.2).all()
