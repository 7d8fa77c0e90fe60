"""DINOv3 and DINOv2 vision transformers on timm's modules.

A ViT's global vector is its CLS token, so no pooling of patches equals it. Both sides of every
comparison pool the official patch tokens, that is, the tokens after the final norm
(``x_norm_patchtokens``): DINOv2 without registers has a few background tokens of ten times the usual
length (Darcet et al. 2023, arXiv 2309.16588), which would rule any mean taken before the norm.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import CheckpointError
from ..weights import StateDict
from ..weights.published import dinov2, dinov3
from .types import BackboneSpec, Network, no_finish
from .vitnames import LAYOUTS_V2, LAYOUTS_V2_REGISTERS, LAYOUTS_V3, PERIODS

if TYPE_CHECKING:
    from torch import Tensor


def build_v3(spec: BackboneSpec, state: StateDict) -> Network:
    """timm's Eva as DINOv3, with query and value biases where the file has them."""
    import timm

    biased = any(name.endswith(".attn.q_bias") for name in state)
    periods = state.pop(PERIODS, None)
    network = timm.create_model(num_classes=0, qkv_bias=biased, dynamic_img_size=True, **spec.arch)
    _settle_buffers(network, periods)
    return network


def _settle_buffers(network: Network, periods: Tensor | None) -> None:
    """Fill what is not in timm's state dict. The official file brings the RoPE periods rounded to
    bfloat16; timm's are exact, which shifts every token, so the file's own are used where it has them.
    """
    import torch

    rope = network.rope
    exact = rope._compute_periods()
    if periods is not None:
        near = periods.shape == exact.shape and torch.allclose(periods.float(), exact, rtol=0.01)
        if not near:
            raise CheckpointError(f"{PERIODS} is not DINOv3's; the file is another network's.")
        exact = periods.float()
    rope.register_buffer("periods", exact.clone(), persistent=False)
    for block in network.blocks:
        bias = block.attn.k_bias
        if bias is not None:
            zeros = torch.zeros(bias.shape, device="cpu")  # the builder runs on the meta device
            block.attn.register_buffer("k_bias", zeros, persistent=False)


def run_v3(network: Network, batch: Tensor) -> tuple[Tensor, ...]:
    """Normed patch tokens as a map (N, C, h, w)."""
    tokens = network.forward_features(batch)[:, network.num_prefix_tokens :]
    return _as_map(network, batch, tokens)


