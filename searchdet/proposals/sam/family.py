"""What segment-anything and its relatives have in common: prompt encoder, mask decoder, and how a file
fills them. The image encoder is each one's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointError
from ...weights import Compute, Fit, Layout, StateDict, convert, fill, read_state_dict, unfit
from ...weights.identify import next_step

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

_DECODER_HEADS = 8  # of the whole family; not visible in any shape
_MEAN, _DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of pixels 0..255; no file holds them."""


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """What the constructors of prompt encoder and mask decoder need, read off a checkpoint."""

    prompt_dim: int
    mask_channels: int
    decoder_depth: int
    decoder_mlp: int
    outputs: int
    iou_depth: int
    iou_hidden: int


@dataclass(frozen=True, slots=True)
class Family:
    """Networks of one proposer. name: the proposer's. build: names and
    shapes to modules without values, on the device that is set; raises CheckpointError. use: which
    files there are, one sentence."""

    name: str
    layouts: tuple[Layout, ...]
    build: Callable[[StateDict], Sam]
    use: str


def decoder_shape(state: StateDict) -> DecoderShape:
    """Of a checkpoint by the official names. Raises KeyError for a tensor that is missing, IndexError
    for one of fewer dimensions."""
    head, layers = "mask_decoder.iou_prediction_head.layers.", "mask_decoder.transformer.layers."
    return DecoderShape(
        prompt_dim=state["image_encoder.neck.0.weight"].shape[0],
        mask_channels=state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
        decoder_depth=count(state, layers),
        decoder_mlp=state[f"{layers}0.mlp.lin1.weight"].shape[0],
        outputs=state["mask_decoder.mask_tokens.weight"].shape[0] - 1,
        iou_depth=count(state, head),
        iou_hidden=state[f"{head}0.weight"].shape[0],
    )


def count(state: StateDict, prefix: str) -> int:
    """How many modules of a list a checkpoint has."""
    return len({k[len(prefix) :].split(".")[0] for k in state if k.startswith(prefix)})


def join(encoder: Any, shape: DecoderShape, image: int, grid: int) -> Sam:
    """An image encoder with segment-anything's other modules. image: pixels a side of what it sees;
    grid: cells a side of its features."""
    from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    return Sam(
        image_encoder=encoder,
        prompt_encoder=PromptEncoder(
            embed_dim=shape.prompt_dim,
            image_embedding_size=(grid, grid),
            input_image_size=(image, image),
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


def fill_family(
    family: Family, path: Path, compute: Compute, state: StateDict | None = None
) -> tuple[Sam, Fit]:
    """A network on its device, completely filled. state: what ``read_state_dict`` gave of the file,
    where that is there already. Raises CheckpointError."""
    import torch

    raw = read_state_dict(path) if state is None else state
    try:
        sam, fit = _filled(family, path, raw)
    except CheckpointError as error:
        raise _explain(family, error, raw) from error
    # Sam keeps these two out of its state dict, so the meta device left them without values.
    sam.register_buffer("pixel_mean", torch.tensor(_MEAN)[:, None, None], False)
    sam.register_buffer("pixel_std", torch.tensor(_DEVIATION)[:, None, None], False)
    sam.eval().to(compute.device)
    return sam, fit


def _filled(family: Family, path: Path, raw: StateDict) -> tuple[Sam, Fit]:
    import torch

    named = convert(path, raw, family.layouts)
    try:
        with torch.device("meta"):
            sam = family.build(named.state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error
    except (AssertionError, RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
        raise CheckpointError(f"{path}: {unfit(error)}") from error
    fill(path, sam, named)
    return sam, Fit(named.layout, named.prefix)


def _explain(family: Family, error: CheckpointError, raw: StateDict) -> CheckpointError:
    """The error with what the file is and the next step."""
    if error.hint:
        return error
    shapes = {name: tuple(tensor.shape) for name, tensor in raw.items()}
    return CheckpointError(error.message, next_step(shapes, family.name, family.use))
