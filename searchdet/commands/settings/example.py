"""An example ``searchdet.toml`` with every option of every command, all commented out. Pure."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .option_tree import MAIN, Node, Option, sample

HEAD = """\
# Settings of searchdet. Take the # off a line to set it; `searchdet config show` tells what holds.
# A flag goes before a SEARCHDET_* variable, and that before this file.
# Relative paths start from the folder of this file.
# Keys up here, before the first [table], hold for every command that has the option.
"""


def example(root: Node) -> str:
    """The text of the file."""
    lines = [HEAD]
    main = next(node for node in root.commands() if node.path == MAIN)
    # a key that is also a command cannot stand beside the command's table
    shared = [option for option in main.options if option.name not in root.children]
    lines += _lines(shared)
    held = {
        id(option)
        for own in shared
        for option in root.sharing(own.name)
        if option.param.default == own.param.default
    }
    for node in root.commands():
        own = [option for option in node.options if id(option) not in held]
        if own:
            lines += [f"[{'.'.join(node.path)}]", *_lines(own)]
    return "\n".join(lines)


def _lines(options: list[Option]) -> Iterator[str]:
    panel = None
    for option in options:
        named = getattr(option.param, "rich_help_panel", None)
        if isinstance(named, str) and named != panel:
            panel = named
            yield f"## {panel}\n"
        if not option.param.hidden:
            text = " ".join((option.param.help or "").split())
            yield f"# {text}\n#{option.name} = {_literal(_value(option))}\n"


def _value(option: Option) -> Any:
    """The default, or what could be written where there is none."""
    default = option.param.default
    return sample(option.shape) if default is None or callable(default) else default


def _literal(value: Any) -> str:
    """A TOML value."""
    if isinstance(value, enum.Enum):
        return _literal(value.value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else repr(value)
