"""How a proposer of a kind is made, and what is known of its weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ProposalOptions
from ...errors import CheckpointError
from ...weights import Compute, LoadedBefore, StateDict, resolve
from ...weights.foreign import pointed
from ..types import OwnWeights, Plan, Proposer
from . import SquashedProposer, weights
from .kinds import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from .network import SquashedNetwork


def plan(kind: Kind) -> Plan:
    """The plan of a kind of network."""

    def make(
        options: ProposalOptions, device: str, precision: str, before: LoadedBefore | None
    ) -> Proposer:
        if options.checkpoint is None:
            raise CheckpointError(
                f"--proposals {kind.name} needs weights.", "Pass --sam-checkpoint FILE."
            )
        compute = resolve(device, precision)
        path = Path(options.checkpoint)
        loaded = weights.load(kind, path, compute, options.allow_unverified, before)

        def connect(model: Any) -> SquashedNetwork:
            from .network import SquashedNetwork

            return SquashedNetwork(model, kind.pixels, compute)

        return SquashedProposer(kind.name, loaded, connect, options, compute)

    return Plan(make, _own(kind))


def _own(kind: Kind) -> OwnWeights:
    def recognises(names: Collection[str]) -> bool:
        return pointed(names)[0] == kind.name

    def fill(path: Path, compute: Compute, state: StateDict | None = None) -> Any:
        model, _ = weights.fill_from(kind, path, compute, state)
        return model

    def side(model: Any) -> int:
        from .network import side_of

        return side_of(model)

    def embed(model: Any, batch: Tensor) -> Tensor:
        from .network import normalised

        features: Tensor = model.get_image_embeddings(normalised(batch, kind.pixels))[-1]
        return features

    return OwnWeights(
        what=f"{kind.words} model",
        published=kind.published,
        recognises=recognises,
        fill=fill,
        side=side,
        embed=embed,
    )
