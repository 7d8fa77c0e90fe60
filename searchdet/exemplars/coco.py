"""Positive exemplars from a COCO file: every annotation is one, its category is the class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..annotations import Drawn, read_truth
from ..errors import DAMAGE, ExemplarError, UsageError
from ..storage import files
from .types import Found


def find_coco(path: Path, images: Path | None = None) -> list[Found]:
    """Annotations of a COCO file, crowds left out. images: the folder of its files, by default the
    file's own folder, or ``images`` beside it. Raises ExemplarError."""
    try:
        truth = read_truth(path)
    except UsageError as error:
        raise ExemplarError(error.message, error.hint or "Give a COCO file.") from error
    folder = images or _folder(path)
    labels = {truth.category(label): label for label in truth.labels}
    sizes = truth.sizes()
    found = []
    for number, item in enumerate(truth.annotations(), start=1):
        if item["iscrowd"]:
            continue
        try:
            label, name = labels[item["category_id"]], truth.names[item["image_id"]]
            drawn = _drawn(item, sizes[item["image_id"]])
        except DAMAGE as error:
            raise ExemplarError(
                f"{path}: annotation {number} cannot be used ({type(error).__name__}: {error})."
            ) from error
        where = folder / name
        if not files.is_file(where):
            raise ExemplarError(
                f"{path}: its image {name} is not in {folder}.", "Name its folder: --positive-images."
            )
        found.append(Found(where, f"{name}#{number}", label, None, drawn))
    if not found:
        raise ExemplarError(f"{path}: has no annotation to use as an example.")
    return found


def _folder(path: Path) -> Path:
    beside = path.parent / "images"
    return beside if beside.is_dir() else path.parent


def _drawn(item: Mapping[str, Any], size: tuple[int, int]) -> Drawn:
    shape = item.get("segmentation")
    if isinstance(shape, list) and shape:
        polygons = tuple(tuple(float(v) for v in points) for points in shape)
        if any(len(points) < 6 or len(points) % 2 for points in polygons):
            raise ValueError("a polygon needs three points")
        return Drawn(size, "coco", polygons=polygons)
    if isinstance(shape, dict):
        return Drawn(size, "coco", encodings=(shape,))
    x, y, width, height = (float(v) for v in item["bbox"])
    return Drawn(size, "box", boxes=((x, y, x + width, y + height),))
