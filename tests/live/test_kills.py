"""A process that is killed loses no event that it confirmed, and frees its folder."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import slowboard
from places import TESTS
from slowboard import SlowBoard, SlowShelf

from searchdet.bank import file as bankfile
from searchdet.errors import UsageError
from searchdet.index import file as index
from searchdet.live.session import Session
from searchdet.live.settings import LiveSettings

pytestmark = pytest.mark.process
KILLS = 20
LOOP = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import slowboard
from searchdet.index import file as index
from searchdet.live.events import Judge, Pick, Undo
from searchdet.live.session import Session
from searchdet.live.settings import LiveSettings
here = Path(sys.argv[1])
board = slowboard.SlowBoard(slowboard.SlowShelf(index.load(here / "i")))
session = Session.open(here / "out", board, slowboard.start_bank(), LiveSettings())
print("open", flush=True)
for n in range(10_000):
    event = Pick("0.png", n % 3, "abc"[n % 2]) if n % 4 < 3 else Undo()
    session.apply(event)
    print("acknowledged", session._log.count, flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_confirmed(tmp_path: Path) -> None:
    slowboard.made(tmp_path / "i", [5])
    shelf = SlowShelf(index.load(tmp_path / "i"))
    chance = random.Random(4)
    confirmed = 0
    for _ in range(KILLS):
        words = [sys.executable, "-c", LOOP, str(tmp_path), str(TESTS)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            last = ""
            for _ in range(chance.randrange(1, 4)):
                last = process.stdout.readline()
            time.sleep(chance.random() * 0.03)
            process.kill()
            last = [*filter(None, (last, *process.stdout.read().splitlines()))][-1]
        said, number = last.split()
        assert said == "acknowledged"
        assert int(number) > confirmed
        session = Session.open(
            tmp_path / "out", SlowBoard(shelf), slowboard.start_bank(), LiveSettings()
        )
        with session:
            confirmed = session.version - 1  # events, beside the one image
            assert int(number) <= confirmed <= int(number) + 1
            saved = bankfile.load(tmp_path / "out" / "bank.safetensors")
            assert session.bank is not None
            assert saved.positives.names == session.bank.positives.names


def test_a_folder_is_free_when_its_process_is_gone(tmp_path: Path) -> None:
    slowboard.made(tmp_path / "i", [5])
    board = SlowBoard(SlowShelf(index.load(tmp_path / "i")))
    words = [sys.executable, "-c", LOOP, str(tmp_path), str(TESTS)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(UsageError, match="another process") as caught:
            Session.open(tmp_path / "out", board, slowboard.start_bank(), LiveSettings())
        assert "-o" in caught.value.hint
        process.kill()
    Session.open(tmp_path / "out", board, slowboard.start_bank(), LiveSettings()).close()
