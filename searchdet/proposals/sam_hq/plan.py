"""How a SAM-HQ is made, and what is known of its weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ProposalOptions
from ...errors import CheckpointError
from ...weights import Compute, LoadedBefore, StateDict, resolve
from ...weights.foreign import SAM_HQ, SAM_HQ_HUB, SAM_HQ_TINY, SAM_LIKE, name_of
from ..mobile_sam import plan as tiny
from ..sam import layouts
from ..sam import plan as vit
from ..types import OwnWeights, Plan, Proposer
from . import NAME, HqProposer, weights

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import Tensor


def _make(
    options: ProposalOptions, device: str, precision: str, before: LoadedBefore | None
) -> Proposer:
    if options.checkpoint is None:
        raise CheckpointError(f"--proposals {NAME} needs weights.", "Pass --sam-checkpoint FILE.")
    compute = resolve(device, precision)
    sam = weights.load_hq(Path(options.checkpoint), compute, options.allow_unverified, before)
    return HqProposer(sam, options, compute)


def _recognises(names: Collection[str]) -> bool:
    what = name_of(names, SAM_LIKE)
    by_authors = what == SAM_HQ and layouts.is_meta(names)
    by_hub = what == SAM_HQ_HUB and layouts.is_hub(names)
    return by_authors or by_hub or what == SAM_HQ_TINY


def _fill(path: Path, compute: Compute, state: StateDict | None = None) -> Any:
    sam, _ = weights.fill_hq(path, compute, state)
    return sam


def _embed(sam: Sam, batch: Tensor) -> Tensor:
    from ..mobile_sam.modules import TinyViT

    of_tiny = isinstance(sam.image_encoder, TinyViT)
    return tiny.embed(sam, batch) if of_tiny else vit.embed(sam, batch)


PLAN = Plan(
    _make,
    OwnWeights(
        what="a SAM-HQ model",
        published=weights.PUBLISHED,
        recognises=_recognises,
        fill=_fill,
        side=vit.side,
        embed=_embed,
    ),
)
