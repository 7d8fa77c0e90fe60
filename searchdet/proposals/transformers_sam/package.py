"""The Python package transformers, which is an extra."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...errors import CheckpointError

LEAST = (5, 20)
"""As in the extra ``sam2`` of pyproject.toml."""
EXTRA = 'Run `pip install "searchdet[sam2]"`.'


def require(name: str) -> None:
    """Raise CheckpointError where transformers is not there or too old for ``--proposals name``."""
    least = ".".join(map(str, LEAST))
    try:
        found = version("transformers")
    except PackageNotFoundError:
        raise CheckpointError(
            f"--proposals {name} needs the Python package transformers, which is not installed.", EXTRA
        ) from None
    digits = re.match(r"(\d+)\.(\d+)", found)
    if digits is None or (int(digits[1]), int(digits[2])) < LEAST:
        raise CheckpointError(
            f"--proposals {name} needs transformers {least} or later; {found} is installed.", EXTRA
        )


def classes(name: str, *wanted: str) -> tuple[Any, ...]:
    """Classes of transformers for ``--proposals name``. Raises CheckpointError without them."""
    require(name)
    try:
        module = import_module("transformers")
        return tuple(getattr(module, one) for one in wanted)
    except (ImportError, AttributeError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:160]
        raise CheckpointError(
            f"--proposals {name}: transformers {version('transformers')} cannot be used ({reason}).",
            EXTRA,
        ) from error
