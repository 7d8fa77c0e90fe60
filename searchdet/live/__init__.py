"""All regions of many images under exemplars that change: judged again at once, without a model."""

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
