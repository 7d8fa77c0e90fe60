"""Is everything sound: environment, folders, weight files, and what networks compute."""

from __future__ import annotations

from .checks import examine
from .finding import PROBLEM, WARNING, exit_code

__all__ = [
    "PROBLEM",
    "WARNING",
    "examine",
    "exit_code",
]
