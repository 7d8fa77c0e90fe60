"""Backbones: image -> feature map. A new one is one file and one line in ``SPECS``."""

from __future__ import annotations

from pathlib import Path

from ..config import BackboneOptions
from ..errors import CheckpointError, UsageError
from ..weights import LoadedBefore, Published, carried, find_published
from . import dinov3_convnext, efficientnet_lite, resnet, vit
from .types import Backbone, BackboneSpec, Closer, FeatureMap

FILTERBANK, EMBEDDED = "filterbank", "embedded"


def _register(*specs: BackboneSpec) -> dict[str, BackboneSpec]:
    table: dict[str, BackboneSpec] = {}
    for spec in specs:
        if spec.name in table:
            raise ValueError(f"backbone {spec.name} is registered twice")
        table[spec.name] = spec
    return table


SPECS = _register(*dinov3_convnext.SPECS, *vit.SPECS, resnet.SPEC, *efficientnet_lite.SPECS)
CARRIED = "efficientnet_lite2"
"""The network of the embedded backbone."""
NAMES = (FILTERBANK, EMBEDDED, *SPECS)


def load_backbone(
    name: str,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    feat_short_side: int | None = None,
    allow_unverified: bool = False,
) -> Backbone:
    """Load a backbone by name.

    checkpoint: a weight file; without one the official file is looked for in ``models/``.
    Raises UsageError for an unknown name or option, CheckpointError for missing or refused weights.
    """
    options = BackboneOptions(
        name,
        Path(checkpoint) if checkpoint else None,
        device,
        precision,
        feat_short_side,
        allow_unverified,
    )
    return load(options)


def check(options: BackboneOptions) -> Path | None:
    """The weight file that ``load`` will read, found without loading; None if none is needed."""
    if options.name in (FILTERBANK, EMBEDDED) and options.checkpoint:
        raise UsageError(
            f"{options.checkpoint}: the {options.name} backbone takes no weights.",
            "Name the network with --backbone.",
        )
    if options.name == FILTERBANK:
        return None
    spec = SPECS.get(CARRIED if options.name == EMBEDDED else options.name)
    if spec is None:
        raise UsageError(f"--backbone {options.name!r} is unknown; choose {', '.join(NAMES)}.")
    own = spec.published[0]
    if options.checkpoint:
        path = Path(options.checkpoint)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such weight file.", f"It is published at {own.source}.")
        return path
    found = find_published(spec.published)
    if found is None:
        raise _absent(options.name, own)
    return found


def _absent(name: str, own: Published) -> CheckpointError:
    """What to say where the weights of a backbone are not found. own: the file of its authors."""
    if not own.package:
        return CheckpointError(
            f"--backbone {name} needs weights.",
            f"Pass --backbone-ckpt FILE, or put {own.filename} (from {own.source}) in models/; "
            f"see `searchdet models pull {name}`.",
        )
    place = carried(own)
    if place is not None:
        return CheckpointError(f"{place}: is missing from its package.", own.reinstall)
    otherwise = f" --backbone {FILTERBANK} needs none." if name == EMBEDDED else ""
    return CheckpointError(f"--backbone {name} needs {own.filename}.", own.by_hand() + otherwise)


def load(options: BackboneOptions, before: LoadedBefore | None = None) -> Backbone:
    """``load_backbone`` for options that are already made. before: a network whose file has loaded
    completely before is loaded when its first feature map is asked for."""
    path = check(options)
    if path is None:
        if options.position_rank:
            raise UsageError(
                f"--remove-position needs a network, which {options.name} is not.", "Leave it out."
            )
        from .filterbank import FilterbankBackbone

        return FilterbankBackbone(options.feat_short_side)
    from ..weights import Compute, resolve
    from .network import load_network

    spec = SPECS[CARRIED if options.name == EMBEDDED else options.name]
    compute = resolve(options.device, options.precision)
    if spec.fp32_on_cpu and options.precision == "auto" and compute.device == "cpu":
        compute = Compute("cpu", "fp32")
    side, allow = options.feat_short_side, options.allow_unverified
    network = load_network(spec, path, compute, side, allow, before, options.position_rank)
    if options.name == EMBEDDED:
        from .embedded import EmbeddedBackbone

        return EmbeddedBackbone(network)
    return network


__all__ = [
    "NAMES",
    "SPECS",
    "Backbone",
    "BackboneSpec",
    "Closer",
    "FeatureMap",
    "check",
    "load",
    "load_backbone",
]
