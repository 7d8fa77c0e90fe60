"""What a weight file is, judged by its names and shapes, so that an error can say so."""

from __future__ import annotations

import re

from .foreign import ADAPTERS, BY_POINTS, OTHERS, SAM_LIKE, TAKEN, name_of, pointed
from .loader import by_prefix
from .published import SAM
from .wrapped import bare

Shapes = dict[str, tuple[int, ...]]
_CONVNEXT = {(96, 9): "tiny", (96, 27): "small", (128, 27): "base", (192, 27): "large"}
_V3 = {384: "vits16", 768: "vitb16", 1024: "vitl16", 1280: "vith16plus", 4096: "vit7b16"}
_V2 = {384: "s", 768: "b", 1024: "l", 1536: "g"}
_LITE = {(16, 320): 0, (21, 352): 2}
_LETTERS = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1280: "H", 1536: "g", 4096: "7B"}
_SQUEEZE = re.compile(r"\.(se|_se_reduce|_se_expand)\.")
_PATCHES = (8, 14, 16, 32)
_RESNETS = (18, 34, 50, 101, 152)
_PATCH_EMBED = (
    "patch_embed.proj.weight",
    "embeddings.patch_embeddings.weight",
    "embeddings.patch_embeddings.projection.weight",
)
_LEAST_SHARE = 0.25
"""Of the names of a file that a network in it must have; the rest is on top of it, or its student."""
_MOST_OF_HEAD = 4
_LAYER_SCALE = (".ls1.gamma", ".gamma_1", ".layer_scale1.lambda1")
Guess = tuple[str, str]
"""What the file is, and the name of the backbone or proposer that takes it ("" if nothing does)."""


def identify(shapes: Shapes) -> Guess | None:
    """The family and size that names and shapes point to, whatever prefix they share; or None."""
    shapes = {bare(name): shape for name, shape in shapes.items()}
    adapters = name_of(shapes, ADAPTERS)
    if adapters:
        return adapters, ""
    proposer, what = pointed(shapes)
    if proposer:
        return what, proposer
    what = name_of(shapes, SAM_LIKE)
    if what:
        return (what, TAKEN[what]) if what in TAKEN else (f"{what}, which does not load", "")
    whole: int = len(shapes)
    known: Guess | None = None
    for prefix, names in by_prefix(shapes).items():
        if len(names) < whole * _LEAST_SHARE:
            continue
        found = _known({name: shapes[prefix + name] for name in names})
        if found is not None and found[1]:
            return found
        known = known or found
    other = name_of(shapes, OTHERS)
    if other:
        return other, ""
    return known or _plain(shapes) or _single(shapes)


def next_step(shapes: Shapes, own: str, right: str) -> str:
    """What to say of a file that a proposer refused: what it is, and what to do. own: the proposer's
    name; right: where a file of its is, one sentence."""
    found = identify(shapes)
    if found is None:
        return f"The file is not of a network that is known. {right}"
    what, name = found
    if name == own:
        said = f"The file is {what}, but not as it was published or fine-tuned whole."
    elif name in BY_POINTS:
        said = f"The file is {what}; pass --proposals {name} with it."
    elif name:
        said = f"The file is {what}; pass it as --backbone-ckpt (--backbone {name})."
    else:
        said = f"The file is {what}."
    return f"{said} {right}"


def _known(shapes: Shapes) -> Guess | None:
    """One of the networks that load, or one near to them."""
    if "image_encoder.patch_embed.proj.weight" in shapes:
        if not any(name.endswith(".attn.rel_pos_h") for name in shapes):
            return "a SAM without relative positions (EfficientSAM or the like)", ""
        return "a SAM model", SAM
    if "layer4.0.conv1.weight" in shapes and "layer1.0.conv1.weight" in shapes:
        return _resnet(shapes)
    if {"_conv_stem.weight", "conv_stem.weight"} & shapes.keys():
        return _efficientnet(shapes)
    stem = next((shapes[k] for k in _stems() if k in shapes), None)
    if stem is not None and len(stem) == 4:
        return _convnext(stem[0], shapes)
    patch = next((shapes[k] for k in _PATCH_EMBED if k in shapes), None)
    return _vit(patch, shapes) if patch is not None and len(patch) == 4 else None


