"""What two encoded masks have in common."""

from __future__ import annotations

from .rle import Rle, area


def share_of_smaller(one: Rle, two: Rle) -> float:
    """Pixels that both masks cover, as a share of the smaller one; 0 for an empty one. Raises
    ValueError for masks of different sizes."""
    from pycocotools import mask as coco

    if one["size"] != two["size"]:
        raise ValueError(f"masks of sizes {one['size']} and {two['size']}")
    smaller = min(area(one), area(two))
    return area(coco.merge([one, two], intersect=True)) / smaller if smaller else 0.0
