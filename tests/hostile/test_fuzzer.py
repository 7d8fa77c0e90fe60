"""The fuzzer of ``make fuzz`` sees what it is there to see."""

from __future__ import annotations

import mmap
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

sys.path.insert(0, str(ROOT / "fuzz"))
import targets
import watch
from seeds import Case

pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Newer Pythons warn of a fork where there are threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _grow(case: Case, folder: Path) -> None:
    # Mapped: the heap may have free pages that count already.
    np.frombuffer(mmap.mmap(-1, 64 << 20), np.uint8)[:] = 1


BAD = {
    "a bug": (lambda case, folder: {}["x"], "outside: KeyError"),
    "a crash": (lambda case, folder: os.kill(os.getpid(), 9), "ended the process (exit -9)"),
    "a hang": (lambda case, folder: time.sleep(60), "ended: hung"),
    "a long way": (lambda case, folder: sum(range(10**7)), "outside: took"),
    "memory": (_grow, "outside: took too much memory"),
    "nothing": (lambda case, folder: None, "accepted"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
@pytest.mark.parametrize("name", BAD)
def test_the_fuzzer_sees(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, said = BAD[name]
    monkeypatch.setitem(targets.TARGETS, "bad", bad)
    limits = {
        "a hang": (0.2, 5, 1 << 30),
        "a long way": (0.02, 999, 1 << 40),
        "memory": (9, 2, 32 << 20),
    }
    seconds, patience, most = limits.get(name, (9, 2, 1 << 30))
    monkeypatch.setattr(watch, "SECONDS", seconds)
    monkeypatch.setattr(watch, "PATIENCE", patience)
    monkeypatch.setattr(watch, "BYTES", most)
    found = list(watch.results(0, "bad", [Case("a", b"a")], iter(range(3))))
    assert [item.number for item in found] == [0, 1, 2]
    assert all(item.outcome.startswith(said) for item in found), found
