"""A folder that is judged again while a person looks at it: regions, events, and the session."""

from __future__ import annotations

from .board import Board
from .shelf import Shelf
from .view import Found, View

__all__ = [
    "Board",
    "Found",
    "Shelf",
    "View",
]
