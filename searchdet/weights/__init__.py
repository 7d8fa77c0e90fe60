"""The one loader of weight files, and where they are looked for."""

from __future__ import annotations

from .devices import Compute, resolve
from .folder import carried, find_published, models_folder
from .lazy import Lazy, LoadedBefore, load_or_wait
from .loader import (
    Layout,
    StateDict,
    convert,
    fill,
    read_state_dict,
    rename,
    unfit,
    verify_identity,
)
from .published import SAM, Published

__all__ = [
    "SAM",
    "Compute",
    "Layout",
    "Lazy",
    "LoadedBefore",
    "Published",
    "StateDict",
    "carried",
    "convert",
    "fill",
    "find_published",
    "load_or_wait",
    "models_folder",
    "read_state_dict",
    "rename",
    "resolve",
    "unfit",
    "verify_identity",
]
