"""Weights of MobileSAM (Zhang et al. 2023, arXiv 2306.14289), as its authors publish them. SAM-HQ's
smallest has the same encoder, and is built here but for what SAM-HQ adds.

The variant is read off the tensor shapes, so smaller and larger TinyViTs of the same family load too.
As everywhere, a file fits completely or is refused.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CheckpointError
from ...weights import (
    MOBILE_SAM,
    Compute,
    Fit,
    Layout,
    Lazy,
    LoadedBefore,
    StateDict,
    load_or_wait,
    published,
    rename,
)
from ..sam.family import Family, count, decoder_shape, fill_family, join

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

    from .modules import LayerShape, TinyShape

PUBLISHED = (published.mobile_sam(),)
STEM = "image_encoder.patch_embed.seq.0.c.weight"
UNUSED = r"image_encoder\.(norm_head|head)\.(weight|bias)"
"""The classifier that TinyViT was trained with on ImageNet."""
LAYOUTS = (
    Layout(
        "MobileSAM",
        lambda names: STEM in names,
        lambda state: rename(state, (), UNUSED),
    ),
)
SIDE = 1024
"""Pixels a side of what MobileSAM sees; no tensor tells it."""
_ENCODER = "image_encoder."
_KIND = "SAM with a TinyViT encoder"
_DEPTHS = range(3, 8)
"""Layers with which features have 8 to 128 cells a side."""


def shape_of(state: StateDict, image: int = SIDE) -> TinyShape:
    """Variant of the encoder in a checkpoint, for pictures of ``image`` pixels a side. Raises
    CheckpointError where it is no TinyViT."""
    from .modules import TinyShape

    depth = count(state, f"{_ENCODER}layers.")
    if depth not in _DEPTHS:
        raise CheckpointError(f"not a {_KIND} ({depth} layers).")
    try:
        shape = TinyShape(
            stem=state[STEM].shape[0],
            layers=tuple(_layer(state, f"{_ENCODER}layers.{i}.") for i in range(depth)),
            out=state[f"{_ENCODER}neck.0.weight"].shape[0],
            image=image,
        )
        sizes = [size for layer in shape.layers for size in (layer.dim, layer.depth, layer.hidden)]
        if min(shape.stem, shape.out, *sizes) < 1:
            raise ValueError("a layer of no channels")
        return shape
    except KeyError as error:
        raise CheckpointError(f"of the tensors of a {_KIND} {error.args[0]} is missing.") from error
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"not a {_KIND} ({error}).") from error


def _layer(state: StateDict, prefix: str) -> LayerShape:
    from .modules import LayerShape

    depth, first = count(state, f"{prefix}blocks."), f"{prefix}blocks.0."
    if f"{first}conv1.c.weight" in state:
        hidden, dim = state[f"{first}conv1.c.weight"].shape[:2]
        return LayerShape(dim, depth, hidden)
    heads, distances = state[f"{first}attn.attention_biases"].shape
    hidden, dim = state[f"{first}mlp.fc1.weight"].shape
    window = math.isqrt(distances)
    if window * window != distances or not heads or dim % heads:
        raise ValueError(f"{heads} heads and {distances} distances for {dim} channels")
    kernel = state[f"{first}local_conv.c.weight"].shape[-1]
    if not kernel % 2:
        raise ValueError(f"a convolution of {kernel} cells")
    return LayerShape(dim, depth, hidden, heads, window, kernel)


def build(state: StateDict, image: int = SIDE) -> Sam:
    """Modules for a checkpoint, with no weights of their own. Raises CheckpointError."""
    from .modules import TinyViT

    shape = shape_of(state, image)
    try:
        decoder = decoder_shape(state)
    except KeyError as error:
        raise CheckpointError(f"of the tensors of a {_KIND} {error.args[0]} is missing.") from error
    except IndexError as error:
        raise CheckpointError(f"not a {_KIND} ({error}).") from error
    return join(TinyViT(shape), decoder, shape.image, shape.grid)


FAMILY = Family(
    MOBILE_SAM,
    LAYOUTS,
    build,
    f"Use {PUBLISHED[0].filename} from {PUBLISHED[0].source}.",
)


def load_mobile_sam(
    path: Path,
    compute: Compute,
    allow_unverified: bool = False,
    before: LoadedBefore | None = None,
) -> Lazy[Sam]:
    """A MobileSAM on its device, completely filled from ``path``: now, or if that file has filled it
    before, when it is first asked for. Raises CheckpointError."""
    return load_or_wait(
        MOBILE_SAM,
        path,
        PUBLISHED,
        allow_unverified,
        lambda: fill_mobile_sam(path, compute),
        before,
    )


def fill_mobile_sam(path: Path, compute: Compute, state: StateDict | None = None) -> tuple[Sam, Fit]:
    """``load_mobile_sam`` for a file whose identity is known. state: what ``read_state_dict`` gave of
    it, where that is there already."""
    return fill_family(FAMILY, path, compute, state)