def _resnet(shapes: Shapes) -> Guess:
    blocks = [len({k.split(".")[1] for k in shapes if k.startswith(f"layer{i}.")}) for i in range(1, 5)]
    deep = "layer1.0.conv3.weight" in shapes
    depth = sum(blocks) * (3 if deep else 2) + 2
    if (deep, blocks) == (True, [3, 4, 23, 3]):
        return "a ResNet-101", "resnet101"
    return (f"another ResNet (ResNet-{depth})" if depth in _RESNETS else "another ResNet"), ""


def _plain(shapes: Shapes) -> Guess | None:
    """A vision transformer without layer scale, whose names many trainings share."""
    for prefix, names in by_prefix(shapes).items():
        inner = {name: shapes[prefix + name] for name in names}
        patch = inner.get("patch_embed.proj.weight")
        fits = patch is not None and len(patch) == 4 and patch[2] in _PATCHES
        if patch is not None and fits and "blocks.0.attn.qkv.weight" in inner:
            letter = _LETTERS.get(patch[0], "?")
            return (
                f"a plain ViT-{letter}/{patch[2]} without layer scale (DINOv1, MAE, DeiT or a "
                "classifier), not DINOv2 or DINOv3",
                "",
            )
    return None


def _single(shapes: Shapes) -> Guess | None:
    """A head that was saved alone."""
    modules = {name.rpartition(".")[0] for name in shapes}
    if 0 < len(shapes) <= _MOST_OF_HEAD and len(modules) <= 2:
        return f"a head or a layer alone ({', '.join(sorted(shapes)[:3])}), without a network", ""
    return None


def _stems() -> tuple[str, ...]:
    return (
        "downsample_layers.0.0.weight",
        "stem.0.weight",
        "stages.0.downsample_layers.0.weight",
        "model.stages.0.downsample_layers.0.weight",
    )


def _efficientnet(shapes: Shapes) -> Guess:
    found = (re.match(r"_blocks\.\d+\.|blocks\.\d+\.\d+\.", name) for name in shapes)
    if any(_SQUEEZE.search(name) for name in shapes):
        return "another EfficientNet", ""  # Lite is the one without
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
    if {"head.weight", "head.fc.weight"} & shapes.keys():
        return f"a ConvNeXt-{size.capitalize()} with a classifier", ""
    return f"a ConvNeXt-{size.capitalize()}", f"dinov3_convnext_{size}"


def _is_gamma(name: str) -> bool:
    return "stages.2." in name and name.endswith(".gamma")


def _vit(patch: tuple[int, ...], shapes: Shapes) -> Guess | None:
    """A DINOv3 or a DINOv2; None for a vision transformer that has no layer scale."""
    width, side = patch[0], patch[2]
    registers = {"storage_tokens", "reg_token", "register_tokens", "embeddings.register_tokens"}
    has_registers = bool(registers & shapes.keys())
    positions = bool({"pos_embed", "embeddings.position_embeddings"} & shapes.keys())
    if not any(name.endswith(_LAYER_SCALE) for name in shapes):
        return None
    if side == 16 and has_registers and not positions:
        return _vit3(width, shapes)
    letter = _LETTERS.get(width, "?")
    if side == 14 and positions:
        name = _V2.get(width, "")
        extra, end = (" with registers", "_reg") if has_registers else ("", "")
        return f"a DINOv2 ViT-{letter}/14{extra}", f"dinov2_{name}{end}" if name else ""
    extra = " with registers" if has_registers else ""
    return f"a ViT of width {width} with patches of {side}{extra}", ""


def _vit3(width: int, shapes: Shapes) -> Guess:
    gated = any(k.endswith((".mlp.w1.weight", ".gate_proj.weight", "fc1_g.weight")) for k in shapes)
    name = _V3.get(width, "")
    plus = "+" if gated and width != 4096 else ""
    if gated and width == 384:
        name = "vits16plus"
    elif gated != (width in (1280, 4096)):
        name = ""
    return f"a DINOv3 ViT-{_LETTERS.get(width, '?')}{plus}/16", f"dinov3_{name}" if name else ""
