"""DINOv3 ConvNeXt T/S/B/L (Simeoni et al. 2025, arXiv 2508.10104) on timm's ConvNeXt modules.

The official global vector is LayerNorm(mean of the last map), so pooling comes first, then the norm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import CheckpointError
from ..weights import Layout, StateDict, rename
from ..weights.published import dinov3
from .types import BackboneSpec, Network

if TYPE_CHECKING:
    from torch import Tensor

_STAGE = r"^stages\.(\d+)"
_META_RULES = (
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (_STAGE + r"\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.pwconv(\d)\.", r".mlp.fc\1."),
    (r"^norm\.", "head.norm."),
)
_TRANSFORMERS_RULES = (
    (r"^model\.(?=stages)", ""),
    (r"^stages\.0\.downsample_layers\.", "stem."),
    (_STAGE + r"\.downsample_layers\.", r"stages.\1.downsample."),
    (_STAGE + r"\.layers\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.depthwise_conv\.", ".conv_dw."),
    (r"\.pointwise_conv(\d)\.", r".mlp.fc\1."),
    (r"\.layer_norm\.", ".norm."),
    (r"^layer_norm\.", "head.norm."),
)


_FIRST = frozenset(f"{place}stages.0.downsample_layers.0.weight" for place in ("", "model."))


def _from_meta(state: StateDict) -> StateDict:
    """Official names. ``norms.3`` is the same module as ``norm``; where they differ, refuse."""
    for part in ("weight", "bias"):
        twin, norm = state.get(f"norms.3.{part}"), state.get(f"norm.{part}")
        if twin is not None and norm is not None and not twin.equal(norm):
            raise CheckpointError(f"norms.3.{part} differs from norm.{part}, its twin.")
    return rename(state, _META_RULES, unused=r"norms\.3\.(weight|bias)")


LAYOUTS = (
    Layout("Meta", lambda names: "downsample_layers.0.0.weight" in names, _from_meta),
    Layout("timm", lambda names: "stem.0.weight" in names, lambda state: rename(state, ())),
    Layout(
        "transformers",
        lambda names: bool(_FIRST & names),
        lambda state: rename(state, _TRANSFORMERS_RULES),
    ),
)


def build(spec: BackboneSpec, state: StateDict) -> Network:
    """timm's ConvNeXt without a classifier."""
    import timm

    return timm.create_model(num_classes=0, **spec.arch)


def run(network: Network, batch: Tensor) -> tuple[Tensor, ...]:
    """Last map (N, C, h, w) before pooling and norm."""
    import torch

    return (network.forward_features(batch.contiguous(memory_format=torch.channels_last)),)


def finish(network: Network) -> Callable[[Tensor], Tensor]:
    """The final LayerNorm, on pooled vectors (M, C)."""
    from torch.nn import functional as F

    norm = network.head.norm
    weight, bias, eps = norm.weight.float().cpu(), norm.bias.float().cpu(), float(norm.eps)
    return lambda vectors: F.layer_norm(vectors, (vectors.shape[-1],), weight, bias, eps)


def _spec(size: str, dim: int, prefix: str) -> BackboneSpec:
    return BackboneSpec(
        name=f"dinov3_convnext_{size}",
        dim=dim,
        stride=32,
        published=dinov3(f"dinov3_convnext_{size}", prefix),
        layouts=LAYOUTS,
        build=build,
        run=run,
        finish=finish,
        short_side=768,
        data=("lvd1689m",),
        arch={"model_name": f"convnext_{size}"},
    )


SPECS = (
    _spec("tiny", 768, "21b726bb"),
    _spec("small", 768, "296db49d"),
    _spec("base", 1024, "801f2ba9"),
    _spec("large", 1536, "61fa432d"),
)
