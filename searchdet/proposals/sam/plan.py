"""How a SAM is made, and what is known of its weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ProposalOptions
from ...errors import CheckpointError
from ...weights import Compute, LoadedBefore, StateDict, resolve
from ...weights.foreign import SAM_LIKE, name_of, pointed
from ..types import OwnWeights, Plan, Proposer
from . import SamProposer, weights

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import Tensor


def _make(
    options: ProposalOptions, device: str, precision: str, before: LoadedBefore | None
) -> Proposer:
    if options.checkpoint is None:
        raise CheckpointError("--proposals sam needs weights.", "Pass --sam-checkpoint FILE.")
    compute = resolve(device, precision)
    sam = weights.load_sam(Path(options.checkpoint), compute, options.allow_unverified, before)
    return SamProposer(sam, options, compute)


def _recognises(names: Collection[str]) -> bool:
    ends = ("image_encoder.patch_embed.proj.weight", "image_encoder.blocks.0.attn.rel_pos_h")
    there = all(any(name.endswith(end) for name in names) for end in ends)
    return there and not name_of(names, SAM_LIKE) and not any(pointed(names))


def _fill(path: Path, compute: Compute, state: StateDict | None = None) -> Any:
    sam, _ = weights.fill_sam(path, compute, state)
    return sam


def _side(sam: Sam) -> int:
    return int(sam.image_encoder.img_size)


def _embed(sam: Sam, batch: Tensor) -> Tensor:
    features: Tensor = sam.image_encoder(sam.preprocess(batch))
    return features


PLAN = Plan(
    _make,
    OwnWeights(
        what="a SAM model",
        published=weights.PUBLISHED,
        recognises=_recognises,
        fill=_fill,
        side=_side,
        embed=_embed,
    ),
)
