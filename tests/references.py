"""Small random networks of the transformers package, and their weights in every published layout.

The renaming here is written from the official files' names, the other way round than the package's,
so that it is a second opinion and not a mirror.
"""

from __future__ import annotations

import re
from dataclasses import replace

import torch
from torch import Tensor, nn

from searchdet.backbones import SPECS, BackboneSpec

DEPTHS, DIMS = (1, 2, 3, 1), (8, 16, 24, 32)
State = dict[str, Tensor]


def shake(network: nn.Module) -> nn.Module:
    """Random values in every parameter, also where the initialisation leaves zeros and ones."""
    generator = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        scale = 0.3 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
        parameter.data = noise * scale + (0.5 if parameter.ndim == 1 else 0.0)
    return network.eval()


def convnext_reference() -> nn.Module:
    from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel

    config = DINOv3ConvNextConfig(hidden_sizes=list(DIMS), depths=list(DEPTHS))
    return shake(DINOv3ConvNextModel(config))


def vit_reference(gated: bool = False) -> nn.Module:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    config = DINOv3ViTConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_register_tokens=4,
        use_gated_mlp=gated,
        hidden_act="silu" if gated else "gelu",
        attn_implementation="eager",
    )
    return shake(DINOv3ViTModel(config))


def dinov2_reference(gated: bool = False) -> nn.Module:
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        mlp_ratio=4,
        patch_size=14,
        image_size=70,
        use_swiglu_ffn=gated,
        attn_implementation="eager",
    )
    return shake(Dinov2Model(config))


def dinov2_registers_reference(gated: bool = False) -> nn.Module:
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    config = Dinov2WithRegistersConfig(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        mlp_ratio=4,
        patch_size=14,
        image_size=70,
        num_register_tokens=4,
        use_swiglu_ffn=gated,
        attn_implementation="eager",
    )
    return shake(Dinov2WithRegistersModel(config))


def dinov2_hub(network: nn.Module) -> State:
    """The names of facebook/dinov2-* on the hub, which are older than those of the code."""
    out: State = {}
    for name, tensor in network.state_dict().items():
        if ".mlp.up_proj." in name:
            continue
        if ".mlp.gate_proj." in name:
            up = network.state_dict()[name.replace("gate_proj", "up_proj")]
            name, tensor = name.replace("gate_proj", "weights_in"), torch.cat([tensor, up])
        name = name.replace("attention.o_proj", "attention.output.dense")
        for short, word in (("q", "query"), ("k", "key"), ("v", "value")):
            name = name.replace(f"attention.{short}_proj", f"attention.attention.{word}")
        out[name.replace("mlp.down_proj", "mlp.weights_out")] = tensor.clone()
    return out


def dinov2_registers_timm(state: State) -> State:
    """timm's names, where the CLS token holds its position."""
    out: State = {}
    for name, tensor in state.items():
        if name == "mask_token":
            continue
        if name == "cls_token":
            tensor = tensor + state["pos_embed"][:, :1]
        elif name == "pos_embed":
            tensor = tensor[:, 1:]
        name = name.replace("register_tokens", "reg_token")
        out[name.replace("mlp.w12", "mlp.fc1").replace("mlp.w3", "mlp.fc2")] = tensor.clone()
    return out


def saved(network: nn.Module) -> State:
    """The state dict as transformers publishes it (without the inner ``model.`` of its newest code)."""
    state = {k: v.clone() for k, v in network.state_dict().items()}
    return {re.sub(r"^model\.(?=stages|layer)", "", k): v for k, v in state.items()}


def convnext_meta(state: State) -> State:
    out: State = {}
    for name, tensor in state.items():
        stage = re.match(r"stages\.(\d)\.(downsample_layers|layers)\.(\d+)\.?(.*)", name)
        if stage is None:
            out[name.replace("layer_norm", "norm")] = tensor
            continue
        number, kind, index, rest = stage.groups()
        rest = rest.replace("depthwise_conv", "dwconv").replace("layer_norm", "norm")
        rest = rest.replace("pointwise_conv", "pwconv")
        prefix = "downsample_layers" if kind == "downsample_layers" else "stages"
        out[f"{prefix}.{number}.{index}.{rest}"] = tensor
    out["norms.3.weight"], out["norms.3.bias"] = out["norm.weight"].clone(), out["norm.bias"].clone()
    return out


def convnext_timm(state: State) -> State:
    out: State = {}
    for name, tensor in state.items():
        name = name.replace("stages.0.downsample_layers.", "stem.")
        name = name.replace("downsample_layers", "downsample").replace(".layers.", ".blocks.")
        name = re.sub(r"^layer_norm", "head.norm", name)
        name = name.replace("depthwise_conv", "conv_dw").replace("layer_norm", "norm")
        name = name.replace("pointwise_conv", "mlp.fc")
        out[name] = tensor
    return out


def _blocks(state: State, prefix: str) -> list[str]:
    return sorted({m.group(0) for k in state if (m := re.match(prefix + r"\.\d+\.", k))})


