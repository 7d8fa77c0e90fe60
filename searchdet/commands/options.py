"""The parameters of commands, made from the declarations in config.

A command is a function whose parameters are dataclasses of options, beside plain ones of its own:

    @with_options(without=("prompting",))
    def index(images: Images, settings: Settings, scan: ScanOptions) -> None: ...

Typer sees a flat function with one parameter for each option; the command gets the dataclasses.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, get_type_hints

import typer

from .. import proposals
from ..config import CacheOptions, Examples, LogOptions, OutputOptions, ScanOptions
from ..config.option import Declared, declared, from_values
from ..exports import FORMATS
from .console import guarded
from .places import PLACE, as_text, brought, is_fetched, takes_addresses

if TYPE_CHECKING:
    from ..config.address import Place
    from ..images import Scan
    from ..output import Output

IMAGES = "Images, folders, quoted globs, @list, - (stdin)."
Images = Annotated[list[str], typer.Argument(help=IMAGES)]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Command = Callable[..., None]
_CONTEXT = "typer_context"
"""The parameter by which a command learns which of its options were named, if it has no other."""
Without = Collection[str | type[Any]]


def with_options(*, without: Without = (), verbose: bool = False) -> Callable[[Command], Command]:
    """A command of a function whose parameters are dataclasses of options; all of it is ``guarded``.

    without: keys of options, and whole dataclasses in those of the parameters, that the command does
    not have. verbose: whether it has --verbose; --debug it always has.
    """

    def wrap(body: Command) -> Command:
        hints = get_type_hints(body, include_extras=True)
        hints.pop("return", None)
        parts = ((name, hint) for name, hint in hints.items() if isinstance(hint, type))
        kinds = {name: hint for name, hint in parts if is_dataclass(hint)}
        _require_known(without, kinds)
        options = {name: tuple(declared(kind, without)) for name, kind in kinds.items()}
        log = tuple(declared(LogOptions, () if verbose else ("verbose",)))
        own = {name: hint for name, hint in hints.items() if name not in kinds}
        every = own | {item.key: item.hint for mine in options.values() for item in mine}
        kept = frozenset(name for name, hint in every.items() if takes_addresses(hint))
        told = {item.key for mine in options.values() for item in mine if item.option.fetched}
        fetched = frozenset(told | {name for name, hint in own.items() if is_fetched(hint)}) - kept

        context = next((name for name, hint in own.items() if hint is typer.Context), _CONTEXT)

        @functools.wraps(body)
        def command(**given: object) -> None:
            told, named = _made(LogOptions, log, given), _named(given, given[context])
            with guarded(told.debug, told.verbose), brought(given, kept, fetched) as here:
                said = {name: here[name] for name in named}
                parts = {name: _made(kinds[name], mine, said) for name, mine in options.items()}
                body(**{name: parts[name] if name in parts else here[name] for name in hints})

        parameters = _flat(body, hints, options, log)
        if context == _CONTEXT:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters[context] = inspect.Parameter(context, kind, annotation=typer.Context)
        command.__dict__["__signature__"] = inspect.Signature(list(parameters.values()))
        command.__annotations__ = {name: one.annotation for name, one in parameters.items()}
        return command

    return wrap


def _made(kind: Any, options: tuple[Declared, ...], given: Mapping[str, object]) -> Any:
    """A dataclass of those of the values that are its own; what is not among them keeps its default."""
    return from_values(kind, {item.key: given[item.key] for item in options if item.key in given})


def _named(given: Mapping[str, object], context: Any) -> list[str]:
    """The parameters that a flag, a variable or a file sets. context: Click's."""
    sources = {name: context.get_parameter_source(name) for name in given}
    return [name for name, one in sources.items() if one is not None and one.name != "DEFAULT"]


def _require_known(without: Without, kinds: Mapping[str, type]) -> None:
    """Raise ValueError for what no parameter has."""
    for name in without:
        alone = {name}
        if all(list(declared(kind)) == list(declared(kind, alone)) for kind in kinds.values()):
            raise ValueError(f"without={name!r}: no parameter has it")


def _flat(
    body: Command,
    hints: Mapping[str, object],
    options: Mapping[str, tuple[Declared, ...]],
    log: tuple[Declared, ...],
) -> dict[str, inspect.Parameter]:
    """The parameters that Typer sees. An option that two parts share is there once. Raises ValueError
    for two different options of one name."""
    seen: dict[str, object] = {}
    made: dict[str, inspect.Parameter] = {}

    def add(parameter: inspect.Parameter, source: object) -> None:
        if seen.setdefault(parameter.name, source) != source:
            raise ValueError(f"{body.__name__}: two options are called {parameter.name!r}")
        made.setdefault(parameter.name, parameter)

    for own in inspect.signature(body).parameters.values():
        if own.name in options:
            for item in options[own.name]:
                add(_parameter(item), (item.hint, item.option))
        else:
            hint = hints[own.name]
            hint = as_text(hint) if takes_addresses(hint) or is_fetched(hint) else hint
            add(own.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hint), own)
    for item in log:
        add(_parameter(item), item)
    return made


def _parameter(item: Declared) -> inspect.Parameter:
    """The declaration as Typer's; words are taken apart when the dataclass is made."""
    hint, default = (Optional[list[str]], None) if item.repeats else (item.hint, item.default)
    told, shown_as = item.option, None
    if told.fetched or takes_addresses(hint):
        hint, shown_as = as_text(hint), PLACE
        default = default if default is None else str(default)
    shown = typer.Option(
        default,
        *item.flags,
        help=_help(told.text),
        envvar=item.variable,
        rich_help_panel=told.panel,
        metavar=shown_as,
    )
    return inspect.Parameter(item.key, inspect.Parameter.KEYWORD_ONLY, default=shown, annotation=hint)


def _help(text: str) -> str:
    """A help text with the names that other rooms register."""
    return text.format(formats=", ".join(FORMATS), proposals=proposals.help_text())


def cache_of(options: CacheOptions) -> Path | None:
    """The cache folder that the options mean; None for none."""
    from ..storage.hashes import cache_folder

    return None if options.no_cache else options.cache_dir or cache_folder()


def output_of(options: OutputOptions, cache: Path | None) -> Output | None:
    """The output folder that the options mean; None where nothing is to be written."""
    from ..exports import formats
    from ..output import Output
    from ..output.folder import pictures

    drawn, datasets = pictures(options.save), formats(options.dataset)
    target = Output(options.output, drawn, options.overwrite, datasets, cache)
    return None if options.no_save else target


def scan_of(
    options: ScanOptions,
    output: Place,
    cache: CacheOptions,
    examples: Examples | None = None,
    masks: Path | None = None,
) -> Scan:
    """How a command reads its inputs: it looks into neither its output nor the cache, used or not, nor
    into folders of examples, or of masks, within them."""
    from ..images import Scan, parse_shard
    from ..storage.fetched import origin_of

    given = () if examples is None else (examples.positive, examples.negative, examples.normal)
    apart = (*given, masks)

    never = (output, cache_of(CacheOptions(cache.cache_dir)))
    return Scan(
        root=options.root,
        recursive=options.recursive,
        follow_symlinks=options.follow_symlinks,
        never=tuple(place for place in never if place is not None),
        examples=tuple(origin_of(path) for path in apart if path is not None),
        null=options.null,
        shard=parse_shard(options.shard, os.environ),
    )
