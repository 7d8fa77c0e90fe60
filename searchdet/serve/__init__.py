"""The page that judges a folder while a person looks at it: HTTP on this machine, and nothing else."""

from __future__ import annotations
