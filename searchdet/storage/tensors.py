"""Named arrays with facts in one safetensors file, with a digest of its own so that damage is seen.

safetensors notices a truncated file but not a flipped byte of an array; the digest covers both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.address import Place
from . import places
from .values import Fields, JsonObject

Arrays = dict[str, npt.NDArray[Any]]
_KEY, _FACTS, _DIGEST = "searchdet", "facts", "sha256"
"""One key of metadata holds both: safetensors writes several keys in any order."""
_MAX_HEADER = 1 << 26


class TensorFileError(ValueError):
    """The file is not what ``pack`` made."""


def pack(arrays: Mapping[str, npt.NDArray[Any]], facts: JsonObject) -> bytes:
    """Bytes of a safetensors file. facts: JSON values, no NaN. Equal values give equal bytes."""
    from safetensors.numpy import save

    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    text = json.dumps(facts, sort_keys=True, allow_nan=False)
    meta = json.dumps({_FACTS: text, _DIGEST: _digest(ordered, text)}, sort_keys=True)
    packed: bytes = save(ordered, metadata={_KEY: meta})
    return packed


def unpack(data: bytes) -> tuple[Arrays, Fields]:
    """(arrays, facts) of ``pack``. Raises TensorFileError for anything else."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        meta = _metadata(data)
        arrays: Arrays = load(data)
        facts = json.loads(meta[_FACTS])
        known = meta[_DIGEST]
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise TensorFileError(f"not a file of searchdet ({error})") from error
    if not isinstance(facts, dict) or known != _digest(arrays, meta[_FACTS]):
        raise TensorFileError("its content does not match its checksum")
    return arrays, Fields(facts)


def read(path: Place) -> tuple[Arrays, Fields]:
    """``unpack`` of a file. Raises OSError or TensorFileError."""
    return unpack(places.read(path))


def _metadata(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_MAX_HEADER, len(data) - 8):
        raise ValueError("its header is broken")
    meta = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
    if not isinstance(meta, dict) or not all(isinstance(v, str) for v in meta.values()):
        raise ValueError("its header is broken")
    return meta


def _digest(arrays: Mapping[str, npt.NDArray[Any]], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
