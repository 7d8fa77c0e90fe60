"""A folder that is judged again while a person looks on: all regions at once, and without a model."""

from __future__ import annotations

from .board import Board
from .changes import Change, ImageChange
from .hands import ModelHands
from .review import Offer
from .session import Session
from .settings import LiveSettings
from .shelf import Shelf
from .state import State
from .view import Found, View

__all__ = [
    "Board",
    "Change",
    "Found",
    "ImageChange",
    "LiveSettings",
    "ModelHands",
    "Offer",
    "Session",
    "Shelf",
    "State",
    "View",
]
