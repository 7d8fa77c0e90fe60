"""Weights of segment-anything (Kirillov et al. 2023, arXiv 2304.02643).

The variant is read off the tensor shapes of the checkpoint, so vit_b, vit_l, vit_h and any smaller
model of the same family load. As everywhere, a file fits completely or is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CheckpointError
from ...weights import (
    SAM,
    Compute,
    Fit,
    Layout,
    Lazy,
    LoadedBefore,
    StateDict,
    convert,
    fill,
    load_or_wait,
    published,
    read_state_dict,
    unfit,
)
from ...weights.identify import next_step

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

PUBLISHED = (
    published.sam(
        "b",
        "01ec64",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        375042383,
    ),
    published.sam(
        "l",
        "0b3195",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        1249524607,
    ),
    published.sam(
        "h",
        "4b8939",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        2564550879,
    ),
)
LAYOUTS = (Layout("Meta", lambda names: "image_encoder.patch_embed.proj.weight" in names, dict),)
SOURCE = PUBLISHED[0].source
_DECODER_HEADS = 8  # of the whole family; not visible in any shape


@dataclass(frozen=True, slots=True)
class SamShape:
    """Everything the constructors need, read off a checkpoint."""

    image: int
    patch: int
    embed_dim: int
    depth: int
    heads: int
    mlp_ratio: float
    window: int
    global_blocks: tuple[int, ...]
    prompt_dim: int
    mask_channels: int
    decoder_depth: int
    decoder_mlp: int
    outputs: int
    iou_depth: int
    iou_hidden: int


def shape_of(state: StateDict) -> SamShape:
    """Variant of a SAM checkpoint. Raises CheckpointError where the names are not SAM's."""
    encoder = "image_encoder."
    try:
        embed_dim, _, patch, _ = state[f"{encoder}patch_embed.proj.weight"].shape
        side = state[f"{encoder}pos_embed"].shape[1]
        depth = _count(state, f"{encoder}blocks.")
        spans = [state[f"{encoder}blocks.{i}.attn.rel_pos_h"].shape for i in range(depth)]
        windowed = [(rows + 1) // 2 for rows, _ in spans if (rows + 1) // 2 != side]
        hidden = state[f"{encoder}blocks.0.mlp.lin1.weight"].shape[0]
        if not side or embed_dim % spans[0][1]:
            raise ValueError(f"{side} and {spans[0][1]} positions for {embed_dim} channels")
        return SamShape(
            image=side * patch,
            patch=patch,
            embed_dim=embed_dim,
            depth=depth,
            heads=embed_dim // spans[0][1],
            mlp_ratio=hidden / embed_dim,
            window=windowed[0] if windowed else 0,
            global_blocks=tuple(i for i, (rows, _) in enumerate(spans) if (rows + 1) // 2 == side),
            prompt_dim=state[f"{encoder}neck.0.weight"].shape[0],
            mask_channels=state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
            decoder_depth=_count(state, "mask_decoder.transformer.layers."),
            decoder_mlp=state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
            outputs=state["mask_decoder.mask_tokens.weight"].shape[0] - 1,
            iou_depth=_count(state, "mask_decoder.iou_prediction_head.layers."),
            iou_hidden=state["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
        )
    except KeyError as error:
        raise CheckpointError(f"of a SAM's tensors {error.args[0]} is missing.") from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(f"not a SAM ViT checkpoint ({error}).") from error


def _count(state: StateDict, prefix: str) -> int:
    return len({k[len(prefix) :].split(".")[0] for k in state if k.startswith(prefix)})


def build(shape: SamShape) -> Sam:
    """segment-anything's modules for a shape, with no weights of their own."""
    import torch
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    side = shape.image // shape.patch
    return Sam(
        image_encoder=ImageEncoderViT(
            depth=shape.depth,
            embed_dim=shape.embed_dim,
            img_size=shape.image,
            mlp_ratio=shape.mlp_ratio,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            num_heads=shape.heads,
            patch_size=shape.patch,
            qkv_bias=True,
            use_rel_pos=True,
            global_attn_indexes=shape.global_blocks,
            window_size=shape.window,
            out_chans=shape.prompt_dim,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=shape.prompt_dim,
            image_embedding_size=(side, side),
            input_image_size=(shape.image, shape.image),
            mask_in_chans=shape.mask_channels,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=shape.outputs,
            transformer=TwoWayTransformer(
                depth=shape.decoder_depth,
                embedding_dim=shape.prompt_dim,
                mlp_dim=shape.decoder_mlp,
                num_heads=_DECODER_HEADS,
            ),
            transformer_dim=shape.prompt_dim,
            iou_head_depth=shape.iou_depth,
            iou_head_hidden_dim=shape.iou_hidden,
        ),
    )


def load_sam(
    path: Path,
    compute: Compute,
    allow_unverified: bool = False,
    before: LoadedBefore | None = None,
) -> Lazy[Sam]:
    """A SAM on its device, completely filled from ``path``: now, or if that file has filled it before,
    when it is first asked for. Raises CheckpointError."""
    return load_or_wait(SAM, path, PUBLISHED, allow_unverified, lambda: fill_sam(path, compute), before)


def fill_sam(path: Path, compute: Compute, state: StateDict | None = None) -> tuple[Sam, Fit]:
    """``load_sam`` for a file whose identity is known. state: what ``read_state_dict`` gave of it,
    where that is there already."""
    import torch

    raw = read_state_dict(path) if state is None else state
    try:
        sam, fit = _filled(path, raw)
    except CheckpointError as error:
        raise _explain(error, raw) from error
    # Sam keeps these two out of its state dict, so the meta device left them without values.
    sam.register_buffer("pixel_mean", torch.tensor([123.675, 116.28, 103.53])[:, None, None], False)
    sam.register_buffer("pixel_std", torch.tensor([58.395, 57.12, 57.375])[:, None, None], False)
    sam.eval().to(compute.device)
    return sam, fit


def _filled(path: Path, raw: StateDict) -> tuple[Sam, Fit]:
    import torch

    named = convert(path, raw, LAYOUTS)
    try:
        shape = shape_of(named.state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}") from error
    try:
        with torch.device("meta"):
            sam = build(shape)
    except (AssertionError, RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
        raise CheckpointError(f"{path}: {unfit(error)}") from error
    fill(path, sam, named)
    return sam, Fit(named.layout, named.prefix)


def _explain(error: CheckpointError, raw: StateDict) -> CheckpointError:
    """The error with what the file is and the next step."""
    if error.hint:
        return error
    use = f"Use sam_vit_b, sam_vit_l or sam_vit_h from {SOURCE}."
    shapes = {name: tuple(tensor.shape) for name, tensor in raw.items()}
    return CheckpointError(error.message, next_step(shapes, SAM, "a SAM", use))
