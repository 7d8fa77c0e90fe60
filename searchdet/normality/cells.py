"""Vectors of the cells of a feature map, as normality compares them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..backbones import FeatureMap
from ..embeddings import l2_normalize

FloatArray = npt.NDArray[np.float32]
CELL = 8
"""Pixels, of what the backbone sees, of a cell: finer ones are averaged, as what is normal is a texture
and no single pixel."""


def cells_of(feature_map: FeatureMap, stride: int) -> FloatArray:
    """(h, w, D) unit vectors of the cells of a map whose finest cells are of ``stride`` pixels; coarser
    maps are read between their cells (bilinear)."""
    import torch
    from torch.nn import functional as F

    first, *rest = feature_map.layers
    times = max(1, CELL // stride)
    rows, columns = (math.ceil(side / times) for side in feature_map.grid)
    parts = [F.avg_pool2d(first[None], times, ceil_mode=True)[0] if times > 1 else first]
    for layer in rest:
        parts.append(
            F.interpolate(layer[None], (rows, columns), mode="bilinear", align_corners=False)[0]
        )
    flat = torch.cat([part.flatten(1) for part in parts]).T.contiguous()
    return l2_normalize(feature_map.finish(flat).numpy()).reshape(rows, columns, -1)
