"""What all commands share: lines for a person on stderr, and errors as one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import typer

from ..errors import SearchdetError, UsageError
from . import logs

T = TypeVar("T")
EXIT_BUG, EXIT_SOME_FAILED, EXIT_NOTHING_FOUND = 1, 3, 6
HEEDED = (signal.SIGINT, signal.SIGTERM)
"""The signals that end a command, once what is done is finished."""


def say(text: str) -> None:
    """One line on stderr."""
    print(text.replace("\n", "\\n"), file=sys.stderr, flush=True)


class Stopped(BaseException):
    """A signal asked the program to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within it the first SIGINT or SIGTERM raises Stopped, so that what is done can be finished; the
    second ends the program at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # what is ignored, as under nohup, stays so
    signals = [one for one in HEEDED if signal.getsignal(one) != signal.SIG_IGN]

    def stop(signum: int, frame: object) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_DFL)
        raise Stopped(signum)

    before = [signal.signal(one, stop) for one in signals]
    try:
        yield
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)


def end_as_told(code: object) -> None:
    """Where a signal ended the command, as its exit code says, end the process by that signal: a shell
    goes on with its loop after a program that only exits. Returns where no signal does that: on
    Windows, and as the first process of a container. These have the exit code."""
    told = [one for one in HEEDED if code == 128 + one]
    if not told or os.name == "nt":
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a reader that is gone, or a closed stream
            stream.flush()
    signal.signal(told[0], signal.SIG_DFL)
    os.kill(os.getpid(), told[0])


@contextlib.contextmanager
def guarded(debug: bool, verbose: bool) -> Iterator[None]:
    """Log to stderr, turn expected errors into one line and their exit code."""
    logs.to_stderr(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)
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
    except Stopped as stop:
        say("Stopped.")
        raise typer.Exit(128 + stop.signum) from stop
    except (typer.Exit, typer.Abort, KeyboardInterrupt):
        raise
    except Exception as error:
        if callable(getattr(error, "show", None)):
            raise  # Click's own: it tells of itself
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            say(f"error: {error.filename}: no file has so long a name.")
            raise typer.Exit(UsageError.exit_code) from error
        # a bug of ours: say so, in one line
        say(
            f"error: internal error, {type(error).__name__}: {error}. "
            "Please report it with the output of --debug."
        )
        raise typer.Exit(EXIT_BUG) from error


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[Iterable[T]], Iterator[T]]]:
    """A bar with rate and remaining time on stderr, on a terminal only. Gives a function that wraps
    what is gone through."""
    if not sys.stderr.isatty() or total < 2:
        yield iter
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = (BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("images", total=total, rate="")

        def wrapped(items: Iterable[T]) -> Iterator[T]:
            for item in items:
                yield item
                speed = bar.tasks[0].speed
                bar.update(task, advance=1, rate="" if speed is None else f"{speed:.1f}/s")

        yield wrapped