def vit_meta(state: State) -> State:
    """Official names: joined qkv with a key bias that the mask turns off."""
    out: State = {
        "cls_token": state["embeddings.cls_token"],
        "storage_tokens": state["embeddings.register_tokens"],
        "mask_token": state["embeddings.mask_token"][0],
        "patch_embed.proj.weight": state["embeddings.patch_embeddings.weight"],
        "patch_embed.proj.bias": state["embeddings.patch_embeddings.bias"],
        "norm.weight": state["norm.weight"],
        "norm.bias": state["norm.bias"],
        "rope_embed.periods": 100 ** (torch.arange(4) / 4),
    }
    for old in _blocks(state, "layer"):
        new = old.replace("layer", "blocks")
        query, value = state[f"{old}attention.q_proj.bias"], state[f"{old}attention.v_proj.bias"]
        junk = torch.ones_like(query)  # masked out in the official code
        out[f"{new}attn.qkv.bias"] = torch.cat([query, junk, value])
        on = torch.ones_like(query)
        out[f"{new}attn.qkv.bias_mask"] = torch.cat([on, torch.zeros_like(on), on])
        out[f"{new}attn.qkv.weight"] = torch.cat(
            [state[f"{old}attention.{part}_proj.weight"] for part in "qkv"]
        )
        gated = f"{old}mlp.gate_proj.weight" in state
        names = {"norm1": "norm1", "norm2": "norm2", "attention.o_proj": "attn.proj"}
        if gated:
            names |= {"mlp.gate_proj": "mlp.w1", "mlp.up_proj": "mlp.w2", "mlp.down_proj": "mlp.w3"}
        else:
            names |= {"mlp.up_proj": "mlp.fc1", "mlp.down_proj": "mlp.fc2"}
        for theirs, ours in names.items():
            for part in ("weight", "bias"):
                out[f"{new}{ours}.{part}"] = state[f"{old}{theirs}.{part}"]
        for number in (1, 2):
            out[f"{new}ls{number}.gamma"] = state[f"{old}layer_scale{number}.lambda1"]
    return out


def vit_timm(state: State) -> State:
    out = {}
    for name, tensor in vit_meta(state).items():
        if name in ("mask_token", "rope_embed.periods") or name.endswith("bias_mask"):
            continue
        if name.endswith("qkv.bias"):
            query, _, value = tensor.chunk(3)
            out[name.replace("qkv.bias", "q_bias")] = query
            out[name.replace("qkv.bias", "v_bias")] = value
            continue
        name = name.replace("storage_tokens", "reg_token").replace("mlp.w1", "mlp.fc1_g")
        name = name.replace("mlp.w2", "mlp.fc1_x").replace("mlp.w3", "mlp.fc2")
        out[re.sub(r"ls(\d)\.gamma", r"gamma_\1", name)] = tensor
    return out


def dinov2_meta(state: State) -> State:
    out: State = {
        "cls_token": state["embeddings.cls_token"],
        "mask_token": state["embeddings.mask_token"],
        "pos_embed": state["embeddings.position_embeddings"],
        "patch_embed.proj.weight": state["embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": state["embeddings.patch_embeddings.projection.bias"],
        "norm.weight": state["layernorm.weight"],
        "norm.bias": state["layernorm.bias"],
    }
    if "embeddings.register_tokens" in state:
        out["register_tokens"] = state["embeddings.register_tokens"]
    for old in _blocks(state, r"encoder\.layer"):
        new = old.replace("encoder.layer", "blocks")
        for part in ("weight", "bias"):
            joined = [state[f"{old}attention.{n}_proj.{part}"] for n in "qkv"]
            out[f"{new}attn.qkv.{part}"] = torch.cat(joined)
            out[f"{new}attn.proj.{part}"] = state[f"{old}attention.o_proj.{part}"]
            for name in ("norm1", "norm2"):
                out[f"{new}{name}.{part}"] = state[f"{old}{name}.{part}"]
            if f"{old}mlp.gate_proj.{part}" in state:
                gate, up = (state[f"{old}mlp.{n}_proj.{part}"] for n in ("gate", "up"))
                out[f"{new}mlp.w12.{part}"] = torch.cat([gate, up])
                out[f"{new}mlp.w3.{part}"] = state[f"{old}mlp.down_proj.{part}"]
            else:
                for name in ("mlp.fc1", "mlp.fc2"):
                    out[f"{new}{name}.{part}"] = state[f"{old}{name}.{part}"]
        for number in (1, 2):
            out[f"{new}ls{number}.gamma"] = state[f"{old}layer_scale{number}.lambda1"]
    return out


def small_spec(name: str) -> BackboneSpec:
    """The registered spec with the sizes of the references above."""
    spec = SPECS[name]
    arch = dict(spec.arch)
    if name.startswith("dinov3_convnext"):
        return replace(spec, dim=DIMS[-1], arch=arch | {"depths": DEPTHS, "dims": DIMS})
    if name.startswith("dinov3_vit"):
        small = {"embed_dim": 64, "depth": 3, "num_heads": 4, "mlp_ratio": 1.5}
        small |= {"swiglu_align_to": 32} if name == "dinov3_vit7b16" else {}
        return replace(spec, dim=64, arch=arch | small)
    if name.startswith("dinov2"):
        ratio = 2 * 128 / 48 if name.startswith("dinov2_g") else 4
        small = {"embed_dim": 48, "depth": 2, "num_heads": 4, "mlp_ratio": ratio, "img_size": 70}
        return replace(spec, dim=48, arch=arch | small)
    return replace(spec, arch={"layers": [1, 1, 1, 1]})
