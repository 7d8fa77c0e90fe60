"""Regions of an index in lists of what looks alike, so that a search may look at a share of them.

The inverted file of vector search (Sivic and Zisserman, 2003; Jegou et al., 2011): centres by spherical
k-means of a sample, and each region in the list of its nearest centre. A search reads the lists whose
centres are nearest to what is searched for, and compares their regions exactly. Rows that were added
later are in no list, and always looked at.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.address import Place
from ..errors import UsageError
from ..storage import files, places
from ..storage.values import Fields, JsonObject
from .blocks import blocks
from .rows import mapped_one

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
FOLDER = re.compile(r"lists-[0-9a-f]{16}")
NAMES = ("centres", "members", "starts")
MOST, FEWEST = 2048, 16
"""Lists of an index; twice the square root of its regions between these."""
SAMPLED, ROUNDS = 48, 8
"""Regions a list that k-means sees, and its rounds."""
_TOGETHER = 4096
"""Regions that are held against all centres at once."""


@dataclass(frozen=True, slots=True)
class Lists:
    """centres (K, D): unit length; members (R,): rows, list after list, ascending in each; starts
    (K + 1,): where each list begins in them. Rows from ``rows`` on are in none."""

    centres: npt.NDArray[np.float16]
    members: npt.NDArray[np.int32]
    starts: IntArray

    @property
    def rows(self) -> int:
        """How many rows are in lists."""
        return len(self.members)

    def near(self, wanted: FloatArray, share: float, every: int) -> IntArray:
        """Rows, ascending, to look at for unit vectors (M, D): those in the nearest ``share`` (0..1) of
        the lists of each, and all of ``every`` rows that are in none."""
        count = min(len(self.centres), max(1, math.ceil(share * len(self.centres))))
        alike = np.asarray(wanted, np.float32) @ np.asarray(self.centres, np.float32).T
        best = np.unique(np.argpartition(-alike, count - 1, axis=1)[:, :count])
        parts = [self.members[self.starts[at] : self.starts[at + 1]] for at in best.tolist()]
        late = np.arange(self.rows, every, dtype=np.int64)
        return np.sort(np.concatenate([*(part.astype(np.int64) for part in parts), late]))


def build(vectors: npt.NDArray[np.float16], valid: npt.NDArray[np.bool_]) -> Lists | None:
    """The lists of rows (R, D), whose sample and centres depend on the rows alone; None for fewer than
    ``FEWEST``. valid (R,): rows that have a vector. Raises UsageError where there are too many."""
    rows = np.flatnonzero(valid)
    if len(rows) < FEWEST:
        return None
    if len(vectors) > np.iinfo(np.int32).max:
        raise UsageError("the index holds too many regions for lists.", "Split it.")
    count = min(MOST, max(FEWEST, round(2 * math.sqrt(len(rows)))), len(rows))
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED * count)).astype(int))]
    centres = _means(np.asarray(vectors[chosen], np.float32), count)
    near = _nearest(vectors, centres)
    members = np.argsort(near, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(near, minlength=count))]).astype(np.int64)
    return Lists(centres.astype(np.float16), members, starts)


def _means(sample: FloatArray, count: int) -> FloatArray:
    """Centres (count, D) of unit vectors by spherical k-means; an empty one goes to a row that is far
    from its own."""
    import torch

    rows = torch.nn.functional.normalize(torch.from_numpy(sample), dim=1)
    centres = rows[torch.linspace(0, len(rows) - 1, count).long()].clone()
    for _ in range(ROUNDS):
        parts = [
            (rows[i : i + _TOGETHER] @ centres.T).max(dim=1) for i in range(0, len(rows), _TOGETHER)
        ]
        alike, label = (torch.cat([part[k] for part in parts]) for k in (0, 1))
        sums = torch.zeros_like(centres).index_add_(0, label, rows)
        empty = torch.bincount(label, minlength=count) == 0
        sums[empty] = rows[alike.argsort(stable=True)[: int(empty.sum())]]
        centres = torch.nn.functional.normalize(sums, dim=1)
    return np.asarray(centres.numpy(), np.float32)


def _nearest(vectors: npt.NDArray[np.float16], centres: FloatArray) -> npt.NDArray[np.int32]:
    """(R,): the nearest centre of each row."""
    import torch

    columns = torch.from_numpy(centres).T.contiguous()
    made = np.empty(len(vectors), np.int32)
    with torch.inference_mode():
        for where, wide in blocks(vectors):
            for i in range(0, len(wide), _TOGETHER):
                part = slice(where.start + i, min(where.start + i + _TOGETHER, where.stop))
                made[part] = (wide[i : i + _TOGETHER] @ columns).argmax(dim=1).numpy()
    return made


def save(found: Lists, path: Path) -> JsonObject:
    """Write lists into a folder of an index that is called by their content; returns what
    ``index.json`` says of them. Raises OutputError."""
    kinds = ("<f2", "<i4", "<i8")
    data = [
        np.ascontiguousarray(getattr(found, name), kind).tobytes()
        for name, kind in zip(NAMES, kinds, strict=True)
    ]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in data)).hexdigest()
    folder = f"lists-{digest[:16]}"
    files.sweep(path / folder)
    for name, part in zip(NAMES, data, strict=True):
        files.write_bytes(path / folder / name, part)
    return {"folder": folder, "count": len(found.centres), "rows": found.rows}


def load(path: Place, facts: Fields, shape: tuple[int, int]) -> Lists:
    """The lists that ``index.json`` tells of, mapped into memory. shape: of the rows (R, D). Raises
    UsageError where they are not whole."""
    try:
        return _load(path, facts, shape)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}: its lists cannot be read ({error}).",
            "Make them again: `searchdet index -o INDEX --lists`. Without --probe none are needed.",
        ) from error


def _load(path: Place, facts: Fields, shape: tuple[int, int]) -> Lists:
    count, rows, dim = facts.whole("count"), facts.whole("rows"), shape[1]
    if not FOLDER.fullmatch(facts.text("folder")) or rows > shape[0]:
        raise ValueError("they are of another index")
    folder = path / facts.text("folder")
    parts: Sequence[tuple[str, Any, tuple[int, ...]]] = (
        ("centres", np.dtype("<f2"), (count, dim)),
        ("members", np.dtype("<i4"), (rows,)),
        ("starts", np.dtype("<i8"), (count + 1,)),
    )
    made = []
    for name, kind, wide in parts:
        if places.size_of(folder / name) != kind.itemsize * math.prod(wide):
            raise ValueError(f"its file {name} has another size than {wide}")
        made.append(mapped_one(folder / name, kind, wide))
    starts = np.asarray(made[2])
    if starts[0] != 0 or starts[-1] != rows or (np.diff(starts) < 0).any():
        raise ValueError("they do not agree with each other")
    return Lists(made[0], made[1], starts)
