"""The commands of ``searchdet config``, and the group that lets files set the options of all others."""

from __future__ import annotations

import copy
import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from typer.core import TyperGroup

from ..errors import OutputError, UsageError, meant
from . import options as opt
from .console import guarded, say
from .settings.option_tree import CHOICE, UNSET, Node, leaves, tree, variables

if TYPE_CHECKING:
    from .settings.file import Settings

ConfigFile = Annotated[
    Optional[str],
    typer.Option(
        "--config",
        metavar="FILE",
        help="Read this settings file and no other; also SEARCHDET_CONFIG.",
    ),
]
NoConfig = Annotated[bool, typer.Option("--no-config", help="Read no settings file.")]

config_app = typer.Typer(help="What is set, and which files set it.", no_args_is_help=True)


class SettingsGroup(TyperGroup):
    """A root whose --config and --no-config every command has too, and whose files set its options."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        own = [param for param in self.params if param.name in CHOICE]
        for path, command in leaves(self):
            # First, since Click handles flags in the order they are given and then all other
            # parameters in this order: before the files are read no parameter is looked up in them,
            # and --help comes before that, so a broken file does not keep anyone from it.
            command.params[:0] = [_asking(param, path) for param in own]


def _asking(param: Any, path: tuple[str, ...]) -> Any:
    twin = copy.copy(param)
    twin.expose_value = False
    twin.callback = functools.partial(_ask, path)
    return twin


def _ask(path: tuple[str, ...], context: Any, param: Any, value: Any) -> Any:
    """Click's callback of both options: after the second of them the files are read."""
    answers = context.meta.setdefault(__name__, {})
    answers[param.name] = value
    if len(answers) == len(CHOICE) and not context.resilient_parsing:
        # a flag is known by now, since Click takes those that are given first
        with guarded(bool(context.params.get("debug")), False):
            # `eval` hands on to `detect` what it has read
            if context.obj is None:
                context.obj = _load(context, **answers)
            context.default_map = context.obj.defaults(path)
    return value


def _chosen(context: Any, config_file: str | None, no_config: bool) -> tuple[Path, ...]:
    """The files to look at; what follows the command goes before what precedes it."""
    from .settings.file import places

    if config_file is None and not no_config:
        config_file, no_config = (context.find_root().params.get(name) for name in CHOICE)
    return places(config_file, bool(no_config))


def _load(context: Any, config_file: str | None, no_config: bool) -> Settings:
    from .settings.file import load, strange_variables

    root = context.find_root().command
    for line in strange_variables(root, os.environ):
        say(f"WARNING: {line}")
    return load(_chosen(context, config_file, no_config), root)


@config_app.command("show", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def config_show(
    context: typer.Context,
    words: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[COMMAND]...", help="A command, `detect` if none, and flags of it."),
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config_file: ConfigFile = None,
    no_config: NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """Each option of a command: its value, and whether a flag, a variable or a file set it."""
    with guarded(debug, False):
        settings = _load(context, config_file, no_config)
        node, rest = _command(tree(context.find_root().command), list(words or ()))
    rows = _rows(node, rest, settings)  # not guarded: Click tells of its own errors
    if json_lines:
        print(json.dumps({"command": " ".join(node.path), "options": rows}, indent=1, default=str))
        return
    shown = [(name, _text(row["value"]), row["source"], row["from"]) for name, row in rows.items()]
    wide = [max((len(row[column]) for row in shown), default=0) for column in (0, 1)]
    for name, value, source, origin in shown:
        print(f"{name:{wide[0]}}  {value:{min(wide[1], 40)}}  {origin or source}")


@config_app.command("path")
def config_path(
    context: typer.Context,
    config_file: ConfigFile = None,
    no_config: NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """The settings files that are looked at, the strongest first."""
    with guarded(debug, False):
        for path in _chosen(context, config_file, no_config):
            print(f"{path.absolute()}  {_state(path)}")


@config_app.command("init")
def config_init(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("searchdet.toml"),
    debug: opt.Debug = False,
) -> None:
    """Write a settings file with every option, all commented out."""
    with guarded(debug, False):
        from ..storage import files
        from .settings.example import example
        from .settings.file import NAME, PROJECT, read

        if os.path.lexists(file):
            raise OutputError(f"{file} is already there.", "Remove it or name another file.")
        if file == Path(NAME) and read(Path(PROJECT)) is not None:
            raise UsageError(f"{PROJECT} has [tool.searchdet] already.", "Keep the settings there.")
        files.write_bytes(file, example(tree(context.find_root().command)).encode())
        say(f"{file}: every option, all commented out.")


def _state(path: Path) -> str:
    from .settings.file import read

    try:
        found = read(path)
    except UsageError as error:
        return f"broken ({error.message})"
    if found is not None:
        return "read"
    return "without [tool.searchdet]" if os.access(path, os.F_OK) else "not there"


def _command(node: Node, words: list[str]) -> tuple[Node, list[str]]:
    """The command that words begin with, and the other words. Raises UsageError for no command."""
    words = words if words and not words[0].startswith("-") else ["detect", *words]
    while node.children:
        known = ", ".join(sorted(node.children))
        if not words or words[0].startswith("-"):
            raise UsageError(f"`{' '.join(node.path)}` is a group.", f"Name one of {known}.")
        if (*node.path, words[0]) == UNSET:
            raise UsageError("no file sets the options of `config`.")
        if words[0] not in node.children:
            raise UsageError(
                f"there is no command {words[0]!r}.",
                meant(words[0], node.children) or f"There are {known}.",
            )
        node, words = node.children[words[0]], words[1:]
    return node, words


def _rows(node: Node, words: list[str], settings: Settings) -> dict[str, dict[str, Any]]:
    """What Click would hand to a command that is called with these words."""
    if not node.options:
        return {}
    command = node.options[0].command
    context = command.context_class(
        command, info_name=" ".join(node.path), default_map=settings.defaults(node.path)
    )
    given, left, _ = command.make_parser(context).parse_args(args=words)
    if left and not context.allow_extra_args:
        context.fail(f"Got unexpected extra argument(s) ({' '.join(left)})")
    rows = {}
    for option in node.options:
        param = option.param
        value, source = param.consume_value(context, given)
        origin = None
        if source.name == "ENVIRONMENT":
            origin = next(name for name in variables(param) if os.environ.get(name))
        if source.name == "DEFAULT_MAP":
            origin = settings.of(node.path)[param.name].origin
        # a required option that is not set has no value here, which only its command complains about
        missing = source.name == "DEFAULT" and param.required
        rows[option.name] = {
            "value": None if missing else param.process_value(context, value),
            "source": _SOURCES.get(source.name, source.name.lower()),
            "from": origin,
        }
    return rows


_SOURCES = {"COMMANDLINE": "flag", "ENVIRONMENT": "environment", "DEFAULT_MAP": "file"}


def _text(value: Any) -> str:
    if value is None or value == () or value == []:
        return "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
