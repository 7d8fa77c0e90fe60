"""Names of the tensors of DINOv3 and DINOv2 vision transformers: Meta's, timm's and transformers'."""

from __future__ import annotations

import re

from ..errors import CheckpointError
from ..weights import Layout, StateDict, rename

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
_META_V2_RULES = (
    (r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),  # while training, blocks lie in chunks
    (r"\.mlp\.w12\.", ".mlp.fc1."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
    (r"^register_tokens$", "reg_token"),
)
_TRANSFORMERS_V2_RULES = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^encoder\.layer\.", "blocks."),
    (r"^layernorm\.", "norm."),
    (r"\.layer_scale(\d)\.lambda1$", r".ls\1.gamma"),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.attention\.(attention\.)?([qkv])(uery|ey|alue|_proj)\.", r".attn.\2_proj."),
    (r"\.mlp\.weights_in\.", ".mlp.fc1."),
    (r"\.mlp\.(weights_out|down_proj)\.", ".mlp.fc2."),
)
_UNUSED_V3 = r"mask_token|blocks\.\d+\.attn\.qkv\.bias_mask|local_cls_norm\.(weight|bias)"
"""``local_cls_norm`` is of the small crops that the network saw while it was trained."""
PERIODS = "rope_embed.periods"


def _from_meta_v3(state: StateDict) -> StateDict:
    """Official names. The key bias is masked to zero there (``bias_mask``), so it must not matter."""
    renamed = rename(state, _META_V3_RULES, unused=_UNUSED_V3)
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
    renamed = rename(state, _TRANSFORMERS_V3_RULES, unused=r"embeddings\.mask_token")
    gated = any(".mlp.fc1_g." in name for name in renamed)
    renamed = rename(renamed, ((r"\.mlp\.up_proj\.", ".mlp.fc1_x." if gated else ".mlp.fc1."),))
    _join(renamed, "weight")
    for name in [name for name in renamed if name.endswith((".attn.q_proj.bias", ".attn.v_proj.bias"))]:
        renamed[re.sub(r"([qv])_proj\.bias$", r"\1_bias", name)] = renamed.pop(name)
    return renamed


def _join(renamed: StateDict, kind: str) -> None:
    """Put query, key and value together, in place. Raises CheckpointError where one is not there."""
    import torch

    for name in [name for name in renamed if name.endswith(f".attn.q_proj.{kind}")]:
        stem = name.removesuffix(f"q_proj.{kind}")
        parts = [renamed.pop(f"{stem}{part}_proj.{kind}", None) for part in "qkv"]
        if any(part is None for part in parts):
            raise CheckpointError(f"{stem}: query, key and value of {kind} are not all there.")
        renamed[f"{stem}qkv.{kind}"] = torch.cat([part for part in parts if part is not None])


def _from_transformers_v2(state: StateDict) -> StateDict:
    """transformers' names, as the hub has them and as its newest code has them."""
    import torch

    renamed = rename(state, _TRANSFORMERS_V2_RULES, unused=r"embeddings\.mask_token")
    _join(renamed, "weight")
    _join(renamed, "bias")
    for name in [name for name in renamed if ".mlp.gate_proj." in name]:
        up = renamed.pop(name.replace("gate_proj", "up_proj"), None)
        if up is None:
            raise CheckpointError(f"{name} is there without its up_proj.")
        renamed[name.replace("gate_proj", "fc1")] = torch.cat([renamed.pop(name), up])
    return renamed


def _positions_of_patches(state: StateDict) -> StateDict:
    """As timm has networks with registers: the position of the CLS token is added to the token."""
    positions, first = state.get("pos_embed"), state.get("cls_token")
    if positions is not None and first is not None and positions.ndim == first.ndim == 3:
        state["cls_token"] = first + positions[:, :1]
        state["pos_embed"] = positions[:, 1:].clone()
    return state


def _from_meta_v2(state: StateDict) -> StateDict:
    return rename(state, _META_V2_RULES, unused="mask_token")


def _is_meta_v2(names: frozenset[str]) -> bool:
    scales = {"blocks.0.ls1.gamma", "blocks.0.0.ls1.gamma"}
    return {"pos_embed", "mask_token"} <= names and bool(scales & names)


def _is_transformers_v2(names: frozenset[str]) -> bool:
    return {"embeddings.position_embeddings", "encoder.layer.0.layer_scale1.lambda1"} <= names


LAYOUTS_V3 = (
    Layout("Meta", lambda names: "storage_tokens" in names, _from_meta_v3),
    Layout(
        "timm",
        lambda names: "reg_token" in names and "pos_embed" not in names,
        lambda state: rename(state, ()),
    ),
    Layout(
        "transformers",
        lambda names: (
            "embeddings.register_tokens" in names and "embeddings.position_embeddings" not in names
        ),
        _from_transformers_v3,
    ),
)
LAYOUTS_V2 = (
    Layout("Meta", _is_meta_v2, _from_meta_v2),
    Layout(
        "timm",
        lambda names: {"pos_embed", "blocks.0.ls1.gamma"} <= names,
        lambda state: rename(state, ()),
    ),
    Layout("transformers", _is_transformers_v2, _from_transformers_v2),
)
LAYOUTS_V2_REGISTERS = (
    Layout(
        "Meta",
        lambda names: _is_meta_v2(names) and "register_tokens" in names,
        lambda state: _positions_of_patches(_from_meta_v2(state)),
    ),
    Layout(
        "timm",
        lambda names: {"pos_embed", "reg_token", "blocks.0.ls1.gamma"} <= names,
        lambda state: rename(state, ()),
    ),
    Layout(
        "transformers",
        lambda names: _is_transformers_v2(names) and "embeddings.register_tokens" in names,
        lambda state: _positions_of_patches(_from_transformers_v2(state)),
    ),
)
