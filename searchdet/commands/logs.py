"""Where the program's log goes: to stderr, a line each."""

from __future__ import annotations

import logging
import sys

NAME = "searchdet"


def to_stderr(level: int) -> None:
    """Log from ``level`` on to stderr, and nowhere else."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger(NAME)
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def level() -> int:
    """What is logged now."""
    return logging.getLogger(NAME).level
