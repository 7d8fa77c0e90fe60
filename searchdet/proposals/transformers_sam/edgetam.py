"""``edgetam``: EdgeTAM."""

from __future__ import annotations

from .kinds import EDGETAM
from .plans import plan

PLAN = plan(EDGETAM)
