"""Collecting tests is cheap: what does not need torch does not import it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from places import ROOT

FREE = ("evaluation", "exports", "images", "report", "records/test_record.py", "masks/test_rle.py")
FREE += ("test_rooms.py", "test_ci.py", "commands/test_failures.py", "commands/test_settings.py")
SCRIPT = """
import sys
import pytest
code = pytest.main(["--co", "-q", "-p", "no:cacheprovider", *sys.argv[1:]])
sys.exit(f"torch was imported, or {code}" if code or "torch" in sys.modules else 0)
"""


@pytest.mark.process
def test_tests_without_networks_are_collected_without_torch() -> None:
    words = [sys.executable, "-c", SCRIPT, *(f"tests/{name}" for name in FREE)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert " tests collected" in done.stdout
