"""Backbones: image -> feature map. A new one is one file and one line in ``SPECS``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config import BackboneOptions
from ..config.pixels import AUTO
from ..errors import CheckpointError, UsageError
from ..weights import LoadedBefore, Published, carried, find_published, weights_in
from ..weights.pixels import data_named
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


SPECS = _register(*dinov3_convnext.SPECS, *vit.SPECS, *resnet.SPECS, *efficientnet_lite.SPECS)
CARRIED = "efficientnet_lite2"
"""The network of the embedded backbone."""
NAMES = (FILTERBANK, EMBEDDED, *SPECS)


def load_backbone(
    name: str,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    feat_short_side: int | None = None,
    **options: Any,
) -> Backbone:
    """Load a backbone by name.

    checkpoint: a weight file, or the folder or index of one; without one the official file is looked
    for in ``models/``. options: further fields of BackboneOptions (allow_unverified, pixel_stats, ...).
    Raises UsageError for an unknown name or option, CheckpointError for missing or refused weights.
    """
    path = Path(checkpoint) if checkpoint else None
    try:
        made = BackboneOptions(name, path, device, precision, feat_short_side, **options)
    except TypeError as error:
        raise UsageError(f"load_backbone: {error}.") from error
    return load(made)


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
        path = weights_in(Path(options.checkpoint))
        if not path.is_file():
            raise CheckpointError(f"{path}: no such weight file.", f"It is published at {own.source}.")
        return path
    found = find_published(spec.published)
    if found is None:
        raise _absent(options.name, own)
    _require_one_training(spec)
    return found


def _require_one_training(spec: BackboneSpec) -> None:
    """Raise CheckpointError where files of the same network that were trained on other photographs lie
    in the models folder: they are no two forms of one file."""
    first: dict[str, str] = {}
    for item in spec.published:
        path = find_published((item,))
        if path is not None:
            first.setdefault(data_named(path), path.name)
    if len(first) > 1:
        names = " and ".join(first.values())
        raise CheckpointError(
            f"--backbone {spec.name}: {names} are both here, trained on other photographs.",
            "Name one with --backbone-ckpt.",
        )


def _absent(name: str, own: Published) -> CheckpointError:
    """What to say where the weights of a backbone are not found. own: the file of its authors."""
    if not own.package:
        return CheckpointError(
            f"--backbone {name} needs weights.",
            f"Pass --backbone-ckpt FILE, or put {own.filename} (from {own.source}) in models/; "
            f"see `searchdet models pull {own.model}`.",
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
        acts_on_networks = {
            "--remove-position": options.position_rank,
            "--pixel-stats": options.pixel_stats != AUTO,
            "--drop-head": options.drop_head,
        }
        for flag in (flag for flag, given in acts_on_networks.items() if given):
            raise UsageError(f"{flag} needs a network, which {options.name} is not.", "Leave it out.")
        from .filterbank import FilterbankBackbone

        return FilterbankBackbone(options.feat_short_side)
    from ..weights import Compute, resolve
    from .network import load_network

    spec = SPECS[CARRIED if options.name == EMBEDDED else options.name]
    compute = resolve(options.device, options.precision)
    if spec.fp32_on_cpu and options.precision == "auto" and compute.device == "cpu":
        compute = Compute("cpu", "fp32")
    network = load_network(spec, path, compute, options.feat_short_side, options, before)
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
