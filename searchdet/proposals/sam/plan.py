"""How a SAM is made, and what is known of its weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ProposalOptions
from ...errors import CheckpointError
from ...weights import Compute, LoadedBefore, StateDict, resolve
from ...weights.foreign import SAM_HUB, SAM_LIKE, name_of, pointed
from ..types import OwnWeights, Plan, Proposer
from . import SamProposer, layouts, weights

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
    if any(pointed(names)):
        return False
    what = name_of(names, SAM_LIKE)
    return (not what and layouts.is_meta(names)) or (what == SAM_HUB and layouts.is_hub(names))


def _fill(path: Path, compute: Compute, state: StateDict | None = None) -> Any:
    sam, _ = weights.fill_sam(path, compute, state)
    return sam


def side(sam: Sam) -> int:
    """Pixels a side of what a network of SAM's kind sees."""
    return int(sam.image_encoder.img_size)


def embed(sam: Sam, batch: Tensor) -> Tensor:
    """The embedding (1, C, h, w) of a picture (1, 3, side, side)."""
    features: Tensor = sam.image_encoder(sam.preprocess(batch))
    return features


PLAN = Plan(
    _make,
    OwnWeights(
        what="a SAM model",
        published=weights.PUBLISHED,
        recognises=_recognises,
        fill=_fill,
        side=side,
        embed=embed,
    ),
)
