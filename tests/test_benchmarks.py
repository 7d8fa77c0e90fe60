"""What the benchmarks name of the package is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

SCRIPTS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.process
def test_they_import_and_their_sources_have_a_hash() -> None:
    """Regions are kept by the hash of the code that they come from; a file that moved has none."""
    words = f"import {', '.join(SCRIPTS)}; print(len(sets._code()))"
    done = subprocess.run(
        [sys.executable, "-c", words],
        cwd=ROOT / "benchmarks",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["16"]


@pytest.mark.process
def test_a_part_for_cards_gives_rows(tmp_path: Path) -> None:
    """On the CPU, with small networks: the only way in which the script is tried here."""
    words = ["gpu.py", "matrix", "--device", "cpu", "--small", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT / "benchmarks", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| matrix fp32 |" in done.stdout
    held = json.loads((tmp_path / "gpu-cpu-small.json").read_text())
    assert [row["what"] for row in held["rows"]] == ["matrix fp32", "matrix bf16"]
    assert held["parts"]["matrix"]["state"] == "done"


@pytest.mark.process
def test_a_part_without_time_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import gpu

    late = gpu.run_all(["matrix"], [], {"matrix": 9}, 0)
    late.append(gpu.run_part("sam", ["--device", "cpu", "--small"], 0.1))
    late.append(gpu.run_part("sam", ["--device", "nowhere"], 100))
    assert [done.state.split(":")[0] for done in late] == [
        "not begun",
        "ran out of its 0.1 s",
        "failed (1)",
    ]
    text = gpu.table(gpu.with_shares(late), late)
    assert "| **part sam** | | | | | **ran out of its 0.1 s** |" in text


def test_a_row_that_was_cut_off_is_none_and_shares_are_of_the_same_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import gpu

    plain = {"what": "a", "seconds": 2.0, "rate": 100.0, "gflop": None, "precision": "bf16"}
    work = plain | {"what": "b", "rate": 0.5, "gflop": 50.0}
    lines = json.dumps(plain) + "\nnoise\n" + json.dumps(work)[:-4]
    assert gpu.rows_in(lines) == [plain]
    parts = [gpu.Outcome("matrix", "done", 1, [plain]), gpu.Outcome("sam", "done", 1, [work])]
    assert [row["share"] for row in gpu.with_shares(parts)] == [None, 0.25]
    other = gpu.Outcome("sam", "done", 1, [work | {"precision": "fp32"}])
    assert gpu.with_shares([parts[0], other])[1]["share"] is None


@pytest.mark.model
def test_why_tests_failed_is_told_the_most_frequent_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import gpu_parts

    lines = [
        "..F",
        "FAILED a::b - E: one",
        "ERROR c - E: two",
        "FAILED d - E: two",
        "FAILED e",
        "3 failed",
    ]
    told = "3 failed; 2 x E: two; 1 x E: one; 1 x FAILED e"
    assert gpu_parts.said("\n".join(lines)) == told
    assert gpu_parts.said("") == "pytest said nothing"
