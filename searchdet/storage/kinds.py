"""Names of what lies in folders: the kinds of a cache, each a folder in it; the mark of an output."""

from __future__ import annotations

REGIONS = "regions"
CLOSEUPS = "closeups"
EXEMPLARS = "exemplars"
AUTOMASKS = "automasks"
LOADED = "loaded"
SHA256 = "sha256"
RECORDS = "records"
GUIDES = "guides"
NORMALITY = "normality"
KINDS = (REGIONS, CLOSEUPS, EXEMPLARS, AUTOMASKS, LOADED, SHA256, RECORDS, GUIDES, NORMALITY)
RUN_FILE, RUN_FORM, RUN_SCHEMA = "run.json", "searchdet.run/", "searchdet.run/1"
"""What marks an output folder: a file, how the ``schema`` in it begins, and what it is now."""
