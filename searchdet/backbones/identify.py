"""What a refused weight file is, judged by its names and shapes, so that the error can say so."""

from __future__ import annotations

import re

Shapes = dict[str, tuple[int, ...]]
_CONVNEXT = {(96, 9): "tiny", (96, 27): "small", (128, 27): "base", (192, 27): "large"}
_V3 = {384: "vits16", 768: "vitb16", 1024: "vitl16", 1280: "vith16plus"}
_V2 = {384: "s", 768: "b", 1024: "l", 1536: "g"}
_LITE = {(16, 320): 0, (21, 352): 2}
_PATCH_EMBED = ("patch_embed.proj.weight", "embeddings.patch_embeddings.weight")
Guess = tuple[str, str]
"""What the file is, and the name of the backbone that takes it ("" if none does)."""


def identify(shapes: Shapes) -> Guess | None:
    """The family and size that names and shapes point to, or None."""
    if "image_encoder.patch_embed.proj.weight" in shapes:
        return "a SAM model, not a backbone; pass it as --sam-checkpoint", ""
    if "layer4.0.conv1.weight" in shapes and "layer3.0.conv3.weight" in shapes:
        deep = "layer3.22.conv1.weight" in shapes and "layer3.23.conv1.weight" not in shapes
        return ("a ResNet-101", "resnet101") if deep else ("another ResNet", "")
    if {"_conv_stem.weight", "conv_stem.weight"} & shapes.keys():
        return _efficientnet(shapes)
    stem = next((shapes[k] for k in _stems() if k in shapes), None)
    if stem is not None and len(stem) == 4:
        return _convnext(stem[0], shapes)
    patch = next((shapes[k] for k in _PATCH_EMBED if k in shapes), None)
    return _vit(patch, shapes) if patch is not None and len(patch) == 4 else None


def _stems() -> tuple[str, ...]:
    return (
        "downsample_layers.0.0.weight",
        "stem.0.weight",
        "stages.0.downsample_layers.0.weight",
        "model.stages.0.downsample_layers.0.weight",
    )


def _efficientnet(shapes: Shapes) -> Guess:
    found = (re.match(r"_blocks\.\d+\.|blocks\.\d+\.\d+\.", name) for name in shapes)
    blocks = len({part[0] for part in found if part is not None})
    ends = (".conv_pwl.weight", "._project_conv.weight")
    widths = [shape[0] for name, shape in shapes.items() if shape and name.endswith(ends)]
    size = _LITE.get((blocks, max(widths, default=0)))
    if size is None:
        return "another EfficientNet", ""
    return f"an EfficientNet-Lite{size}", f"efficientnet_lite{size}"


def _convnext(width: int, shapes: Shapes) -> Guess:
    depth = len({k.split("stages.2.")[1].split(".gamma")[0] for k in shapes if _is_gamma(k)})
    size = _CONVNEXT.get((width, depth))
    if size is None:
        return f"a ConvNeXt of width {width} with {depth} blocks in its third stage", ""
    return f"a ConvNeXt-{size.capitalize()}", f"dinov3_convnext_{size}"


def _is_gamma(name: str) -> bool:
    return "stages.2." in name and name.endswith(".gamma")


def _vit(patch: tuple[int, ...], shapes: Shapes) -> Guess:
    width, side = patch[0], patch[2]
    registers = {"storage_tokens", "reg_token", "embeddings.register_tokens"} & shapes.keys()
    letter = {384: "S", 768: "B", 1024: "L", 1280: "H", 1536: "g", 4096: "7B"}.get(width, "?")
    if side == 16 and registers:
        gated = any(k.endswith((".mlp.w1.weight", ".gate_proj.weight", "fc1_g.weight")) for k in shapes)
        name = _V3.get(width, "")
        plus = "+" if gated and width != 4096 else ""
        if gated and width == 384:
            name = "vits16plus"
        elif gated and width != 1280:
            name = ""
        return f"a DINOv3 ViT-{letter}{plus}/16", f"dinov3_{name}" if name else ""
    if side == 14 and not registers and "pos_embed" in shapes:
        name = _V2.get(width, "")
        return f"a DINOv2 ViT-{letter}/14", f"dinov2_{name}" if name else ""
    extra = " with registers" if registers else ""
    return f"a ViT of width {width} with patches of {side}{extra}", ""
