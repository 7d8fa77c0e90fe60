"""Options that cannot act beside the others that are given: named once, and then as if not given.

So they change neither a record nor what is remembered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Set
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from .models import EmbeddingOptions, ProposalOptions
from .normality import NormalityOptions
from .option import declaration
from .scoring import ScoringOptions, SuppressionOptions

log = logging.getLogger(__name__)
Options = TypeVar(
    "Options",
    ProposalOptions,
    EmbeddingOptions,
    ScoringOptions,
    SuppressionOptions,
    NormalityOptions,
)


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
    for item in map(declaration, fields(options)):
        if item is None or (value := getattr(options, item.name)) == item.default:
            continue
        need = item.option.needs
        if reads is not None and item.name not in reads:
            why = f"`{reader}` does not read it"
        elif need is not None and not need.met(options):
            why = f"needs {need.words}"
        else:
            continue
        found.append((item.name, Ignored(item.flags[0], value, why)))
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
