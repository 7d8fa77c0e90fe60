"""Windows of the image's logits against segment-anything's own post-processing of the whole field."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from places import Figure
from segment_anything.modeling import Sam
from segment_anything.utils.amg import batched_mask_to_box
from segment_anything.utils.transforms import ResizeLongestSide

from searchdet.proposals import frame as frames
from searchdet.proposals.frame import Frame

LEVELS = (1.0, 0.0, -1.0)
ROUNDING = 2e-5
OFFICIAL, SMALL = (256, 1024), (128, 256)
CASES = [
    (OFFICIAL, (701, 1023)),
    (OFFICIAL, (1537, 1201)),
    (OFFICIAL, (131, 97)),
    (OFFICIAL, (333, 14)),
    (OFFICIAL, (1024, 1024)),
    (SMALL, (200, 256)),
    (SMALL, (257, 513)),
    (SMALL, (3, 500)),
    (SMALL, (500, 2)),
    ((64, 256), (67, 101)),
]
every_case = pytest.mark.parametrize(("model", "size"), CASES)


def scaled_size(side: int, size: tuple[int, int]) -> tuple[int, int]:
    return ResizeLongestSide.get_preprocess_shape(*size, side)


def make(model: tuple[int, int], size: tuple[int, int]) -> Frame:
    return frames.make_frame(*model, scaled_size(model[1], size), size)


def stock_pixels(field: np.ndarray, side: int, size: tuple[int, int]) -> np.ndarray:
    model = SimpleNamespace(image_encoder=SimpleNamespace(img_size=side))
    logits = torch.from_numpy(field)[None, None]
    return Sam.postprocess_masks(model, logits, scaled_size(side, size), size)[0, 0].numpy()


def fields(cells: int, count: int = 12) -> list[np.ndarray]:
    """Random logits of every roughness, in boxes anywhere on a negative ground, and without ground."""
    rng = np.random.default_rng(cells)
    found = []
    for i in range(count):
        rough = max(2, cells >> (i % 6))
        field = cv2.resize(rng.normal(0, 3, (rough, rough)).astype(np.float32), (cells, cells))
        if i % 4:
            top, left = rng.integers(0, cells * 2 // 3, 2)
            height, width = rng.integers(1, cells // 2, 2)
            part = field[top : top + height, left : left + width].copy()
            field = np.full((cells, cells), -6, np.float32)
            field[top : top + height, left : left + width] = part
        found.append(field)
    return found


def painted(part: frames.Crop, level: float, frame: Frame) -> np.ndarray:
    mask, (y, x) = frames.render(part, level, frame)
    whole = np.zeros(frame.size, bool)
    whole[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return whole


@every_case
def test_rendered_masks_are_segment_anything_s(
    model: tuple[int, int], size: tuple[int, int], figure: Figure
) -> None:
    frame = make(model, size)
    for field in fields(model[0]):
        wanted = stock_pixels(field, model[1], size)
        for level in LEVELS:
            part = frames.crop(field, level, frame)
            got = np.zeros(size, bool) if part is None else painted(part, level, frame)
            gaps = np.abs(wanted[got != (wanted > level)] - level)
            assert figure("logit of a pixel on which masks differ", gaps.max(initial=0)) < ROUNDING


@every_case
def test_a_crop_for_one_level_serves_all_higher_levels(
    model: tuple[int, int], size: tuple[int, int]
) -> None:
    frame = make(model, size)
    for field in fields(model[0]):
        part = frames.crop(field, -1.0, frame)
        wanted = stock_pixels(field, model[1], size)
        if part is None:
            assert (wanted <= -1.0 + ROUNDING).all()
            continue
        got = painted(part, 0.0, frame)
        assert (np.abs(wanted[got != (wanted > 0)]) < ROUNDING).all()
        for level, count in zip(LEVELS, frames.counts(part, LEVELS, frame), strict=True):
            assert (wanted > level + ROUNDING).sum() <= count <= (wanted > level - ROUNDING).sum()


@every_case
def test_boxes_are_segment_anything_s(model: tuple[int, int], size: tuple[int, int]) -> None:
    frame = make(model, size)
    found = 0
    for field in fields(model[0]):
        part = frames.crop(field, -1.0, frame)
        wanted = torch.from_numpy(stock_pixels(field, model[1], size))
        box = None if part is None else frames.box(part, 0.0, frame)
        if box is None:
            assert not (wanted > ROUNDING).any()
            continue
        found += 1
        outer, inner = (batched_mask_to_box(wanted > v).tolist() for v in (-ROUNDING, ROUNDING))
        if outer == inner:
            assert list(box) == outer
        assert outer[0] <= box[0] <= inner[0]
        assert outer[1] <= box[1] <= inner[1]
        assert inner[2] <= box[2] <= outer[2]
        assert inner[3] <= box[3] <= outer[3]
    assert found >= 3


def test_strips_of_a_window_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, field = make(SMALL, (257, 513)), fields(SMALL[0])[0]
    part = frames.crop(field, -1.0, frame)
    assert part is not None
    whole, counts = painted(part, 0.0, frame), frames.counts(part, LEVELS, frame)
    monkeypatch.setattr(frames, "_CHUNK", 1000)
    assert (painted(part, 0.0, frame) == whole).all()
    assert frames.counts(part, LEVELS, frame) == counts


def test_what_lies_in_the_padding_only_is_no_mask() -> None:
    frame = make(SMALL, (100, 256))
    field = np.full((128, 128), -6, np.float32)
    field[70:90, 20:60] = 5
    assert frames.crop(field, -1.0, frame) is None
    assert (stock_pixels(field, SMALL[1], (100, 256)) < 0).all()


def test_a_field_without_anything_above_the_level_has_no_crop_and_no_box() -> None:
    frame = make(SMALL, (100, 256))
    field = np.full((128, 128), -6, np.float32)
    assert frames.crop(field, -1.0, frame) is None
    field[10:20, 10:20] = -0.5
    part = frames.crop(field, -1.0, frame)
    assert part is not None
    assert frames.box(part, 0.0, frame) is None
    assert not painted(part, 0.0, frame).any()


@every_case
def test_cells_stand_for_all_pixels_and_lie_under_them(
    model: tuple[int, int], size: tuple[int, int]
) -> None:
    frame = make(model, size)
    for share, pixels in zip(frame.weights, size, strict=True):
        assert share.sum() == pytest.approx(pixels, rel=1e-4)
    for where in ((0.02, 0.97), (0.5, 0.5), (0.99, 0.01)):
        point = np.asarray([[where[0] * size[1], where[1] * size[0]]])
        rows, columns = frame.cells_at(point)
        for got, axis, pixels in ((rows[0], 1, size[0]), (columns[0], 0, size[1])):
            scale = scaled_size(model[1], size)[1 - axis] / pixels * model[0] / model[1]
            centre = (int(point[0, axis]) + 0.5) * scale - 0.5
            assert abs(got - centre) <= 1.0, (size, where)
