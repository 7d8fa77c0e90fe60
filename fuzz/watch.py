"""Runs cases in a process of its own, which is ended where a case hangs and replaced where it ended."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from formats import reshaped
from mutations import damaged
from seeds import Case
from targets import outcome

SECONDS = 5.0
"""Of processor time that a case may take; by the clock it may take ``PATIENCE`` times that."""
PATIENCE = 6
BYTES = 2 << 30
"""Memory that a case may take above what the process had before it."""
ROOM = 6 << 30
"""Where the process itself stops a case; above BYTES, so that the excess is seen and not caught."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case. trace: of what is outside the error tree, or "". seconds: of processor
    time; memory: the most it took, in bytes."""

    number: int
    outcome: str
    trace: str = ""
    seconds: float = 0.0
    memory: int = 0


def case_of(seed: int, target: str, number: int, corpus: Sequence[Case]) -> Case:
    """The case with a number; the same on every run. Numbers below the size of the corpus are it."""
    if number < len(corpus):
        return corpus[number]
    rng = random.Random(f"{seed}/{target}/{number}")
    chosen, others = rng.choice(corpus), [case.data for case in rng.choices(corpus, k=3)]
    data = (
        reshaped(rng, chosen.data, others) if rng.random() < 0.5 else damaged(rng, chosen.data, others)
    )
    return Case(chosen.name, data)


def results(seed: int, target: str, corpus: Sequence[Case], numbers: Iterator[int]) -> Iterator[Result]:
    """Run cases one by one, in order."""
    worker = None
    try:
        for number in numbers:
            worker = worker or _Worker(seed, target, corpus)
            result = worker.run(number)
            if result.outcome.startswith("ended"):
                worker = None
            yield result
    finally:
        if worker is not None:
            worker.end()


class _Worker:
    """A forked process that runs cases on demand."""

    def __init__(self, seed: int, target: str, corpus: Sequence[Case]) -> None:
        fork = multiprocessing.get_context("fork")
        self._here, there = fork.Pipe()
        self._process = fork.Process(target=_work, args=(there, seed, target, corpus), daemon=True)
        self._process.start()
        there.close()

    def run(self, number: int) -> Result:
        self._here.send(number)
        try:
            if self._here.poll(SECONDS * PATIENCE):
                return self._here.recv()
        except EOFError:
            self._process.join()
            return Result(number, f"ended the process (exit {self._process.exitcode})")
        self.end()
        return Result(number, f"ended: hung for {SECONDS * PATIENCE:.0f} s", seconds=SECONDS * PATIENCE)

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _work(there: Connection, seed: int, target: str, corpus: Sequence[Case]) -> None:
    """The loop of the process."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders complain there
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = _status("VmData") + ROOM
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    base = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(dir=base) as name:
        os.environ["SEARCHDET_CACHE"] = f"{name}/cache"
        while True:
            try:
                number = there.recv()
            except EOFError:
                return
            there.send(
                judged(target, case_of(seed, target, number, corpus), number, Path(name) / "case")
            )


def judged(target: str, case: Case, number: int, folder: Path) -> Result:
    """Run a case here and now."""
    folder.mkdir()
    before, trace = _reset_peak(), ""
    started = time.process_time()
    try:
        found = outcome(target, case, folder)
    except BaseException as error:
        found, trace = f"outside: {type(error).__name__}", "".join(traceback.format_exception(error))
    seconds = time.process_time() - started
    memory = max(0, _status("VmHWM") - before)
    shutil.rmtree(folder)
    if not trace and seconds > SECONDS:
        found, trace = f"outside: took {seconds:.1f} s", f"{seconds:.1f} s"
    if not trace and memory > BYTES:
        found, trace = "outside: took too much memory", f"{memory >> 20} MiB"
    return Result(number, found, trace, seconds, memory)


def _status(name: str) -> int:
    """A line of the process's status, in bytes; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0


def _reset_peak() -> int:
    """Forget the peak of memory so far; returns what is in use."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")
