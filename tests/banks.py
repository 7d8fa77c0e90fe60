"""Banks of random unit vectors, and options with resolved weights."""

from __future__ import annotations

import numpy as np

from searchdet.bank.types import Bank, Origin, Rows, plain_rows
from searchdet.config import ScoringOptions
from searchdet.embeddings import l2_normalize


def units(count: int, dim: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return l2_normalize(rng.normal(size=(count, dim)).astype(np.float32))


def rows(vectors: np.ndarray, prefix: str) -> Rows:
    return plain_rows(vectors, [Origin(f"{prefix}{i}") for i in range(len(vectors))])


def bank(positives: int = 6, negatives: int = 3, classes: int = 2, seed: int = 1) -> Bank:
    return Bank(
        classes=tuple(f"class{i}" for i in range(classes)),
        positives=rows(units(positives, seed=seed), "p"),
        labels=np.arange(positives) % classes,
        negatives=rows(
            units(negatives, seed=seed + 1) if negatives else np.zeros((0, 12), np.float32), "n"
        ),
    )


def options(**changes: object) -> ScoringOptions:
    return ScoringOptions(**({"shape_weight": 0.0, "context_weight": 0.0} | changes))
