"""Writes commands.md: every command of ``searchdet``, from the commands themselves.

`make docs` runs it; tests/test_docs.py fails where the file is not what it gives.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from searchdet.cli import app

TARGET = Path(__file__).with_name("commands.md")
EVERYWHERE = ("--config", "--no-config")
"""Options that stand at the top, once, and not with each command."""
HEAD = """\
# Commands

Every command with its arguments and options, written by `make docs` from the commands themselves;
`searchdet COMMAND --help` shows the same. The guides are in [README.md](README.md).

Every command also has `--help` (`-h`), and each but `config init` takes `--config FILE` (read this
settings file and no other; also `SEARCHDET_CONFIG`) and `--no-config`. `searchdet --version` prints the
version, `searchdet --install-completion` installs completion for the shell.

A flag goes before its variable, and that before a
[settings file](batches.md#settings-from-files). Variables of on/off options take `1` or `0`; of
repeatable ones, words with spaces between. `SEARCHDET_MODELS` is the folder of weight files (else
`models`), `SEARCHDET_CACHE` the cache folder where `--cache-dir` is not given.
"""
WORDS: dict[Any, str] = {int: "INTEGER", float: "NUMBER", Path: "PATH", str: "TEXT"}


def page() -> str:
    """The text of commands.md."""
    root = typer.main.get_command(app)
    commands = list(_walk(root, ("searchdet",)))
    lines = [HEAD]
    for path, command in commands:
        name = " ".join(path)
        lead = "  " * (len(path) - 2)
        lines.append(f"{lead}- [`{name}`](#{name.replace(' ', '-')}): {_first(command.help)}")
    for path, command in commands:
        lines += ["", *_command(path, command)]
    return "\n".join(lines) + "\n"


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, child in command.commands.items():
        if not child.hidden:
            yield (*path, name), child
            if getattr(child, "commands", None):
                yield from _walk(child, (*path, name))


def _first(text: str | None) -> str:
    """The first paragraph on one line."""
    return " ".join((text or "").split("\n\n")[0].split())


def _command(path: tuple[str, ...], command: Any) -> Iterator[str]:
    yield f"{'#' * len(path)} {' '.join(path)}"
    for paragraph in (command.help or "").split("\n\n"):
        yield ""
        yield " ".join(paragraph.split())
    if getattr(command, "commands", None):
        return
    params = [param for param in command.params if not param.hidden and param.name != "help"]
    arguments = [param for param in params if param.param_type_name == "argument"]
    options = [
        param
        for param in params
        if param.param_type_name == "option" and not set(param.opts) & set(EVERYWHERE)
    ]
    hints = typing.get_type_hints(command.callback)
    names = [_argument(param) for param in arguments]
    words = ["[OPTIONS]"] if options else []
    yield ""
    yield f"`{' '.join([*path, *words, *names])}`"
    if arguments:
        yield ""
        yield from _table("argument", [(f"`{_argument(p)}`", p, hints) for p in arguments])
    panels: dict[str, list[Any]] = {"": []}
    for param in options:
        panels.setdefault(_panel(param), []).append(param)
    for panel, members in panels.items():
        if not members:
            continue
        yield ""
        if panel:
            yield f"**{panel}**"
            yield ""
        yield from _table("option", [(_flags(p, hints), p, hints) for p in members])


def _table(kind: str, rows: list[tuple[str, Any, dict[str, Any]]]) -> Iterator[str]:
    variables = any(param.envvar for _, param, _ in rows)
    titles = [kind, "default", *(["variable"] if variables else []), ""]
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for name, param, _ in rows:
        cells = [name, _default(param)]
        if variables:
            cells.append(f"`{param.envvar}`" if param.envvar else "")
        cells.append(" ".join((param.help or "").split()))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _panel(param: Any) -> str:
    panel = getattr(param, "rich_help_panel", None)
    return panel if isinstance(panel, str) else ""


def _argument(param: Any) -> str:
    name = str(param.metavar or param.name.upper() + ("..." if param.nargs == -1 else ""))
    return name if param.required or name.startswith("[") else f"[{name}]"


def _flags(param: Any, hints: dict[str, Any]) -> str:
    flags = [*param.opts, *param.secondary_opts]
    value = "" if param.is_flag else f" {_value(param, hints)}"
    return ", ".join(f"`{flag}{value}`" if flag == flags[0] else f"`{flag}`" for flag in flags)


def _value(param: Any, hints: dict[str, Any]) -> str:
    return str(param.metavar or " ".join(_kinds(hints[param.name])))


def _kinds(hint: Any) -> list[str]:
    """What an option takes, in words; of ``Optional[list[str]]`` the inner type."""
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    if typing.get_origin(hint) is tuple:
        return [WORDS[part] for part in parts]
    return _kinds(parts[0]) if parts else [WORDS.get(hint, "TEXT")]


def _default(param: Any) -> str:
    if param.required:
        return "required"
    if param.default is None or param.default is False:
        return ""
    return f"`{param.default}`"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
