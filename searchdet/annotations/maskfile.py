"""Pictures that are masks: black and white, 0 and 1, indices of classes, or drawn on a clear ground."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter

from ..errors import ExemplarError
from ..images import LoadedImage
from ..images.stored import Stored

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.integer[Any]]
VOID = (255, 65535)
"""Indices by which sets mark what is of no class."""
LARGEST_CLASS = 64
"""Beside an index from here on 255 may be one more of evenly spread grey levels, so it is not void."""
EDGE = 0.5
"""Share of the pixels between black and white that must lie on an edge for a mask with soft edges."""
SHOWN = 8
FEW = 16
"""Colours of a picture that can still be a mask."""
_SAVE = "Save it as PNG with black for the background and white for the object."


def object_in(found: Stored, path: Path, index: int | None = None) -> BoolArray:
    """The object (H, W) in a mask file. index: which of several indices it is. Raises ExemplarError
    where that cannot be told."""
    if found.clear is not None and (found.palette is None or index is None):
        opaque = found.values[~found.clear]
        if not len(opaque) or (opaque == opaque[:1]).all():  # drawn in one colour, black too
            return ~found.clear
    if found.values.ndim == 3:
        return _in_colours(found, path)
    values, indexed = _numbers(found, path)
    if found.clear is not None:
        values = np.where(found.clear, 0, values)
    every = np.unique(values)
    if found.lossy and len(every) > 1:
        return _in_lossy(values, path)
    some = [int(value) for value in every if value > 0]
    white = 1 if found.bits == 1 else (1 << found.bits) - 1
    if not indexed and some == [white]:  # black and white, whatever index is wanted elsewhere
        return np.asarray(values == white)
    if not indexed and len(some) > 1 and _is_soft(values, some, found.bits):
        return np.asarray(values > white // 2)
    return np.asarray(values == _chosen([int(value) for value in every], indexed, path, index))


def objects_in(found: Stored, path: Path) -> Iterator[BoolArray]:
    """Every object (H, W) in a file of masks: one for each index above 0 but void, or the one that a
    black and white picture shows; none where all is 0. Raises ExemplarError for what is no mask."""
    if found.values.ndim == 3:
        yield _in_colours(found, path)
        return
    values, indexed = _numbers(found, path)
    if found.clear is not None:
        values = np.where(found.clear, 0, values)
    some = [int(value) for value in np.unique(values) if value > 0]
    white = 1 if found.bits == 1 else (1 << found.bits) - 1
    if found.lossy and some:
        yield _in_lossy(values, path)
    elif not indexed and some == [white]:
        yield np.asarray(values == white)
    elif not indexed and len(some) > 1 and _is_soft(values, some, found.bits):
        yield np.asarray(values > white // 2)
    else:
        for value in _without_void(some, indexed):
            yield np.asarray(values == value)


def _without_void(some: list[int], indexed: bool) -> list[int]:
    """The indices that are objects. Beside many others 255 may be one more of them."""
    others = [value for value in some if value not in VOID]
    void = indexed or all(value < LARGEST_CLASS for value in others)
    return others if void and (others or indexed) else some


def _chosen(every: list[int], indexed: bool, path: Path, index: int | None) -> int:
    """The index of the object among those in a mask; 1, which marks nothing, where all is 0."""
    some = [value for value in every if value > 0]
    ids = _without_void(some, indexed)
    if index is not None:
        if index not in every:
            raise ExemplarError(
                f"{path}: has no pixel of index {index} (it has {_list(some)}).",
                "Name one that it has: --mask-index N.",
            )
        return index
    if len(ids) > 1:
        raise ExemplarError(
            f"{path}: holds {len(ids)} indices ({_list(ids)}); one of them is the object.",
            f"Name it: --mask-index {ids[-1]}.",
        )
    if some and not ids:
        raise ExemplarError(
            f"{path}: holds only void ({_list(some)}), which is no object.", "Mark the object in it."
        )
    return ids[0] if ids else 1


def _list(values: list[int]) -> str:
    more = ", ..." if len(values) > SHOWN else ""
    return ", ".join(str(value) for value in values[:SHOWN]) + more if values else "none"


def _numbers(found: Stored, path: Path) -> tuple[IntArray, bool]:
    """Whole numbers (H, W), and whether they are indices rather than shades of grey."""
    values = found.values
    if found.palette is not None:
        shades = _shades(found, found.palette)
        return (values, True) if shades is None else (shades, False)
    if values.dtype.kind == "u":  # small as they are: masks are as large as photos
        return values, False
    whole = values.dtype.kind != "f" or bool((values == np.rint(values)).all())
    if not whole or (np.abs(values) > 1 << 31).any():
        raise ExemplarError(f"{path}: holds fractions, which are no mask.", _SAVE)
    return values.astype(np.int64), False


def _shades(found: Stored, palette: npt.NDArray[np.uint8]) -> IntArray | None:
    """The colours of a palette as shades of grey, where it is a grey picture and not indices of
    classes: black and white alone, or black to white with soft edges."""
    used = palette[np.unique(found.values if found.clear is None else found.values[~found.clear])]
    if (used != used[:, :1]).any():
        return None
    levels = sorted({int(level) for level in used[:, 0]})
    shades: IntArray = palette[:, 0][found.values]
    if levels in ([0, 255], [255]):
        return shades
    some = [level for level in levels if level]
    return shades if len(some) > 1 and _is_soft(shades, some, 8) else None


def _is_soft(values: IntArray, some: list[int], bits: int) -> bool:
    """Whether what lies between black and white are edges: pixels between darker and lighter ones. An
    index fills areas, and void parts it from what is 0."""
    white = (1 << bits) - 1
    if some[-1] < white - white // 50:
        return False
    between = (values > 0) & (values < some[-1])
    steep = (minimum_filter(values, 3) < values) & (values < maximum_filter(values, 3))
    return bool((steep & between).sum() >= EDGE * between.sum())


def _in_lossy(values: IntArray, path: Path) -> BoolArray:
    if not two_shades(values):
        raise ExemplarError(f"{path}: is not clearly black and white.", _SAVE)
    return np.asarray(values >= 128)


def two_shades(values: npt.NDArray[Any]) -> bool:
    """Whether shades 0 to 255 are near black or near white, but for the edges between them."""
    light, dark = int((values >= 192).sum()), int((values < 64).sum())
    return light > 0 and dark > 0 and values.size - light - dark <= EDGE * min(light, dark)


def _in_colours(found: Stored, path: Path) -> BoolArray:
    """The one colour on black; edges may be soft."""
    colours = found.values.astype(np.int32)
    codes: IntArray = (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]
    if found.clear is not None:
        codes = np.where(found.clear, 0, codes)
    some = [int(code) for code in np.unique(codes) if code]
    if len(some) == 1:
        return np.asarray(codes == some[0])
    flat = (minimum_filter(codes, 3) == maximum_filter(codes, 3)) & (codes > 0)
    areas = np.unique(codes[flat])
    if found.lossy or len(areas) != 1 or not (codes == 0).any():
        raise ExemplarError(
            f"{path}: is a picture of {len(some)} colours, and which is the object is not said.", _SAVE
        )
    level = np.where(found.clear, 0, colours.max(axis=2)) if found.clear is not None else colours.max(2)
    peak = max(int(areas[0]) >> 16, int(areas[0]) >> 8 & 255, int(areas[0]) & 255)
    return np.asarray(level * 2 >= peak)


def looks_like_mask(image: LoadedImage) -> bool:
    """Whether a picture could be a mask: a few flat colours on black, or black and white."""
    pixels = image.pixels
    shades = pixels.max(axis=2)
    if two_shades(shades) and int(np.ptp(pixels, axis=2).max()) < 64:
        return True
    codes = np.unique(pixels.reshape(-1, 3)[:: max(1, shades.size // 65536)], axis=0)
    if len(codes) > FEW or (shades > 0).all():
        return False
    return len(np.unique(pixels.reshape(-1, 3), axis=0)) <= FEW
