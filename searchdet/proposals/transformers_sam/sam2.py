"""``sam2``: SAM 2 and 2.1."""

from __future__ import annotations

from .kinds import SAM2
from .plans import plan

PLAN = plan(SAM2)
