"""Resizing as Pillow does it, on whatever device."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from searchdet.images import resample

ALIKE = [
    ((61, 90), (61, 90)),
    ((61, 90), (40, 59)),
    ((61, 90), (61, 33)),
    ((61, 90), (122, 181)),
    ((90, 61), (30, 61)),
    ((240, 320), (170, 227)),
    ((240, 360), (160, 240)),
]
OTHER = [((200, 133), (16, 47)), ((100, 300), (50, 280)), ((300, 7), (64, 64)), ((1, 5), (32, 16))]


def apart(kind: str, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How far ours is from Pillow's."""
    import torch

    wanted = np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling[kind.upper()]))
    got = getattr(resample, kind)(torch.from_numpy(image), size)
    assert got.dtype == torch.uint8
    return np.abs(got.numpy().astype(int) - wanted)


def noise(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(size[0]).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize(("before", "after"), ALIKE)
@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
def test_bytes_are_pillow_s(kind: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    plain = noise(before)
    for image in (plain, np.where(plain > 127, 255, 0).astype(np.uint8)):
        assert not apart(kind, image, after).any()


@pytest.mark.parametrize(("before", "after"), OTHER)
@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
def test_where_pillow_begins_with_columns_little_differs(
    kind: str, before: tuple[int, int], after: tuple[int, int]
) -> None:
    assert apart(kind, noise(before), after).mean() < 0.5
