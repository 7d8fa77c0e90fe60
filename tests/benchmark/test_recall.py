"""What proposals reach, against all of them drawn at the size of the image."""

from __future__ import annotations

import numpy as np
import pytest
from minisets import LOOKS, ground, shape_of

from searchdet.benchmark.places import encoded
from searchdet.benchmark.recall import LIKELY, best_overlaps
from searchdet.config import ProposalOptions
from searchdet.proposals import Proposals
from searchdet.proposals.regions import RegionProposer

WIDE = (700, 1000)


@pytest.fixture(scope="module")
def proposals() -> Proposals:
    """Of a picture that is larger than what masks are drawn at."""
    picture = ground(1, WIDE)
    for look, x, y in (("round", 200, 200), ("square", 600, 300), ("ring", 350, 500)):
        picture[shape_of(LOOKS[look][1], x, y, 90, WIDE)] = LOOKS[look][0]
    found = RegionProposer(ProposalOptions("regions")).propose(picture)
    assert found.drawn is not None
    return found.take(np.arange(100))


def test_the_best_mask_is_that_of_all_masks(proposals: Proposals) -> None:
    masks = [
        shape_of("disc", 200, 200, 90, WIDE),
        shape_of("box", 610, 310, 80, WIDE),
        shape_of("ring", 350, 500, 90, WIDE),
        shape_of("disc", 40, 650, 4, WIDE),
    ]
    every = proposals.dense()
    assert len(every) > LIKELY
    expected = [((every & m).sum((1, 2)) / (every | m).sum((1, 2))).max() for m in masks]
    rows = [encoded(number, 1, 1, mask) for number, mask in enumerate(masks)]
    assert best_overlaps(proposals, rows, True) == pytest.approx(expected, abs=1e-9)
    assert expected[0] > 0.9
    assert expected[3] < 0.1


def test_boxes_are_compared_where_there_are_no_masks(proposals: Proposals) -> None:
    low, high = np.asarray([150.0, 120.0]), np.asarray([300.0, 260.0])
    row = {"bbox": [*low, *(high - low)]}
    boxes = proposals.boxes.astype(float)
    both = np.clip(np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low), 0, None).prod(1)
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (high - low).prod() - both
    assert best_overlaps(proposals, [row], False) == pytest.approx([(both / sizes).max()])


def test_without_proposals_or_objects_nothing_is_reached(proposals: Proposals) -> None:
    assert best_overlaps(proposals, [], True) == []
    none = proposals.take(np.zeros(0, np.int64))
    assert best_overlaps(none, [{"bbox": [0, 0, 5, 5]}], False) == [0.0]
