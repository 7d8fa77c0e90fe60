"""Weights of SAM-HQ (Ke et al. 2023, arXiv 2306.01567).

A SAM, and five modules of its mask decoder beside. The variant is read off the tensor shapes, by the
names of the authors (``sam_hq_vit_b.pth``, ``_l``, ``_h``) and by those of transformers. The smallest
(``sam_hq_vit_tiny.pth``) has MobileSAM's encoder, a TinyViT.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointError
from ...weights import SAM_HQ, Compute, Fit, Lazy, LoadedBefore, StateDict, load_or_wait, published
from ..mobile_sam import weights as tiny
from ..sam.family import Family, fill_family
from ..sam.layouts import Rules, hub, meta
from ..sam.weights import build, shape_of

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

PUBLISHED = (
    *(published.sam_hq(size) for size in ("b", "l", "h", "tiny")),
    *(published.sam_hq_hub(size) for size in ("base", "large", "huge")),
)
_HUB: Rules = (
    (r"^mask_decoder\.hq_token\.", "mask_decoder.hf_token."),
    (r"^mask_decoder\.hq_mask_mlp\.", "mask_decoder.hf_mlp."),
    (r"^mask_decoder\.compress_vit_conv1\.", "mask_decoder.compress_vit_feat.0."),
    (r"^mask_decoder\.compress_vit_norm\.", "mask_decoder.compress_vit_feat.1."),
    (r"^mask_decoder\.compress_vit_conv2\.", "mask_decoder.compress_vit_feat.3."),
    (r"^mask_decoder\.encoder_conv1\.", "mask_decoder.embedding_encoder.0."),
    (r"^mask_decoder\.encoder_norm\.", "mask_decoder.embedding_encoder.1."),
    (r"^mask_decoder\.encoder_conv2\.", "mask_decoder.embedding_encoder.3."),
    (r"^mask_decoder\.mask_conv1\.", "mask_decoder.embedding_maskfeature.0."),
    (r"^mask_decoder\.mask_norm\.", "mask_decoder.embedding_maskfeature.1."),
    (r"^mask_decoder\.mask_conv2\.", "mask_decoder.embedding_maskfeature.3."),
)
_MOST_LAYERS = 4
_TOKEN, _EARLY = "mask_decoder.hf_token.weight", "mask_decoder.compress_vit_feat.0.weight"


def build_hq(state: StateDict, side: int = tiny.SIDE) -> Sam:
    """Modules of the shapes of a checkpoint. side: pixels a side of what a TinyViT sees, which no
    tensor tells. Raises CheckpointError where it is no SAM-HQ's."""
    for name in (_TOKEN, _EARLY):
        if name not in state:
            raise CheckpointError(f"of a SAM-HQ's tensors {name} is missing.")
    sam, width = _with_tiny(state, side) if tiny.STEM in state else _with_vit(state)
    early = tuple(state[_EARLY].shape)
    if early[:1] != (width,):
        raise CheckpointError(
            f"{_EARLY} of the shape {early} is not for early features of {width} channels, which its "
            "encoder gives."
        )
    add_hq(sam.mask_decoder, width)
    return sam


def _with_vit(state: StateDict) -> tuple[Sam, int]:
    """A SAM, and the channels of its encoder's early features."""
    shape = shape_of(state)
    if not shape.global_blocks:
        raise CheckpointError(
            "no block of its encoder has global attention, whose output SAM-HQ reads."
        )
    return build(shape), shape.embed_dim


def _with_tiny(state: StateDict, side: int) -> tuple[Sam, int]:
    """The same with a TinyViT, whose early features are those after its second layer."""
    layers = tiny.shape_of(state, side).layers
    if len(layers) > _MOST_LAYERS:
        raise CheckpointError(
            f"its encoder has {len(layers)} layers; with more than {_MOST_LAYERS} the early features, "
            "which SAM-HQ reads, have more cells than the embedding."
        )
    return tiny.build(state, side), layers[2].dim


def add_hq(decoder: Any, early: int) -> None:
    """Give a mask decoder what SAM-HQ adds. early: channels of the encoder's early features."""
    from segment_anything.modeling.common import LayerNorm2d
    from segment_anything.modeling.mask_decoder import MLP
    from torch import nn

    def up(start: int, middle: int, end: int) -> nn.Sequential:
        one = nn.ConvTranspose2d(start, middle, kernel_size=2, stride=2)
        two = nn.ConvTranspose2d(middle, end, kernel_size=2, stride=2)
        return nn.Sequential(one, LayerNorm2d(middle), nn.GELU(), two)

    dim = decoder.transformer_dim
    half, fine = dim // 4, dim // 8
    decoder.hf_token = nn.Embedding(1, dim)
    decoder.hf_mlp = MLP(dim, dim, fine, 3)
    decoder.compress_vit_feat = up(early, dim, fine)
    decoder.embedding_encoder = up(dim, half, fine)
    decoder.embedding_maskfeature = nn.Sequential(
        nn.Conv2d(fine, half, 3, padding=1),
        LayerNorm2d(half),
        nn.GELU(),
        nn.Conv2d(half, fine, 3, padding=1),
    )


def load_hq(
    path: Path,
    compute: Compute,
    allow_unverified: bool = False,
    before: LoadedBefore | None = None,
) -> Lazy[Sam]:
    """A SAM-HQ on its device, completely filled from ``path``: now, or if that file has filled it
    before, when it is first asked for. Raises CheckpointError."""

    def load() -> tuple[Sam, Fit]:
        return fill_hq(path, compute)

    return load_or_wait(SAM_HQ, path, PUBLISHED, allow_unverified, load, before)


def fill_hq(path: Path, compute: Compute, state: StateDict | None = None) -> tuple[Sam, Fit]:
    """``load_hq`` for a file whose identity is known. state: what ``read_state_dict`` gave of it,
    where that is there already."""
    return fill_family(FAMILY, path, compute, state)


FAMILY = Family(
    SAM_HQ,
    (meta(), hub(_HUB), replace(tiny.LAYOUTS[0], name="Light HQ-SAM")),
    build_hq,
    f"Use sam_hq_vit_b, sam_hq_vit_l, sam_hq_vit_h or sam_hq_vit_tiny from {PUBLISHED[0].source}.",
)
