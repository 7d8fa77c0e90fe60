"""What the benchmarks name of the package is there."""

from __future__ import annotations

import subprocess
import sys

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
