from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from fakes import GridBackbone

from searchdet.backbones import load_backbone
from searchdet.config import EmbeddingOptions, ProposalOptions
from searchdet.embeddings import embed_masks
from searchdet.masks import rle
from searchdet.masks.coverage import Masks, mask_coverage, runs_coverage
from searchdet.proposals import Proposals
from searchdet.proposals.regions import RegionProposer
from searchdet.proposals.tiling import View, join, uncut, views
from searchdet.proposals.types import from_masks
from searchdet.regions.describe import Describer, Regions

pytestmark = pytest.mark.model

SIZE = (300, 420)
TILES = ProposalOptions(tile=128, tile_overlap=0.25)


@dataclass
class Blobs:
    """Every connected bright patch is a mask; one below the share ``least`` of the view is not seen."""

    least: float = 0.0
    name = "blobs"
    weights = None
    compute = None
    reads = frozenset()
    prompting = "everything"

    def propose(self, image: np.ndarray, promise: np.ndarray | None = None) -> Proposals:
        size = (image.shape[0], image.shape[1])
        count, labels = cv2.connectedComponents((image.max(2) > 150).astype(np.uint8))
        masks = [labels == i for i in range(1, count)]
        masks = [mask for mask in masks if mask.mean() >= self.least]
        details = {"points_asked": 7, "memory_retries": 1}
        found = from_masks(masks, [float(mask.mean()) for mask in masks], size)
        return replace(found, removed={"area": 2}, details=details)


def picture(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.full((*SIZE, 3), 90, np.uint8)
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        image[y0:y1, x0:x1] = (200, 40 * i % 256, 255 - 50 * i % 256)
    return image


def described(image: np.ndarray, options: ProposalOptions = TILES, least: float = 0.0) -> Regions:
    return Describer(GridBackbone(8, 8), Blobs(least), options, EmbeddingOptions()).regions(image)


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5, 0.75])
@pytest.mark.parametrize("tile", [64, 100, 333])
def test_views_cover_the_image_and_overlap_enough(tile: int, overlap: float) -> None:
    for height, width in ((64, 65), (101, 333), (640, 480), (1000, 90), (50, 1001), (333, 334)):
        whole, *tiles = views((height, width), tile, overlap)
        assert whole == View(0, 0, width, height)
        if max(height, width) <= tile:
            assert tiles == []
            continue
        covered = np.zeros((height, width), bool)
        for view in tiles:
            assert (view.y1 - view.y0, view.x1 - view.x0) == (min(tile, height), min(tile, width))
            assert view.area == min(tile, height) * min(tile, width)
            covered[view.y0 : view.y1, view.x0 : view.x1] = True
        assert covered.all()
        for starts in (sorted({v.x0 for v in tiles}), sorted({v.y0 for v in tiles})):
            assert starts[0] == 0
            assert all(tile - gap >= overlap * tile for gap in np.diff(starts))
        assert len({(v.x0, v.y0) for v in tiles}) == len(tiles)


def test_without_tiles_or_on_a_small_image_there_is_one_view() -> None:
    assert views((900, 700), 0, 0.2) == [View(0, 0, 700, 900)]
    assert views((90, 70), 90, 0.2) == [View(0, 0, 70, 90)]
    assert len(views((90, 91), 90, 0.2)) == 3


