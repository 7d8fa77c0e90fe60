"""The commands of ``searchdet bank``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ..config import (
    BackboneOptions,
    CacheOptions,
    Examples,
    ExemplarOptions,
    ProposalOptions,
    ReadingOptions,
    ScoringOptions,
    Settings,
    SuppressionOptions,
)
from ..config.address import Place
from .console import say
from .options import AsJson, cache_of, with_options
from .places import PLACE

if TYPE_CHECKING:
    from ..bank import Bank, Finding
    from ..bank.views import Gain
    from ..records import ClassThreshold, Interval

_BankArgument = Annotated[Place, typer.Argument(metavar="BANK", help="A file that `bank build` made.")]

bank_app = typer.Typer(help="Examples kept in one file, and their audit.", no_args_is_help=True)


@bank_app.command("build")
@with_options(without=("bank", ProposalOptions, ScoringOptions, SuppressionOptions, "keep_conflicts"))
def bank_build(
    output: Annotated[Place, typer.Option("--output", "-o", help="The file to write.", metavar=PLACE)],
    examples: Examples,
    settings: Settings,
    cache: CacheOptions,
) -> None:
    """Describe examples once and keep them in one file."""
    from ..bank import file as bankfile
    from ..bank.edit import build

    made = build(examples, replace(settings, cache=cache_of(cache)))
    bankfile.save(made, output)
    say(f"{output}: {_counts(made)}.")


@bank_app.command("show")
@with_options()
def bank_show(
    bank: _BankArgument,
    json_lines: AsJson = False,
) -> None:
    """What a bank holds: models, classes, exemplars."""
    from ..bank import facts
    from ..bank import file as bankfile

    loaded = bankfile.load(bank)
    if json_lines:
        print(json.dumps(facts(loaded), indent=1))
        return
    for name, value in (asdict(loaded.space) if loaded.space else {}).items():
        print(f"{name:14} {'-' if value is None else value}")
    if loaded.judged is not None:
        own = loaded.judged
        print(f"{'judged by':14} --prompting {own.prompting} --second-look {own.second_look}")
    for name, value in (asdict(loaded.normality.info) if loaded.normality else {}).items():
        print(f"{'normal ' + name:14} {value}")
    for c, origin in zip(loaded.labels, loaded.positives.origins, strict=True):
        print(f"{loaded.classes[c]:24} {origin.mask_source:8} {origin.name}")
    for origin in loaded.negatives.origins:
        print(f"{'(negative)':24} {origin.mask_source:8} {origin.name}")


@bank_app.command("add")
@with_options(
    without=(
        *("keep_conflicts", "skip_bad_exemplars", "crowds"),
        *("backbone", "feat_short_side", "pixel_stats", "allow_unverified"),
    )
)
def bank_add(
    bank: _BankArgument,
    exemplars: ExemplarOptions,
    backbone: BackboneOptions,
    reading: ReadingOptions,
    cache: CacheOptions,
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
    from_verdicts: Annotated[
        Optional[Path],
        typer.Option(
            "--from-verdicts", help="verdicts.json of a report; by the cache, without a model."
        ),
    ] = None,
    records: Annotated[
        Optional[Path],
        typer.Option("--records", help="Output folder that --from-verdicts is of; else where it lies."),
    ] = None,
    images: Annotated[
        Optional[Path],
        typer.Option("--images", help="Folder of its images: describe them with the model instead."),
    ] = None,
) -> None:
    """Add examples to a bank; only these are described."""
    from ..bank import Additions, add
    from ..bank import file as bankfile
    from ..errors import UsageError

    given = (positive, tuple(negative or ()), from_record, label, image)
    settings = Settings(backbone=backbone, exemplars=exemplars, reading=reading, cache=cache_of(cache))
    if from_verdicts is not None:
        if any(item is not None and item != () for item in given):
            raise UsageError(
                "--from-verdicts goes with no other examples.", "Add these in another run."
            )
        _teach(bank, from_verdicts, (records, images), settings)
        return
    if records is not None or images is not None:
        raise UsageError("--records and --images go with --from-verdicts.")
    made = add(bankfile.load(bank), Additions(*given), settings)
    bankfile.save(made, bank)
    say(f"{bank}: {_counts(made)}.")


def _teach(
    bank: Place, verdicts: Path, folders: tuple[Path | None, Path | None], settings: Settings
) -> None:
    """Add what a file of verdicts says. folders: of the records and of the images."""
    from ..bank import Taught, teach
    from ..bank import file as bankfile

    learned = teach(bankfile.load(bank), Taught(verdicts, *folders), settings)
    if learned.added:
        bankfile.save(learned.bank, bank)
    before = f", {learned.known} were there already" if learned.known else ""
    say(f"{bank}: {learned.added} verdicts added{before}; {_counts(learned.bank)}.")


@bank_app.command("remove")
@with_options()
def bank_remove(
    bank: _BankArgument,
    names: Annotated[list[str], typer.Argument(help="Names as `bank show` prints them.")],
) -> None:
    """Take examples out of a bank."""
    from ..bank import file as bankfile
    from ..bank import remove

    made = remove(bankfile.load(bank), names)
    bankfile.save(made, bank)
    say(f"{bank}: {_counts(made)}.")


@bank_app.command("audit")
@with_options()
def bank_audit(
    bank: _BankArgument,
    json_lines: AsJson = False,
) -> None:
    """Which examples help, which hurt, and whether the classes separate."""
    from ..bank import file as bankfile
    from ..bank import miscut
    from ..bank.audit import audit
    from ..bank.edit import require_exemplars
    from ..bank.views import gains
    from ..calibration import thresholds_of

    whole = bankfile.load(bank)
    require_exemplars(whole, "there is nothing to audit")
    loaded, cut = miscut.plain(whole), miscut.names_of(whole)  # which take no part
    findings, thresholds, views = audit(loaded), thresholds_of(loaded), gains(loaded)
    if json_lines:
        rows = {
            "exemplars": [item.to_json() for item in findings],
            "classes": [item.to_json() for item in thresholds],
            "miscut": list(cut),
            "views": [item.to_json() for item in views],
        }
        print(json.dumps(rows, indent=1))
        return
    for line in (*_finding_lines(findings), "", *_threshold_lines(thresholds), "", *_LEGEND):
        print(line)
    for line in _view_lines(views):
        print(line)
    for name in cut:
        print(f"miscut, decides its own region alone: {name}")


_LEGEND = (
    "own: cosine to its class without it; next: largest cosine to what is not its class",
    "effect: what the others of its class gain if it is left out",
    "recall, precision: of the examples themselves, left out in turn, with 95 % intervals",
)


def _finding_lines(findings: list[Finding]) -> Iterator[str]:
    yield f"{'own':>6} {'next':>6} {'effect':>7}  example"
    for item in findings:
        numbers = [_cell(value) for value in (item.own, item.nearest_cosine, item.effect)]
        notes = [flag.replace("_", " ") for flag in item.flags]
        if item.twin:
            notes[notes.index("duplicate")] = f"duplicate of {item.twin}"
        elif item.flags and item.nearest:
            notes.append(f"next: {item.nearest}")
        said = f"  <- {', '.join(notes)}" if notes else ""
        side = item.label or "(negative)"
        yield f"{numbers[0]:>6} {numbers[1]:>6} {numbers[2]:>7}  {side}: {item.name}{said}"


def _threshold_lines(thresholds: Iterable[ClassThreshold]) -> Iterator[str]:
    yield f"{'least':>6} {'recall':>18} {'precision':>18}  class"
    verdict = {True: "", False: "  <- these folders do not separate", None: "  <- too few to say"}
    for item in thresholds:
        shares = [_interval(share) for share in (item.recall, item.precision)]
        said = verdict[item.separates]
        yield f"{item.min_score:6.3f} {shares[0]:>18} {shares[1]:>18}  {item.label}{said}"


_ADVICE = {
    "helps": "helps: keep it",
    "hurts": "hurts: build the bank without it",
    "unclear": "no clear difference: not worth its time",
    "few": "too few examples to say",
}


def _view_lines(views: list[Gain]) -> Iterator[str]:
    """What each kind of --augment gives the examples that are left out."""
    if views:
        yield ""
        yield f"{'lead':>7} {'+-':>6}  --augment"
    for item in views:
        change = "-" if item.lead is None else f"{item.lead:+.3f}"
        numbers = f"{change:>7} {_cell(item.error):>6}"
        yield f"{numbers}  {','.join(item.kinds)}  <- {_ADVICE[item.verdict]}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(value: Interval | None) -> str:
    return "-" if value is None else f"{value.share:.2f} ({value.low:.2f}-{value.high:.2f})"


def _counts(bank: Bank) -> str:
    normal = f"; {bank.normality.info.images} good parts" if bank.normality else ""
    if bank.by_normality:
        none = f"; {len(bank.negatives)} negatives" if len(bank.negatives) else ""
        return f"no examples{none}{normal}"
    classes = ", ".join(f"{count} {name}" for name, count in bank.counts().items())
    return f"{classes}; {len(bank.negatives)} negatives{normal}"
