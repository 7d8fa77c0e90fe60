"""Masks drawn on a small copy of their image, and every reader of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import GridBackbone

from searchdet.config import EmbeddingOptions, ProposalOptions
from searchdet.embeddings import embed_masks
from searchdet.masks import rle
from searchdet.proposals import Proposals, filters
from searchdet.proposals.frame import crop, make_stretch, render
from searchdet.proposals.rendering import rendered
from searchdet.proposals.tiling import View, join
from searchdet.proposals.types import from_masks, from_rles
from searchdet.regions.cache import Packed, pack, unpack
from searchdet.regions.describe import Describer
from searchdet.storage.values import Fields

DRAWN, SIZE = (40, 60), (110, 171)


def small_masks() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    masks = [np.zeros(DRAWN, bool) for _ in range(8)]
    masks[0][5:20, 10:40] = masks[1][30:40, 50:60] = masks[2][7, 9] = masks[3][0, :] = True
    masks[4] = rng.random(DRAWN) > 0.5
    masks[5] = ~masks[5]
    masks[6][39, 59] = masks[7][:, 3] = True
    return masks


def drawn(masks: list[np.ndarray], size: tuple[int, int] = SIZE) -> Proposals:
    quality = [1 - 0.01 * i for i in range(len(masks))]
    return from_rles([rle.encode(mask) for mask in masks], quality, size, masks[0].shape)


def whole(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """By the whole field."""
    frame = make_stretch(mask.shape, size)
    found = np.zeros(size, bool)
    part = crop(mask.astype(np.float32), 0.5, frame)
    if part is not None:
        window, (y, x) = render(part, 0.5, frame)
        found[y : y + window.shape[0], x : x + window.shape[1]] = window
    return found


@pytest.mark.parametrize("size", [SIZE, (400, 600), (81, 120)])
def test_rendered_masks_are_the_smooth_stretch_with_exact_boxes(size: tuple[int, int]) -> None:
    found = rendered(drawn(small_masks(), size))
    assert found.size == found.mask_size == size
    assert found.drawn is None
    for mask, code in zip(small_masks(), found.rles, strict=True):
        assert (rle.decode([code], size)[0] == whole(mask, size)).all()
    assert (found.boxes == rle.boxes(found.rles)).all()


def test_rows_keep_their_order_and_facts() -> None:
    found = replace(drawn(small_masks()), removed={"area": 3}, details={"views": 1})
    rows = np.asarray([4, 0, 4, 2])
    some, every = rendered(found, rows), rendered(found)
    assert some.rles == tuple(every.rles[i] for i in rows)
    assert (some.quality == found.quality[rows]).all()
    assert some.removed == {"area": 3}
    assert some.details == {"views": 1}
    assert len(rendered(found, np.zeros(0, np.int64))) == 0


def test_a_mask_that_vanishes_in_the_stretch_keeps_a_pixel_where_it_was() -> None:
    masks = [np.zeros((100, 100), bool) for _ in range(100)]
    for i, mask in enumerate(masks):
        mask[i, 99 - i] = True
    for size in ((101, 101), (133, 120), (1000, 100)):
        found = rendered(drawn(masks, size))
        assert len(found) == 100
        for i, mask in enumerate(found.dense()):
            y, x = (int(n.mean()) for n in np.nonzero(mask))
            assert abs((y + 0.5) / size[0] - (i + 0.5) / 100) <= 1 / size[0]
            assert abs((x + 0.5) / size[1] - (99.5 - i) / 100) <= 1 / size[1]
    empty = rendered(drawn([np.zeros((5, 5), bool)], (9, 9)))
    assert not empty.dense().any()


def test_what_is_drawn_at_image_size_stays_as_it_is() -> None:
    found = from_masks(small_masks(), [1.0] * 8, DRAWN)
    assert rendered(found).rles == found.rles
    same = drawn(small_masks(), DRAWN)
    assert same.drawn is None
    assert same.rles == found.rles
    assert rendered(replace(found, drawn=DRAWN)) == replace(found, drawn=None)


def test_boxes_before_rendering_are_scaled_and_near() -> None:
    found = drawn(small_masks())
    assert found.mask_size == DRAWN
    limit = np.asarray([SIZE[1], SIZE[0]] * 2) / np.asarray([DRAWN[1], DRAWN[0]] * 2)
    assert (np.abs(found.boxes - rendered(found).boxes) <= limit).all()
    assert found.boxes[5].tolist() == [0, 0, SIZE[1], SIZE[0]]
    assert (found.take(np.asarray([3, 1])).boxes == found.boxes[[3, 1]]).all()
    assert found.take(np.asarray([3, 1])).drawn == DRAWN


def test_dense_masks_have_the_size_of_the_image() -> None:
    found = drawn(small_masks())
    assert (found.dense() == np.stack([whole(mask, SIZE) for mask in small_masks()])).all()


def test_areas_are_shares_of_what_is_drawn() -> None:
    masks = [np.zeros(DRAWN, bool) for _ in range(3)]
    masks[0][:4], masks[1][:8], masks[2][:20] = True, True, True
    options = ProposalOptions(min_area=15, max_area=30)
    found = filters.finish(drawn(masks), options)
    assert found.rles == (rle.encode(masks[1]),)
    assert found.removed["area"] == 2
    assert len(filters.finish(drawn(masks), ProposalOptions(scored_masks=1))) == 1


def test_views_with_drawn_masks_join_at_image_size() -> None:
    masks = small_masks()[:2]
    parts = [(View(0, 0, 171, 110), drawn(masks)), (View(171, 0, 342, 110), drawn(masks))]
    found, rows = join(parts, (110, 342))
    assert found.drawn is None
    assert rows.tolist() == [0, 2, 1, 3]
    for row, mask in zip(rows, found.dense(), strict=True):
        wanted = np.zeros((110, 342), bool)
        wanted[:, 171 * (row // 2) :][:, :171] = whole(masks[row % 2], SIZE)
        assert (mask == wanted).all()
    assert (found.boxes == rle.boxes(found.rles)).all()


class Given:
    """Returns what it was made with."""

    name, weights, compute = "given", None, None
    reads: frozenset[str] = frozenset()
    prompting = "everything"

    def __init__(self, found: Proposals) -> None:
        self.found = found

    def propose(self, image: np.ndarray, promise: np.ndarray | None = None) -> Proposals:
        return self.found


def test_descriptors_are_those_of_the_drawn_masks_and_are_kept_with_them() -> None:
    image = np.random.default_rng(3).integers(0, 255, (80, 120, 3), np.uint8)
    found = drawn(small_masks(), (80, 120))
    describer = Describer(GridBackbone(), Given(found), ProposalOptions(), EmbeddingOptions())
    regions = describer.regions(image)
    doubled = np.stack([np.kron(mask, np.ones((2, 2), bool)) for mask in small_masks()])
    wanted = embed_masks(GridBackbone(), image, doubled).vectors
    assert np.abs(regions.described.embedded.vectors - wanted).max() < 1e-5
    again = unpack(pack(regions))
    assert again.proposals.drawn == DRAWN
    assert again.proposals.size == (80, 120)
    assert again.proposals.rles == found.rles
    packed = pack(regions)
    for wrong in ({"drawn": [40, 61]}, {"drawn": [40]}, {"drawn": None}):
        facts = Fields({**packed.facts.values, **wrong})
        with pytest.raises(ValueError, match=r"drawn|image of that size"):
            unpack(Packed(packed.arrays, facts))
