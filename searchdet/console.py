"""What all commands share: lines for a person on stderr, and errors as one line and an exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator

import typer

from .errors import SearchdetError

EXIT_BUG = 1


def say(text: str) -> None:
    """One line on stderr."""
    print(text.replace("\n", "\\n"), file=sys.stderr, flush=True)


@contextlib.contextmanager
def guarded(debug: bool, verbose: bool) -> Iterator[None]:
    """Log to stderr, turn expected errors into one line and their exit code."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("searchdet")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)
    logger.propagate = False
    try:
        yield
    except SearchdetError as error:
        if debug:
            traceback.print_exc()
        say(f"error: {error.one_line()}")
        raise typer.Exit(error.exit_code) from error
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from error
    except (typer.Exit, typer.Abort, KeyboardInterrupt):
        raise
    except Exception as error:  # a bug of ours: say so, in one line
        if debug:
            traceback.print_exc()
        say(
            f"error: internal error, {type(error).__name__}: {error}. "
            "Please report it with the output of --debug."
        )
        raise typer.Exit(EXIT_BUG) from error
