"""Options that cannot act beside the others that are given: named once, and then as if not given.

So they change neither a record nor what is remembered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from .config import EmbeddingOptions, ProposalOptions, ScoringOptions, SuppressionOptions

log = logging.getLogger(__name__)
Options = TypeVar("Options", ProposalOptions, EmbeddingOptions, ScoringOptions, SuppressionOptions)


@dataclass(frozen=True, slots=True)
class Need:
    """When an option acts, by the options of its own part, and the words for it."""

    words: str
    met: Callable[[Any], bool]


_NMS = Need("--suppression nms", lambda given: given.suppression == "nms")
NEEDS = {
    "guided_share": Need("--prompting guided", lambda given: given.prompting == "guided"),
    "tile_overlap": Need("--tile", lambda given: given.tile > 0),
    "border_width": Need("--drop-border", lambda given: given.drop_border),
    "topk_share": Need("--pooling topk", lambda given: given.pooling == "topk"),
    "topk": Need("--pos-agg mean_topk", lambda given: given.pos_agg == "mean_topk"),
    "threshold": Need("that there is no --min-score", lambda given: given.min_score is None),
    "nms_iou": _NMS,
    "max_covered": _NMS,
}
"""What an option needs to act. Beyond that, those of the proposals need a proposer that reads them."""
CHOOSING = frozenset({"name", "checkpoint", "allow_unverified"})
"""Fields of ProposalOptions by which the proposer itself is chosen."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An option that was given and cannot act. flag: as on the command line."""

    flag: str
    value: object
    why: str


def acting(
    options: Options, reads: Set[str] | None = None, reader: str = ""
) -> tuple[Options, list[Ignored]]:
    """The options with the default for each that cannot act, and those of them that were given.

    reads: names of what ``reader`` looks at; None: every option.
    """
    default, found = type(options)(), []
    for name in [item.name for item in fields(options)]:
        value = getattr(options, name)
        if value == getattr(default, name):
            continue
        need = NEEDS.get(name)
        if reads is not None and name not in reads:
            why = f"`{reader}` does not read it"
        elif need is not None and not need.met(options):
            why = f"needs {need.words}"
        else:
            continue
        found.append((name, Ignored("--" + name.replace("_", "-"), value, why)))
    kept = replace(options, **{name: getattr(default, name) for name, _ in found})
    return kept, [item for _, item in found]


def warn(ignored: Iterable[Ignored]) -> tuple[str, ...]:
    """Say in one WARNING which options cannot act; their flags."""
    found = list(ignored)
    if found:
        log.warning(
            "Not used, as they cannot act here: %s.",
            ", ".join(f"{item.flag} {item.value} ({item.why})" for item in found),
        )
    return tuple(item.flag for item in found)
