"""Whether changed views of exemplars help: what they change where exemplars are left out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..embeddings import l2_normalize
from ..exemplars.augment import VIEWS, kind_of
from ..storage.values import JsonObject
from .audit import SAME
from .types import Bank

FloatArray = npt.NDArray[np.floating[Any]]
HELPS, HURTS, UNCLEAR, FEW = "helps", "hurts", "unclear", "few"
SURE = 2.0
"""Standard errors that a mean change is away from none before it counts."""
WORTH = 0.01
"""Least mean change for which views are recommended: below it AP50 did not rise on annotated sets
(benchmarks/README.md)."""
ENOUGH = 3
"""Exemplars that can be left out from which on there is anything to say."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What views of some kinds change. exemplars: how many were left out, each with its views, from
    classes with others; lead: the mean change of their lead, the cosine to their class less the largest
    to what is not their class, and error: its standard error; both None where none could be left out.
    verdict: helps, hurts, unclear (within two standard errors, or a gain below ``WORTH``) or few."""

    kinds: tuple[str, ...]
    exemplars: int
    lead: float | None
    error: float | None
    verdict: str

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        values = asdict(self) | {"kinds": list(self.kinds)}
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}


def gains(bank: Bank) -> list[Gain]:
    """The gain of each kind of views that the bank holds, and of all together where there are several;
    none for a bank without views."""
    held = {kind_of(item.view) for item in bank.positives.origins if item.copy_of}
    kinds = [kind for kind in VIEWS if kind in held]
    sets = [(kind,) for kind in kinds] + ([tuple(kinds)] if len(kinds) > 1 else [])
    plain = leads(bank.without_views())
    return [_gain(chosen, leads(_with(bank, chosen)) - plain) for chosen in sets]


def _with(bank: Bank, kinds: Sequence[str]) -> Bank:
    return bank.without_views([view for kind in kinds for view in VIEWS[kind]])


def _gain(kinds: tuple[str, ...], changes: FloatArray) -> Gain:
    """changes: of each exemplar, NaN for one that cannot be left out."""
    known = changes[~np.isnan(changes)]
    if not len(known):
        return Gain(kinds, 0, None, None, FEW)
    lead, error = float(known.mean()), 0.0
    if len(known) > 1:
        error = float(known.std(ddof=1) / np.sqrt(len(known)))
    verdict = FEW if len(known) < ENOUGH else UNCLEAR
    if verdict != FEW and abs(lead) > SURE * error and (lead < 0 or lead >= WORTH):
        verdict = HELPS if lead > 0 else HURTS
    return Gain(kinds, len(known), lead, error, verdict)


def leads(bank: Bank) -> FloatArray:
    """(E,): the lead of each exemplar, left out with its copies and its views; NaN for one that is
    alone in its class. Views of others count as these do."""
    rows, labels = bank.positives.vectors.astype(np.float64), bank.labels
    whose, own = bank.positives.whose, np.flatnonzero(bank.positives.own)
    found = np.full(len(own), np.nan)
    prototypes = bank.prototypes().astype(np.float64)
    against = bank.negatives.vectors.astype(np.float64)
    for at, i in enumerate(own.tolist()):
        same = labels == labels[i]
        copied = np.isin(whose, whose[rows @ rows[i] >= SAME])
        fellows = same & ~copied
        if not fellows.any():
            continue
        prototype = l2_normalize(rows[fellows].mean(axis=0)[None])[0].astype(np.float64)
        others = np.delete(prototypes, labels[i], axis=0)
        outside = np.concatenate([others, against]) @ rows[i]
        found[at] = rows[i] @ prototype - (outside.max() if len(outside) else 0.0)
    return found
