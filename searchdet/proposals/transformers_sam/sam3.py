"""``sam3``: the tracker of SAM 3."""

from __future__ import annotations

from .kinds import SAM3
from .plans import plan

PLAN = plan(SAM3)
