"""The kinds of what a cache folder holds, each a folder of that name in it."""

from __future__ import annotations

REGIONS = "regions"
EXEMPLARS = "exemplars"
AUTOMASKS = "automasks"
LOADED = "loaded"
CANARIES = "canaries"
SHA256 = "sha256"
RECORDS = "records"
KINDS = (REGIONS, EXEMPLARS, AUTOMASKS, LOADED, CANARIES, SHA256, RECORDS)
