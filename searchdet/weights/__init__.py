"""The one loader of weight files, and where they are looked for."""

from __future__ import annotations

from .devices import Compute, resolve
from .folder import all_published, carried, find_published, models_folder
from .identity import verify_identity
from .lazy import Lazy, LoadedBefore, load_or_wait
from .loader import Fit, Layout, Named, convert, fill, rename, unfit, without_head
from .pixels import pixel_stats
from .published import MOBILE_SAM, SAM, SAM_HQ, Published
from .reading import StateDict, is_weights, read_names, read_state_dict
from .shards import weights_in

__all__ = [
    "MOBILE_SAM",
    "SAM",
    "SAM_HQ",
    "Compute",
    "Fit",
    "Layout",
    "Lazy",
    "LoadedBefore",
    "Named",
    "Published",
    "StateDict",
    "all_published",
    "carried",
    "convert",
    "fill",
    "find_published",
    "is_weights",
    "load_or_wait",
    "models_folder",
    "pixel_stats",
    "read_names",
    "read_state_dict",
    "rename",
    "resolve",
    "unfit",
    "verify_identity",
    "weights_in",
    "without_head",
]
