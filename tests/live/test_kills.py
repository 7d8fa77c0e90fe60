"""A process that is killed loses no event that it confirmed, and frees its folder."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import slowboard
from places import TESTS
from slowboard import SlowBoard, SlowShelf

from searchdet.bank import file as bankfile
from searchdet.errors import UsageError
from searchdet.index import file as index
from searchdet.live import LiveSettings, Session

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is killed that was forked"),
]
KILLS = 20
PATIENCE = 180.0
"""Seconds after which all processes are ended, so that the test fails and does not wait for ever."""
NURSERY = """
import os, sys
import torch  # once, and not in every child
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import slowboard
from searchdet.index import file as index
from searchdet.live import LiveSettings, Session
from searchdet.live.events import Pick, Undo

def loop(here):
    board = slowboard.SlowBoard(slowboard.SlowShelf(index.load(here / "i")))
    session = Session.open(here / "out", board, slowboard.start_bank(), LiveSettings())
    print("open 0", flush=True)
    for n in range(10_000):
        session.apply(Pick("0.png", n % 3, "abc"[n % 2]) if n % 4 < 3 else Undo())
        print("acknowledged", session.version - 1, flush=True)

for _ in sys.stdin:
    child = os.fork()
    if not child:
        loop(Path(sys.argv[1]))
    print("child", child, flush=True)
    os.waitpid(child, 0)
    print("gone 0", flush=True)
"""
"""Forks for each line that it is given, as starting Python anew takes longer than all the rest."""


class Nursery:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.child, self.last = process, 0, 0

    def begin(self) -> None:
        """A new process that applies events, up to its first one."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        words = {self.read(), self.read()}
        assert words == {"child", "open"}

    def read(self) -> str:
        """The next word of it; its numbers are kept."""
        word, number = self.process.stdout.readline().split()
        if word == "child":
            self.child = int(number)
        elif word == "acknowledged":
            self.last = int(number)
        return word

    def kill(self) -> None:
        os.kill(self.child, signal.SIGKILL)
        while self.read() != "gone":
            pass


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    words = [sys.executable, "-c", NURSERY, str(folder), str(TESTS)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, text=True, start_new_session=True, **pipes) as process:
        limit = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        try:
            yield Nursery(process)
            process.stdin.close()
        finally:
            limit.cancel()


def test_a_killed_process_loses_nothing_that_it_confirmed(tmp_path: Path) -> None:
    slowboard.made(tmp_path / "i", [5])
    board = SlowBoard(SlowShelf(index.load(tmp_path / "i")))
    chance = random.Random(4)
    confirmed = 0
    with nursery(tmp_path) as processes:
        for _ in range(KILLS):
            processes.begin()
            for _ in range(chance.randrange(1, 4)):
                assert processes.read() == "acknowledged"
            time.sleep(chance.random() * 0.03)
            processes.kill()
            assert processes.last > confirmed
            with Session.open(tmp_path / "out", board, slowboard.start_bank(), LiveSettings()) as one:
                confirmed = one.version - 1  # events, beside the one image
                assert processes.last <= confirmed <= processes.last + 1
                saved = bankfile.load(tmp_path / "out" / "bank.safetensors")
                assert one.bank is not None
                assert saved.positives.names == one.bank.positives.names


def test_a_folder_is_free_when_its_process_is_gone(tmp_path: Path) -> None:
    slowboard.made(tmp_path / "i", [5])
    board = SlowBoard(SlowShelf(index.load(tmp_path / "i")))
    with nursery(tmp_path) as processes:
        processes.begin()
        with pytest.raises(UsageError, match="another process") as caught:
            Session.open(tmp_path / "out", board, slowboard.start_bank(), LiveSettings())
        assert "-o" in caught.value.hint
        processes.kill()
        Session.open(tmp_path / "out", board, slowboard.start_bank(), LiveSettings()).close()
