"""How a MobileSAM is made, and what is known of its weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ProposalOptions
from ...errors import CheckpointError
from ...weights import Compute, LoadedBefore, StateDict, resolve
from ...weights.foreign import SAM_LIKE, TINY_VIT_SAM, name_of
from ..types import OwnWeights, Plan, Proposer
from . import NAME, MobileSamProposer, weights

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import Tensor


def _make(
    options: ProposalOptions, device: str, precision: str, before: LoadedBefore | None
) -> Proposer:
    if options.checkpoint is None:
        raise CheckpointError(f"--proposals {NAME} needs weights.", "Pass --sam-checkpoint FILE.")
    compute = resolve(device, precision)
    if precision == "auto" and compute.device == "cpu":
        compute = Compute("cpu", "fp32")  # TinyViT's convolutions take longer in bf16 there
    path = Path(options.checkpoint)
    sam = weights.load_mobile_sam(path, compute, options.allow_unverified, before)
    return MobileSamProposer(sam, options, compute)


def _recognises(names: Collection[str]) -> bool:
    return name_of(names, SAM_LIKE) == TINY_VIT_SAM


def _fill(path: Path, compute: Compute, state: StateDict | None = None) -> Any:
    sam, _ = weights.fill_mobile_sam(path, compute, state)
    return sam


def _side(sam: Sam) -> int:
    return int(sam.image_encoder.img_size)


def embed(sam: Sam, batch: Tensor) -> Tensor:
    """The embedding (1, C, h, w) of a picture (1, 3, side, side)."""
    import torch

    from .encoder import TinyEncoder

    kind = batch.device.type
    cast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    precision = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(cast, "fp32")
    with torch.autocast(kind, enabled=False):  # the encoder has a precision of its own
        encoder = TinyEncoder(sam.image_encoder, Compute(str(batch.device), precision))
        return encoder(sam.preprocess(batch))


PLAN = Plan(
    _make,
    OwnWeights(
        what=TINY_VIT_SAM,
        published=weights.PUBLISHED,
        recognises=_recognises,
        fill=_fill,
        side=_side,
        embed=embed,
    ),
)
