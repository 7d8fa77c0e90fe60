"""The kinds of what a cache folder holds, each a folder of that name in it."""

from __future__ import annotations

REGIONS = "regions"
CLOSEUPS = "closeups"
EXEMPLARS = "exemplars"
AUTOMASKS = "automasks"
LOADED = "loaded"
SHA256 = "sha256"
RECORDS = "records"
KINDS = (REGIONS, CLOSEUPS, EXEMPLARS, AUTOMASKS, LOADED, SHA256, RECORDS)
