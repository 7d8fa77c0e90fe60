"""DINOv3 and DINOv2 vision transformers on timm's modules.

A ViT's global vector is its CLS token, so no pooling of patches equals it. Both sides of every
comparison pool the official patch tokens, that is, the tokens after the final norm
(``x_norm_patchtokens``): DINOv2 without registers has a few background tokens of ten times the usual
length (Darcet et al. 2023, arXiv 2309.16588), which would rule any mean taken before the norm.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import CheckpointError
from ..weights import Layout, StateDict, rename
from ..weights.published import dinov2, dinov3
from .types import BackboneSpec, Network, no_finish

if TYPE_CHECKING:
    from torch import Tensor

_META_V3_RULES = (
    (r"^storage_tokens$", "reg_token"),
    (r"\.ls(\d)\.gamma$", r".gamma_\1"),
    (r"\.mlp\.w1\.", ".mlp.fc1_g."),
    (r"\.mlp\.w2\.", ".mlp.fc1_x."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
)
_TRANSFORMERS_V3_RULES = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.patch_embeddings\.", "patch_embed.proj."),
    (r"^(model\.)?layer\.", "blocks."),
    (r"\.layer_scale(\d)\.lambda1$", r".gamma_\1"),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.attention\.", ".attn."),
    (r"\.mlp\.gate_proj\.", ".mlp.fc1_g."),
    (r"\.mlp\.down_proj\.", ".mlp.fc2."),
)
_META_V2_RULES = ((r"\.mlp\.w12\.", ".mlp.fc1."), (r"\.mlp\.w3\.", ".mlp.fc2."))
PERIODS = "rope_embed.periods"


def _from_meta_v3(state: StateDict) -> StateDict:
    """Official names. The key bias is masked to zero there (``bias_mask``), so it must not matter."""
    renamed = rename(state, _META_V3_RULES, unused=r"mask_token|blocks\.\d+\.attn\.qkv\.bias_mask")
    for name in [name for name in renamed if name.endswith(".attn.qkv.bias")]:
        bias, mask = renamed.pop(name), state.get(f"{name}_mask")
        if mask is not None and mask.shape != bias.shape:
            raise CheckpointError(f"{name} and its mask are of different shapes.")
        query, key, value = (bias if mask is None else bias * mask).chunk(3)
        if bool(key.any()):
            raise CheckpointError(f"{name} has a key bias, which DINOv3 does not have.")
        stem = name.removesuffix("qkv.bias")
        renamed[f"{stem}q_bias"], renamed[f"{stem}v_bias"] = query.clone(), value.clone()
    return renamed


def _from_transformers_v3(state: StateDict) -> StateDict:
    """transformers' names: separate query, key and value matrices are joined, no key bias."""
    import torch

    renamed = rename(state, _TRANSFORMERS_V3_RULES, unused=r"embeddings\.mask_token")
    gated = any(".mlp.fc1_g." in name for name in renamed)
    renamed = rename(renamed, ((r"\.mlp\.up_proj\.", ".mlp.fc1_x." if gated else ".mlp.fc1."),))
    for name in [name for name in renamed if name.endswith(".attn.q_proj.weight")]:
        stem = name.removesuffix("q_proj.weight")
        parts = [renamed.pop(f"{stem}{part}_proj.weight", None) for part in "qkv"]
        if any(part is None for part in parts):
            raise CheckpointError(f"{stem}: query, key and value matrices are not all there.")
        renamed[f"{stem}qkv.weight"] = torch.cat([part for part in parts if part is not None])
        for part in "qv":
            if f"{stem}{part}_proj.bias" in renamed:
                renamed[f"{stem}{part}_bias"] = renamed.pop(f"{stem}{part}_proj.bias")
    return renamed


def _is_meta_v2(names: frozenset[str]) -> bool:
    return {"pos_embed", "mask_token", "blocks.0.ls1.gamma"} <= names


LAYOUTS_V3 = (
    Layout("Meta", lambda names: "storage_tokens" in names, _from_meta_v3),
    Layout("timm", lambda names: "reg_token" in names, lambda state: rename(state, ())),
    Layout(
        "transformers",
        lambda names: "embeddings.register_tokens" in names,
        _from_transformers_v3,
    ),
)
LAYOUTS_V2 = (
    Layout("Meta", _is_meta_v2, lambda state: rename(state, _META_V2_RULES, unused="mask_token")),
    Layout(
        "timm",
        lambda names: {"pos_embed", "blocks.0.ls1.gamma"} <= names,
        lambda state: rename(state, ()),
    ),
)


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
    grid = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((rows + 0.1) / side, (columns + 0.1) / side)
    resized = F.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=False)
    return torch.cat([positions[:, :1], resized.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def _v3(name: str, dim: int, timm_name: str, prefix: str) -> BackboneSpec:
    return BackboneSpec(
        name=f"dinov3_{name}",
        dim=dim,
        stride=16,
        published=dinov3(f"dinov3_{name}", prefix),
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
        layouts=LAYOUTS_V2,
        build=build_v2,
        run=run_v2,
        finish=no_finish,
        short_side=518,
        arch={"model_name": f"vit_{timm_size}_patch14_dinov2"},
    )


SPECS = (
    _v3("vits16", 384, "vit_small_patch16_dinov3", "08c60483"),
    _v3("vits16plus", 384, "vit_small_plus_patch16_dinov3", "4057cbaa"),
    _v3("vitb16", 768, "vit_base_patch16_dinov3", "73cec8be"),
    _v3("vitl16", 1024, "vit_large_patch16_dinov3", "8aa4cbdd"),
    _v3("vith16plus", 1280, "vit_huge_plus_patch16_dinov3", "7c1da9a5"),
    _v2("s", 384, "small", "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
    _v2("b", 768, "base", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
    _v2("l", 1024, "large", "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
    _v2("g", 1536, "giant", "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3"),
)
