"""``NAME.masks.npz``: an array ``masks`` (N, H, W), or (N,) texts of COCO run lengths with ``size``
(H, W); ``quality`` (N,) where there is one."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...annotations import Photo
from ...annotations.frames import Fit, Size, turn_mask
from ...masks import rle
from ..types import BoolArray
from .source import Given, require_quality

Array = npt.NDArray[Any]
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError)
"""What readers of archives raise beside OSError and ValueError."""
MOST = 100_000
"""Masks of an image."""


def read(path: Path, photo: Photo) -> tuple[Given, Fit]:
    """The masks of a file, upright, and how they fit the photo (``Photo.fit``). Raises OSError or
    ValueError that says what is wrong."""
    try:
        shape, kind = _form(path)
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            size = _require(shape, kind, found, photo)
            masks = np.asarray(found["masks"])
            if not len(masks):
                return Given([], []), "upright"
            quality = np.asarray(found["quality"]) if "quality" in found else np.ones(len(masks))
    except DAMAGED as error:
        raise ValueError(f"cannot be read as an archive of arrays ({error})") from error
    if quality.shape != (len(masks),) or quality.dtype.kind not in "fiub":
        raise ValueError(
            f"quality is {quality.dtype} {quality.shape}, and there are {len(masks)} masks"
        )
    values = [require_quality(value, "a quality") for value in quality.astype(float).tolist()]
    fit = photo.fit(size)
    every = (
        _mask(masks[i], photo if fit != "stored" else Photo(photo.stored)) for i in range(len(masks))
    )
    turned = (turn_mask(mask, photo.orientation) if fit == "stored" else mask for mask in every)
    return Given([rle.encode(mask) for mask in turned], values), fit


def _form(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of ``masks``, without its values: a small file can say that it holds a lot."""
    with zipfile.ZipFile(path) as archive, archive.open("masks.npy") as stream:
        version = np.lib.format.read_magic(stream)
        reader = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            reader = np.lib.format.read_array_header_2_0
        shape, _, kind = reader(stream)
    return shape, kind


def _require(shape: tuple[int, ...], kind: Any, found: Mapping[str, Array], photo: Photo) -> Size:
    """The size (H, W) of the masks. Raises ValueError unless they are of the photo, in one of its
    frames."""
    if len(shape) == 3 and kind.kind in "bu" and kind.itemsize == 1:
        size = (shape[1], shape[2])
    elif len(shape) == 1 and kind.kind in "US" and "size" in found:
        size = rle.require_size([int(side) for side in found["size"].reshape(-1)])
    elif len(shape) and not shape[0]:
        size = photo.size
    else:
        raise ValueError(
            f"masks is {kind} {shape}, neither (N, H, W) of bool or 0 and 1, nor (N,) texts beside size"
        )
    if size not in (photo.size, photo.stored):
        raise ValueError(
            f"its masks are {size[1]}x{size[0]}, the image is {photo.size[1]}x{photo.size[0]}"
        )
    if shape[0] > MOST:
        raise ValueError(f"it holds {shape[0]} masks, more than {MOST}")
    return size


def _mask(value: Any, photo: Photo) -> BoolArray:
    if isinstance(value, np.ndarray):
        if value.dtype != bool and not set(np.unique(value).tolist()) <= {0, value.max(initial=0)}:
            raise ValueError("a mask holds more than one value beside 0")
        return np.asarray(value > 0)
    text = value.decode("ascii") if isinstance(value, bytes) else str(value)
    code: rle.Rle = {"size": list(photo.size), "counts": text}
    rle.require(code, photo.size)
    return np.asarray(rle.decode([code], photo.size)[0])
