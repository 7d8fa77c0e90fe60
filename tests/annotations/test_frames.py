"""Drawings of photos with an EXIF rotation: the frame that they are of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from searchdet.annotations.frames import Photo, turn_mask, turn_points


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_and_points_turn_as_photos_do(orientation: int) -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:8, 5:22] = True
    mask[3:15, 5:9] = True
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(buffer))) > 0
    assert (turn_mask(mask, orientation) == upright).all()
    photo = Photo((upright.shape[0], upright.shape[1]), orientation)
    assert photo.stored == (20, 30)
    ends = turn_points((5.0, 3.0, 22.0, 15.0), photo.stored, orientation)
    (x0, x1), (y0, y1) = sorted(ends[0::2]), sorted(ends[1::2])
    rows, columns = np.nonzero(upright)
    assert (x0, y0, x1, y1) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


@pytest.mark.parametrize(
    ("photo", "drawn", "reach", "fit"),
    [
        (Photo((20, 30)), (20, 30), (0, 0), "upright"),
        (Photo((20, 30)), None, (0, 0), "upright"),
        (Photo((20, 30)), (30, 20), (0, 0), "neither"),
        (Photo((30, 20), 6), (30, 20), (0, 0), "upright"),
        (Photo((30, 20), 6), (20, 30), (19, 29), "stored"),
        (Photo((30, 20), 6), (20, 30), (28, 15), "upright"),
        (Photo((30, 20), 6), (21, 30), (0, 0), "neither"),
        (Photo((30, 20), 6), None, (0, 0), "either"),
        (Photo((20, 30), 3), (20, 30), (0, 0), "either"),
        (Photo((20, 20), 6), (20, 20), (0, 0), "either"),
        (Photo((20, 30), 3), (30, 20), (0, 0), "neither"),
    ],
)
def test_the_size_says_the_frame(
    photo: Photo, drawn: tuple[int, int] | None, reach: tuple[float, float], fit: str
) -> None:
    assert photo.fit(drawn, reach) == fit
