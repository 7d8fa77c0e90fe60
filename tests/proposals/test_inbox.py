"""The object in a box by the embedded proposer: near its outline, inside its box, each time."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import make_scene

from searchdet.masks import rle
from searchdet.proposals import load_proposer
from searchdet.proposals.inbox import masks_in_boxes
from searchdet.proposals.regions import RegionProposer
from searchdet.proposals.types import BoxPrompted, Proposals, from_rles

pytestmark = pytest.mark.model
BACK, RED = (225, 225, 220), (190, 50, 40)


def picture(*masks: np.ndarray, seed: int = 0) -> np.ndarray:
    pixels = np.full((*masks[0].shape, 3), BACK, np.float64)
    for mask in masks:
        pixels[mask] = RED
    noise = np.random.default_rng(seed).normal(0, 4, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def disc(
    x: float, y: float, wide: float, high: float, size: tuple[int, int] = (160, 200)
) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray(((columns - x) / wide) ** 2 + ((rows - y) / high) ** 2 <= 1)


def box_of(mask: np.ndarray) -> list[float]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def iou(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / (one | two).sum())


def proposer() -> RegionProposer:
    made = load_proposer("regions")
    assert isinstance(made, BoxPrompted)
    assert isinstance(made, RegionProposer)
    return made


def masks_of(image: np.ndarray, boxes: np.ndarray) -> list[np.ndarray]:
    return list(rle.decode(proposer().masks_of_boxes(image, boxes), image.shape[:2]))


def test_masks_are_near_the_objects_and_inside_their_boxes() -> None:
    cross = np.zeros((160, 200), bool)
    cross[100:112, 20:90] = cross[75:140, 48:62] = True
    shapes = [disc(60, 40, 30, 20), cross, disc(150, 100, 12, 40)]
    boxes = np.asarray([box_of(shape) for shape in shapes], np.float32)
    image = picture(*shapes)
    found = masks_of(image, boxes)
    for mask, shape, (x0, y0, x1, y1) in zip(found, shapes, boxes.astype(int), strict=True):
        assert mask.shape == image.shape[:2]
        assert iou(mask, shape) > 0.85
        outside = mask.copy()
        outside[y0:y1, x0:x1] = False
        assert not outside.any()
    again = masks_of(image, boxes[::-1])
    assert all((a == b).all() for a, b in zip(found, again[::-1], strict=True)), "no box knows others"


def test_scenes_of_many_shapes() -> None:
    values = []
    for seed in (1, 2):
        scene = make_scene(seed)
        for target in scene.masks[:4]:
            box = np.asarray([box_of(target)], np.float32)
            values.append(iou(masks_of(scene.image, box)[0], target))
    assert np.mean(values) > 0.7


@pytest.mark.parametrize(
    "box",
    [
        *([-20, -20, 300, 300], [0, 0, 200, 160], [199.2, 159.2, 260, 260], [10, 10, 11, 150]),
        *([5.4, 5.4, 5.6, 5.6], [100.5, 3.2, 130.7, 60.9]),
    ],
)
def test_odd_boxes_have_a_mask_or_an_empty_one(box: list[float]) -> None:
    image = picture(disc(60, 40, 30, 20))
    (mask,) = masks_of(image, np.asarray([box], np.float32))
    assert mask.shape == image.shape[:2]
    assert mask.dtype == bool


def test_boxes_without_an_area_in_the_image_are_empty() -> None:
    image = picture(disc(60, 40, 30, 20))
    boxes = np.asarray([[300, 300, 400, 400], [5, 5, 5, 90], [40, 40, 30, 60]], np.float32)
    assert not np.any(masks_of(image, boxes))
    assert masks_of(image, np.zeros((0, 4), np.float32)) == []


def test_without_a_proposal_the_colours_decide() -> None:
    shape = disc(60, 40, 30, 20)

    def nothing(image: np.ndarray) -> Proposals:
        return from_rles([], [], image.shape[:2])

    found = masks_in_boxes(picture(shape), np.asarray([box_of(shape)], np.float32), nothing)
    (mask,) = rle.decode(found, shape.shape)
    assert iou(mask, shape) > 0.9
