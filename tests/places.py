"""Where things lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGE = ROOT / "searchdet"
ASSETS = TESTS / "assets"
TINY_SAM = ASSETS / "tiny_sam.pth"

Figure = Callable[[str, float], float]
"""What the fixture ``figure`` is: name and value in, value out."""

QUICK = "filterbank"
"""The backbone of tests that are about something else: no network, and a feature map at once."""
FEW = "60"
"""Masks of an image that tests of the command line score, unless they say how many: the drawn worlds
have two or three objects, and what is done for each mask is most of the work."""
