"""The one loader of weight files, and where they are looked for."""

from __future__ import annotations

from .devices import Compute, resolve
from .folder import find_published, models_folder
from .hub import published_for
from .loaded import LoadedBefore
from .loader import (
    Layout,
    Published,
    StateDict,
    convert,
    fill,
    read_state_dict,
    rename,
    unfit,
    verify_identity,
)

__all__ = [
    "Compute",
    "Layout",
    "LoadedBefore",
    "Published",
    "StateDict",
    "convert",
    "fill",
    "find_published",
    "models_folder",
    "published_for",
    "read_state_dict",
    "rename",
    "resolve",
    "unfit",
    "verify_identity",
]