def in_view(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (100, 100)) -> Proposals:
    masks = np.zeros((len(boxes), *size), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return from_masks(list(masks), [0.9 - 0.1 * i for i in range(len(boxes))], size)


def test_only_inner_edges_cut() -> None:
    found = in_view(
        (0, 20, 30, 40),
        (1, 50, 9, 60),
        (20, 0, 40, 30),
        (70, 70, 100, 80),
        (70, 90, 80, 99),
        (5, 5, 95, 95),
    )
    image = (500, 500)
    assert uncut(found, View(0, 0, 100, 100), image).tolist() == [0, 1, 2, 5]
    assert uncut(found, View(200, 200, 300, 300), image).tolist() == [5]
    assert uncut(found, View(400, 400, 500, 500), image).tolist() == [3, 4, 5]
    assert uncut(found, View(400, 0, 500, 100), image).tolist() == [2, 3, 5]
    assert uncut(found, View(0, 0, 100, 100), (100, 100)).tolist() == [0, 1, 2, 3, 4, 5]


def test_joined_rows_say_where_they_come_from() -> None:
    whole = in_view((10, 10, 30, 30), (110, 40, 190, 95), size=(100, 200))
    left = in_view((10, 10, 30, 31))
    right = in_view((60, 60, 70, 90), (20, 0, 30, 20))
    parts = [
        (View(0, 0, 200, 100), whole),
        (View(0, 0, 100, 100), left),
        (View(100, 0, 200, 100), right),
    ]
    tops = (3, 9, 5)  # of what is unusual, where the largest is that of the image
    told = [{"points_asked": 4, "top_percent_millideviations": top} for top in tops]
    parts = [
        (view, replace(part, removed={"area": 1}, details=own))
        for (view, part), own in zip(parts, told, strict=True)
    ]
    found, rows = join(parts, (100, 200))
    stacked = [(part, i) for part in range(3) for i in range(len(parts[part][1]))]
    assert [stacked[row] for row in rows] == [(1, 0), (2, 0), (0, 1), (2, 1)]
    boxes = [[10, 10, 30, 31], [160, 60, 170, 90], [110, 40, 190, 95], [120, 0, 130, 20]]
    assert found.boxes.tolist() == boxes
    assert (np.diff(found.quality) <= 0).all()
    for (x0, y0, x1, y1), mask in zip(boxes, found.dense(), strict=True):
        wanted = np.zeros((100, 200), bool)
        wanted[y0:y1, x0:x1] = True
        assert (mask == wanted).all()
    assert found.removed == {"area": 3, "duplicate": 1}
    assert found.details == {"points_asked": 12, "top_percent_millideviations": 9, "views": 3}


@pytest.mark.parametrize("x", [*range(88, 140, 3)])
def test_a_target_on_a_seam_appears_once(x: int) -> None:
    image = picture((x, 130, x + 24, 150), (300, 20, 320, 60))
    found = described(image).proposals
    assert sorted(found.boxes.tolist()) == [[x, 130, x + 24, 150], [300, 20, 320, 60]]


def test_a_target_larger_than_a_tile_is_found_in_the_whole_image() -> None:
    image = picture((40, 30, 390, 270))
    regions = described(image)
    assert regions.proposals.boxes.tolist() == [[40, 30, 390, 270]]
    whole = embed_masks(GridBackbone(8, 8), image, regions.proposals.dense())
    assert np.abs(regions.described.embedded.vectors - whole.vectors).max() < 1e-5


def test_a_small_target_that_the_whole_image_misses_is_found_in_a_tile() -> None:
    image = picture((60, 70, 80, 90))
    assert len(described(image, replace(TILES, tile=0), least=0.005).proposals) == 0
    assert described(image, least=0.005).proposals.boxes.tolist() == [[60, 70, 80, 90]]


def test_counts_and_views_are_in_the_facts() -> None:
    image = picture((40, 30, 390, 270), (2, 2, 12, 12))
    found = described(image).proposals
    count = len(views(SIZE, TILES.tile, TILES.tile_overlap))
    assert found.details == {"points_asked": 7 * count, "memory_retries": count, "views": count}
    assert found.removed["area"] == 2 * count
    assert found.removed["tile_edge"] >= 8
    assert found.removed["duplicate"] >= 1
    one = described(image, replace(TILES, tile=0)).proposals
    assert one.details == {"points_asked": 7, "memory_retries": 1}
    assert one.removed == {"area": 2}


def test_vectors_come_from_the_tile_in_which_the_mask_was_found() -> None:
    boxes = [(10, 10, 40, 30), (60, 70, 80, 90), (310, 200, 340, 260), (380, 5, 420, 30)]
    image = picture(*boxes, (30, 150, 200, 290))
    regions = described(image)
    assert len(regions.proposals) == 5
    tiles = views(SIZE, TILES.tile, TILES.tile_overlap)
    for mask, box, vector in zip(
        regions.proposals.dense(),
        regions.proposals.boxes,
        regions.described.embedded.vectors,
        strict=True,
    ):
        x0, y0, x1, y1 = box.astype(int)
        holding = [v for v in tiles[1:] if v.x0 <= x0 and v.y0 <= y0 and v.x1 >= x1 and v.y1 >= y1]
        cosines = []
        for view in holding or tiles[:1]:
            part = np.s_[view.y0 : view.y1, view.x0 : view.x1]
            direct = embed_masks(GridBackbone(8, 8), image[part], mask[part][None]).vectors[0]
            cosines.append(float(direct @ vector))
        assert max(cosines) > 1 - 1e-6
        everywhere = embed_masks(GridBackbone(8, 8), image, mask[None]).vectors[0]
        assert not holding or float(everywhere @ vector) < 0.999
    assert regions.described.embedded.valid.all()


def test_no_proposals_in_any_view_keep_the_shapes() -> None:
    regions = described(picture())
    assert len(regions.proposals) == 0
    assert regions.described.embedded.vectors.shape == (0, 4)
    assert regions.proposals.size == SIZE


def test_tiles_with_the_embedded_proposer_and_backbone() -> None:
    image = picture((100, 60, 122, 84), (240, 30, 400, 280), (20, 200, 44, 226))
    image = np.clip(image + np.random.default_rng(0).normal(0, 3, image.shape), 0, 255).astype(np.uint8)
    options = replace(TILES, name="regions", tile=160, scored_masks=100)
    describer = Describer(
        load_backbone("filterbank"), RegionProposer(options), options, EmbeddingOptions()
    )
    regions = describer.regions(image)
    masks = regions.proposals.dense()
    for x0, y0, x1, y1 in ((100, 60, 122, 84), (240, 30, 400, 280), (20, 200, 44, 226)):
        truth = np.zeros(SIZE, bool)
        truth[y0:y1, x0:x1] = True
        overlaps = (masks & truth).sum((1, 2)) / (masks | truth).sum((1, 2))
        apart = np.abs(regions.proposals.boxes - [x0, y0, x1, y1]).max(axis=1)
        # one with a stray pixel far off is another mask
        assert ((overlaps >= 0.9) & (apart <= 2)).sum() == 1
    assert len(regions.described.embedded.vectors) == len(masks)


@pytest.mark.parametrize("grid", [(1, 1), (3, 4), (7, 5), (50, 80), (97, 131)])
def test_coverage_from_runs_is_the_dense_one(grid: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    masks = np.zeros((7, 50, 80), bool)
    masks[1], masks[2, 49, 79], masks[3, :, -1] = True, True, True
    masks[4:6] = rng.random((2, 50, 80)) > 0.5
    masks[6, 10:40, 20:70] = True
    got = runs_coverage(Masks.of([rle.encode(mask) for mask in masks], (50, 80)), grid)
    wanted = mask_coverage(masks, *grid)
    assert got.dtype == wanted.dtype
    assert got.shape == wanted.shape
    assert float((got - wanted).abs().max()) < 5e-6
    assert runs_coverage(Masks.of([], (50, 80)), grid).shape == (0, *grid)
