"""The commands of ``searchdet bank``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from .. import config
from . import options as opt
from .console import guarded, say

_BankArgument = Annotated[Path, typer.Argument(help="A file that `bank build` made.")]
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
_EXEMPLARS = config.ExemplarOptions()

bank_app = typer.Typer(help="Examples kept in one file, and their audit.", no_args_is_help=True)


@bank_app.command("build")
def bank_build(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    positive: opt.Positive = None,
    negative: opt.Negative = None,
    positive_coco: opt.PositiveCoco = None,
    positive_images: opt.PositiveImages = None,
    exemplar_mask: opt.ExemplarMask = _EXEMPLARS.exemplar_mask,
    skip_bad_exemplars: opt.SkipBad = _EXEMPLARS.skip_bad_exemplars,
    backbone: opt.BackboneName = config.DEFAULT_BACKBONE,
    backbone_ckpt: opt.BackboneCkpt = None,
    allow_unverified: opt.AllowUnverified = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    feat_short_side: opt.FeatShortSide = None,
    pooling: opt.Pooling = "mean",
    max_pixels: opt.MaxPixels = config.MAX_PIXELS,
    cache_dir: opt.CacheDir = None,
    no_cache: opt.NoCache = False,
    debug: opt.Debug = False,
) -> None:
    """Describe examples once and keep them in one file."""
    given = dict(locals())
    with guarded(debug, False):
        from ..bank import file as bankfile
        from ..bank.build import Examples
        from ..bank.edit import build
        from ..detector import settings_from

        examples = Examples(positive, negative, positive_coco, positive_images)
        made = build(examples, settings_from(opt.values(given)))
        bankfile.save(made, output)
        say(f"{output}: {_counts(made)}.")


@bank_app.command("show")
def bank_show(
    bank: _BankArgument,
    json_lines: _Json = False,
    debug: opt.Debug = False,
) -> None:
    """What a bank holds: models, classes, exemplars."""
    with guarded(debug, False):
        from ..bank import file as bankfile
        from ..bank.edit import facts

        found = facts(bankfile.load(bank))
        if json_lines:
            print(json.dumps(found, indent=1))
            return
        for name, value in found["space"].items():
            print(f"{name:14} {'-' if value is None else value}")
        for row in found["exemplars"]:
            print(f"{row['label'] or '(negative)':24} {row['mask_source']:8} {row['name']}")


@bank_app.command("add")
def bank_add(
    bank: _BankArgument,
    positive: Annotated[
        Optional[tuple[str, Path]],
        typer.Option("--positive", help="Class and image file."),
    ] = None,
    negative: Annotated[
        Optional[list[Path]], typer.Option("--negative", help="Image file; may be repeated.")
    ] = None,
    from_record: Annotated[
        Optional[tuple[Path, int]],
        typer.Option("--from-record", help="Record and candidate id; a negative unless --label."),
    ] = None,
    label: Annotated[
        Optional[str], typer.Option("--label", help="Class of what --from-record names.")
    ] = None,
    image: Annotated[
        Optional[Path],
        typer.Option("--image", help="The record's image, if it is not found by its name."),
    ] = None,
    exemplar_mask: opt.ExemplarMask = _EXEMPLARS.exemplar_mask,
    backbone_ckpt: opt.BackboneCkpt = None,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    cache_dir: opt.CacheDir = None,
    no_cache: opt.NoCache = False,
    debug: opt.Debug = False,
) -> None:
    """Add examples to a bank; only these are described."""
    with guarded(debug, False):
        from ..bank import file as bankfile
        from ..bank.edit import Additions, add

        given = Additions(positive, tuple(negative or ()), from_record, label, image)
        cache = opt.cache_of(cache_dir, no_cache)
        models = (backbone_ckpt, device, precision)
        made = add(bankfile.load(bank), given, models, cache, exemplar_mask)
        bankfile.save(made, bank)
        say(f"{bank}: {_counts(made)}.")


@bank_app.command("remove")
def bank_remove(
    bank: _BankArgument,
    names: Annotated[list[str], typer.Argument(help="Names as `bank show` prints them.")],
    debug: opt.Debug = False,
) -> None:
    """Take examples out of a bank."""
    with guarded(debug, False):
        from ..bank import file as bankfile
        from ..bank.edit import remove

        made = remove(bankfile.load(bank), names)
        bankfile.save(made, bank)
        say(f"{bank}: {_counts(made)}.")


@bank_app.command("audit")
def bank_audit(
    bank: _BankArgument,
    json_lines: _Json = False,
    debug: opt.Debug = False,
) -> None:
    """Which examples help, which hurt, and whether the classes separate."""
    with guarded(debug, False):
        from ..bank import file as bankfile
        from ..bank.edit import audit_facts, audit_lines

        found = audit_facts(bankfile.load(bank))
        print(json.dumps(found, indent=1) if json_lines else "\n".join(audit_lines(found)))


def _counts(bank: Any) -> str:
    found = bank.describe()
    classes = ", ".join(f"{count} {name}" for name, count in found["classes"].items())
    return f"{classes}; {found['negative']} negatives"
