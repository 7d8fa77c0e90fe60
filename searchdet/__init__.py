"""searchdet: a training-free few-shot detector for the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .version import __version__

if TYPE_CHECKING:
    from .config import Settings
    from .detector import Detector
    from .errors import SearchdetError
    from .records import Candidate, ImageRecord

__all__ = ["Candidate", "Detector", "ImageRecord", "SearchdetError", "Settings", "__version__"]

_HOMES = {
    "Candidate": "records",
    "Detector": "detector",
    "ImageRecord": "records",
    "SearchdetError": "errors",
    "Settings": "config",
}


def __getattr__(name: str) -> object:
    """Public names on first use, so that ``import searchdet`` costs nothing."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
