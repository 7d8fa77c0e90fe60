"""An example ``searchdet.toml`` with every option of every command, all commented out. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from .keys import MAIN, Key, keys_of, sample

HEAD = """\
# Settings of searchdet. Take the # off a line to set it; `searchdet config show` tells what holds.
# A flag goes before a SEARCHDET_* variable, and that before this file.
# Relative paths start from the folder of this file.
# Keys up here, before the first [table], hold for every command that has the option.
"""


def example(root: Any) -> str:
    """The text of the file."""
    every = list(keys_of(root))
    # a key that is also a command cannot stand beside the command's table
    tables = {key.path[0] for key in every}
    shared = [key for key in every if key.path == MAIN and key.names[0] not in tables]
    held = [(key.names, key.hint, key.param.default) for key in shared]
    lines = [HEAD, *_lines(shared)]
    for path, keys in groupby(every, lambda key: key.path):
        own = [k for k in keys if k.param.required or (k.names, k.hint, k.param.default) not in held]
        if own:
            lines += [f"[{'.'.join(path)}]", *_lines(own)]
    return "\n".join(lines)


def _lines(keys: Iterable[Key]) -> Iterator[str]:
    panel = None
    for key in keys:
        named = getattr(key.param, "rich_help_panel", None)
        if isinstance(named, str) and named != panel:
            panel = named
            yield f"## {panel}\n"
        if not key.param.hidden:
            default = key.param.default
            value = sample(key.hint) if default is None or callable(default) else default
            text = " ".join((key.param.help or "").split())
            yield f"# {text}\n#{key.names[0]} = {_literal(value)}\n"


def _literal(value: object) -> str:
    """A TOML value."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    plain = value if isinstance(value, bool | int | float) else str(value)
    return json.dumps(plain, ensure_ascii=False)
