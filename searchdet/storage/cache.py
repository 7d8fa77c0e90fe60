"""Content-addressed arrays on disk: what a model computed once is not computed again.

A key names everything that the value depends on, so an entry is never stale. A broken or unwritable
cache costs time and a WARNING, never correctness.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy.typing as npt

from ..errors import DAMAGE, OutputError
from . import files, kinds, tensors
from .tensors import Arrays
from .values import Fields, JsonObject

log = logging.getLogger(__name__)
T = TypeVar("T")


def key_of(facts: JsonObject) -> str:
    """SHA-256 of JSON values, whatever their order."""
    text = json.dumps(facts, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """Entries of one of ``kinds.KINDS`` below ``folder``; None keeps nothing."""

    def __init__(self, folder: Path | None, kind: str) -> None:
        if kind not in kinds.KINDS:  # which `searchdet cache` would neither count nor clear
            raise ValueError(f"there is no kind {kind!r} of entries")
        self.folder = folder
        self.kind = kind
        self._writable = folder is not None

    def read(self, key: str) -> tuple[Arrays, Fields] | None:
        """(arrays, facts) of a key, or None where there is no sound entry."""
        return self.recall(key, lambda arrays, facts: (arrays, facts))

    def recall(self, key: str, made_of: Callable[[Arrays, Fields], T]) -> T | None:
        """What ``made_of`` makes of the arrays and facts of a key; None where there is no sound entry,
        or where it raises one of DAMAGE because they are of another form."""
        if self.folder is None:
            return None
        path = self.path(key)
        try:
            value = made_of(*tensors.read(path))
        except FileNotFoundError:
            return None
        except (OSError, tensors.TensorFileError, *DAMAGE) as error:
            log.warning("%s: a cache entry cannot be used and is made again (%s).", path, error)
            return None
        with contextlib.suppress(OSError):  # a cache that cannot be written still serves
            os.utime(path)  # when it was last used, for ``prune``
        return value

    def write(self, key: str, arrays: Mapping[str, npt.NDArray[Any]], facts: JsonObject) -> None:
        """Keep an entry, if the cache can be written."""
        if not self._writable:
            return
        try:
            files.write_bytes(self.path(key), tensors.pack(arrays, facts))
        except OutputError as error:
            self._writable = False  # said once, not for every image
            log.warning("No %s are kept in the cache: %s", self.kind, error.message)

    def path(self, key: str) -> Path:
        """The file of an entry."""
        if self.folder is None:
            raise ValueError("this store keeps nothing")
        return self.folder / self.kind / key[:2] / f"{key[2:]}.safetensors"
