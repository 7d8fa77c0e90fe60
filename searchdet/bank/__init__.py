"""The bank: exemplar vectors with their provenance; built, kept in a file, edited and audited."""

from __future__ import annotations

from .audit import SAME, Finding
from .build import Enrolment, Gathered, Read, gather, read, settle, settled, with_tiles
from .edit import Additions, add, facts, remove
from .taught import Learned, Taught, teach
from .types import Bank, JudgedBy, Rows, join

__all__ = [
    "SAME",
    "Additions",
    "Bank",
    "Enrolment",
    "Finding",
    "Gathered",
    "JudgedBy",
    "Learned",
    "Read",
    "Rows",
    "Taught",
    "add",
    "facts",
    "gather",
    "join",
    "read",
    "remove",
    "settle",
    "settled",
    "teach",
    "with_tiles",
]
