"""Is everything sound: environment, folders, weight files, and what networks compute."""

from __future__ import annotations

from pathlib import Path

from ..models import look, weight_files
from ..weights import models_folder, resolve
from . import checks, environment
from .checks import PROBLEM, WARNING, Finding, exit_code
from .pictures import LEFT_OUT, Picture, survey

__all__ = [
    "LEFT_OUT",
    "PROBLEM",
    "WARNING",
    "Finding",
    "Picture",
    "examine",
    "exit_code",
    "survey",
]


def examine(cache: Path, quick: bool = False) -> list[Finding]:
    """All findings. quick: weight files are hashed, not loaded."""
    found = [*environment.examine(), checks.models(), *checks.places(cache), checks.filterbank()]
    compute = resolve("auto", "auto")
    found += checks.embedded(compute, quick)
    for path in weight_files(models_folder()):
        if path.name == checks.CARRIED_FILE:
            continue  # looked at already
        if quick:
            found.append(checks.weights(look(path)))
        else:
            found += checks.weights_and_canary(path, compute)
    return found