def _as_map(network: Network, batch: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    rows, columns = (
        size // patch
        for size, patch in zip(batch.shape[-2:], network.patch_embed.patch_size, strict=True)
    )
    return (tokens.transpose(1, 2).reshape(len(tokens), -1, rows, columns),)


def build_v2(spec: BackboneSpec, state: StateDict) -> Network:
    """timm's ViT as DINOv2."""
    import timm

    return timm.create_model(num_classes=0, dynamic_img_size=True, **spec.arch)


def run_v2(network: Network, batch: Tensor) -> tuple[Tensor, ...]:
    """Normed patch tokens as a map (N, C, h, w), with the official position interpolation."""
    import torch

    patches = network.patch_embed(batch)
    count, rows, columns, width = patches.shape
    first = network.cls_token.expand(count, -1, -1)
    tokens = torch.cat([first, patches.reshape(count, -1, width)], dim=1)
    tokens = tokens + official_positions(network.pos_embed, rows, columns)
    tokens = network.norm(network.blocks(tokens))
    return _as_map(network, batch, tokens[:, 1:])


def run_v2_registers(network: Network, batch: Tensor) -> tuple[Tensor, ...]:
    """The same of a network with registers, whose positions are of patches alone."""
    import torch

    patches = network.patch_embed(batch)
    count, rows, columns, width = patches.shape
    tokens = patches.reshape(count, -1, width)
    tokens = tokens + positions_with_registers(network.pos_embed, rows, columns)
    before = [token.expand(count, -1, -1) for token in (network.cls_token, network.reg_token)]
    tokens = network.norm(network.blocks(torch.cat([*before, tokens], dim=1)))
    return _as_map(network, batch, tokens[:, network.num_prefix_tokens :])


def official_positions(positions: Tensor, rows: int, columns: int) -> Tensor:
    """DINOv2's position embedding (1, 1 + rows * columns, C) for any grid.

    Bicubic without antialiasing and with the scale (n + 0.1) / N, as DINOv2 was evaluated; timm's own
    resampling differs.
    """
    import torch
    from torch.nn import functional as F

    side = math.isqrt(positions.shape[1] - 1)
    if (rows, columns) == (side, side):
        return positions
    scale = ((rows + 0.1) / side, (columns + 0.1) / side)
    grid = _as_grid(positions[:, 1:], side)
    resized = F.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=False)
    return torch.cat([positions[:, :1], resized.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def positions_with_registers(positions: Tensor, rows: int, columns: int) -> Tensor:
    """The position embedding (1, rows * columns, C) of DINOv2 with registers for any grid: bicubic with
    antialiasing and to the exact size, as these were evaluated."""
    from torch.nn import functional as F

    side = math.isqrt(positions.shape[1])
    if (rows, columns) == (side, side):
        return positions
    grid = _as_grid(positions, side)
    resized = F.interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True)
    return resized.permute(0, 2, 3, 1).flatten(1, 2)


def _as_grid(positions: Tensor, side: int) -> Tensor:
    """(1, side * side, C) -> (1, C, side, side)"""
    return positions.reshape(1, side, side, -1).permute(0, 3, 1, 2)


def _v3(name: str, dim: int, timm_name: str, prefix: str, satellite: str = "") -> BackboneSpec:
    """satellite: digits in the name of the file that was trained on satellite photographs, if any."""
    return BackboneSpec(
        name=f"dinov3_{name}",
        dim=dim,
        stride=16,
        published=dinov3(f"dinov3_{name}", prefix, satellite),
        data=("lvd1689m", "sat493m") if satellite else ("lvd1689m",),
        marks={"local_cls_norm.weight": "sat493m"} if name == "vitl16" else {},
        layouts=LAYOUTS_V3,
        build=build_v3,
        run=run_v3,
        finish=no_finish,
        short_side=512,
        arch={"model_name": timm_name},
    )


def _v2(size: str, dim: int, timm_size: str, sha256: str) -> BackboneSpec:
    return BackboneSpec(
        name=f"dinov2_{size}",
        dim=dim,
        stride=14,
        published=dinov2(f"dinov2_{size}", timm_size, sha256),
        data=("lvd142m",),
        layouts=LAYOUTS_V2,
        build=build_v2,
        run=run_v2,
        finish=no_finish,
        short_side=518,
        arch={"model_name": f"vit_{timm_size}_patch14_dinov2"},
    )


def _v2_registers(size: str, dim: int, timm_size: str) -> BackboneSpec:
    """The same with four registers; the hash of its file is not known."""
    return replace(
        _v2(size, dim, timm_size, ""),
        name=f"dinov2_{size}_reg",
        published=dinov2(f"dinov2_{size}_reg", timm_size, ""),
        layouts=LAYOUTS_V2_REGISTERS,
        run=run_v2_registers,
        arch={"model_name": f"vit_{timm_size}_patch14_reg4_dinov2"},
    )


SPECS = (
    _v3("vits16", 384, "vit_small_patch16_dinov3", "08c60483"),
    _v3("vits16plus", 384, "vit_small_plus_patch16_dinov3", "4057cbaa"),
    _v3("vitb16", 768, "vit_base_patch16_dinov3", "73cec8be"),
    _v3("vitl16", 1024, "vit_large_patch16_dinov3", "8aa4cbdd", "eadcf0ff"),
    _v3("vith16plus", 1280, "vit_huge_plus_patch16_dinov3", "7c1da9a5"),
    _v3("vit7b16", 4096, "vit_7b_patch16_dinov3", "a955f4ea", "a6675841"),
    _v2("s", 384, "small", "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
    _v2("b", 768, "base", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
    _v2("l", 1024, "large", "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
    _v2("g", 1536, "giant", "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3"),
    _v2_registers("s", 384, "small"),
    _v2_registers("b", 768, "base"),
    _v2_registers("l", 1024, "large"),
    _v2_registers("g", 1536, "giant"),
)
