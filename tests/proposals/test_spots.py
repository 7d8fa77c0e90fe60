"""Small things that stand out: pits of a few pixels, scratches, and what is none of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from surfaces import DEFECTS, FINISHES, make_surface

from searchdet.config import ProposalOptions
from searchdet.errors import UsageError
from searchdet.proposals import load_proposer
from searchdet.proposals.spots import LEAST, SpotProposer, standing_out, strength


def _best(found: np.ndarray, true: np.ndarray) -> float:
    return max((float((one & true).sum() / (one | true).sum()) for one in found), default=0.0)


def _shade(height: int = 120, width: int = 160) -> np.ndarray:
    grey = np.linspace(60, 190, width, dtype=np.float32)[None].repeat(height, 0)
    noise = np.random.default_rng(0).normal(0, 2, (height, width))
    return np.repeat((grey + noise).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("radius", [2, 5, 11])
def test_a_pit_is_proposed_whatever_the_light(radius: int) -> None:
    image = _shade()
    true = np.zeros(image.shape[:2], np.uint8)
    for x in (40, 120):
        cv2.circle(true, (x, 60), radius, x, -1)
    image[true > 0] = (image[true > 0] * 0.6).astype(np.uint8)
    found = SpotProposer(ProposalOptions("spots")).propose(image)
    for x in (40, 120):
        assert _best(found.dense(), true == x) > 0.6


def test_a_shade_over_the_image_is_no_spot() -> None:
    plain = np.linspace(60, 190, 160, dtype=np.float32)[None].repeat(120, 0).astype(np.uint8)
    assert np.abs(standing_out(plain, 21)).max() < 1
    found = SpotProposer(ProposalOptions("spots")).propose(np.repeat(plain[..., None], 3, axis=2))
    assert len(found) == 0


def test_most_defects_of_all_finishes_are_among_the_first_300() -> None:
    shares = []
    for finish in FINISHES:
        made = make_surface(finish, 7, DEFECTS)
        found = SpotProposer(ProposalOptions("spots", scored_masks=300)).propose(made.image).dense()
        shares += [_best(found, mask) for mask in made.masks]
    assert np.mean([share >= 0.5 for share in shares]) >= 0.7


def test_a_mask_of_a_large_image_is_where_its_pit_is() -> None:
    image = np.full((1200, 1600, 3), 150, np.uint8)
    image += np.random.default_rng(1).integers(0, 6, (1200, 1600, 1), np.uint8)
    true = np.zeros((1200, 1600), np.uint8)
    cv2.circle(true, (1100, 300), 12, 1, -1)
    image[true > 0] = 80
    found = SpotProposer(ProposalOptions("spots")).propose(image)
    assert found.drawn is not None
    assert _best(found.dense()[:5], true > 0) > 0.6


def test_areas_are_limited_as_the_user_says_and_not_as_for_objects_where_he_does_not() -> None:
    image = _shade(300, 400)
    cv2.circle(image, (200, 150), 2, (0, 0, 0), -1)  # 13 pixels; 0.02 % are 24
    free = SpotProposer(ProposalOptions("spots")).propose(image)
    areas = free.dense().sum(axis=(1, 2))
    assert LEAST <= areas.min() < 24
    held = SpotProposer(ProposalOptions("spots", min_area=0.05)).propose(image)
    assert (held.dense().sum(axis=(1, 2)) >= 0.0005 * 300 * 400).all()


def test_an_image_without_room_for_a_window_has_no_spots() -> None:
    assert len(SpotProposer(ProposalOptions("spots")).propose(np.zeros((9, 9, 3), np.uint8))) == 0


def test_strength_rises_with_contrast_size_and_agreement() -> None:
    one = np.ones(1)
    least = strength(one, np.ones(1, np.int64), np.ones(1, np.int64))
    assert strength(2 * one, np.ones(1, np.int64), np.ones(1, np.int64)) == 2 * least
    assert strength(one, np.full(1, 16), np.ones(1, np.int64)) == 2 * least
    assert strength(one, np.ones(1, np.int64), np.full(1, 3)) == pytest.approx(2 * least)


def test_layers_of_crops_are_refused() -> None:
    with pytest.raises(UsageError, match="crop-layers"):
        load_proposer("spots", crop_layers=1)
