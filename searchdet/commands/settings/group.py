"""The root of the command line, which lets settings files set the options of every command."""

from __future__ import annotations

import copy
import functools
import itertools
import os
import re
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperGroup

from ...errors import UsageError
from ..console import guarded, say
from .file import FileSettings, load, places, strange_variables
from .keys import CHOICE, leaves

ConfigFile = Annotated[
    Optional[str],
    typer.Option(
        "--config",
        metavar="FILE",
        help="Read this settings file and no other; also SEARCHDET_CONFIG.",
    ),
]
_FILE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{2,4}$")
"""The end of an argument that names a file."""
NoConfig = Annotated[bool, typer.Option("--no-config", help="Read no settings file.")]


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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuses a file whose name begins like an option before its letters are taken for options."""
        if not ctx.resilient_parsing:
            with guarded(False, False):
                _require_no_dashed_file(args, self)
        return super().parse_args(ctx, args)


def _require_no_dashed_file(args: list[str], root: Any) -> None:
    """Raise UsageError for an argument that begins with ``-``, is no option, and is there as a file, or
    looks like one. What follows ``--`` is taken as it is."""
    for arg in itertools.takewhile(lambda arg: arg != "--", args):
        dashed = len(arg) > 1 and arg[0] == "-" and "=" not in arg
        if dashed and (_FILE.search(arg) or os.path.lexists(arg)) and arg not in _options(root):
            hint = f"If a file is meant, write ./{arg}, or -- before it"
            if arg[:2] in _valued(root):
                apart = f"{arg[:2]} {arg[2:]}"
                hint += f"; if the value of an option is, put a space between them: {apart}"
            raise UsageError(f"{arg}: begins like an option.", f"{hint}.")


def _valued(root: Any) -> set[str]:
    """Options of one letter that take a value."""
    params = [*root.params, *(param for _, command in leaves(root) for param in command.params)]
    own = (param.opts for param in params if not getattr(param, "is_flag", True))
    return {name for names in own for name in names if len(name) == 2 and name[0] == "-"}


def _options(root: Any) -> set[str]:
    params = [*root.params, *(param for _, command in leaves(root) for param in command.params)]
    return {name for param in params for name in (*param.opts, *param.secondary_opts)} | {
        "-h",
        "--help",
    }


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
                context.obj = settings_of(context, **answers)
            context.default_map = context.obj.defaults(path)
    return value


def chosen(context: Any, config_file: str | None, no_config: bool) -> tuple[Path, ...]:
    """The files to look at; what follows the command goes before what precedes it."""
    if config_file is None and not no_config:
        config_file, no_config = (context.find_root().params.get(name) for name in CHOICE)
    return places(config_file, bool(no_config))


def settings_of(context: Any, config_file: str | None, no_config: bool) -> FileSettings:
    """What the files say. Names variables that set nothing."""
    root = context.find_root().command
    for line in strange_variables(root, os.environ):
        say(f"WARNING: {line}")
    return load(chosen(context, config_file, no_config), root)
