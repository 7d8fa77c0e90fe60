"""Settings that suit defects, where the user has not said otherwise; every record tells them."""

from __future__ import annotations

import logging
from dataclasses import replace

from ..config import NormalityOptions, ProposalOptions, ScoringOptions
from ..config.option import Usual
from ..errors import UsageError
from ..records import ClassThreshold, NormalityInfo
from .types import BY_IMAGE

log = logging.getLogger(__name__)
PROPOSER = "spots"
MASKS = 600
"""Proposals that are described: the best of ``spots`` hold nearly all that it finds."""
AT_LIMIT = 0.5
"""What is unusual, at the limit of good parts."""
LEAST_SIDE = 6
"""Pixels a side, where masks are looked for, that the smallest exemplar must have."""
WORKING_SIDE = 800
"""About how long a side the copy has on which they are looked for; smaller tiles show no more."""


def proposals_for(options: ProposalOptions, smallest: float | None) -> tuple[ProposalOptions, str]:
    """Options of the proposals, and what decided about tiles: ``given`` or ``exemplar``. smallest:
    pixels a side of the smallest exemplar whose object is known; None: nothing says it."""
    options = _named(options, PROPOSER)
    if options.tile or smallest is None:
        return options, "given"
    tile = max(WORKING_SIDE, round(WORKING_SIDE * smallest / LEAST_SIDE))
    log.info("Images beyond %d pixels in tiles: the smallest example has %.0f a side.", tile, smallest)
    return replace(options, tile=tile), "exemplar"


def with_saved(options: ProposalOptions, info: NormalityInfo, whose: str = "--bank") -> ProposalOptions:
    """Options of the proposals as those by which the good parts of a bank, or an index, were looked at,
    where the user does not say. Raises UsageError where they would be others, for which no limit is
    known."""
    options = _named(options, info.proposer)
    options = options if options.tile else replace(options, tile=info.tile)
    if (options.name, options.tile) != (info.proposer, info.tile):
        raise UsageError(
            f"{whose}: its good parts were seen with --proposals {info.proposer} --tile {info.tile}.",
            "Leave both out, or "
            + ("pass --normal DIR with the examples." if whose == "--bank" else "make another index."),
        )
    return options


def require_learned_so(options: NormalityOptions, info: NormalityInfo, whose: str) -> None:
    """Raise UsageError where it is named how good parts are learned, and those of a bank, or an index,
    were learned otherwise. whose: that bank or index."""
    for name, value, own in (
        ("--normal-method", options.method, info.method),
        ("--normal-views", options.views, info.views),
    ):
        if isinstance(value, Usual):
            continue
        if info.method == BY_IMAGE:
            raise UsageError(
                f"{whose}: was made with --normal-self, each image as its own measure, for which there "
                f"is no {name}.",
                "Leave it out.",
            )
        if value != own:
            raise UsageError(
                f"{whose}: was made with {name} {own}, not {value}.",
                f"Leave it out, or make it again: --normal DIR {name} {value}.",
            )


def scoring_for(options: ScoringOptions, exemplars: bool) -> ScoringOptions:
    """``scoring_beside``, and what cannot act there without exemplars is said in a WARNING."""
    if not exemplars:
        warn_of_unused(options)
    return scoring_beside(options, exemplars)


def warn_of_unused(options: ScoringOptions) -> None:
    """Say which options of the score cannot act while there are no exemplars."""
    given = [f"--threshold {options.threshold}"] if options.threshold != "auto" else []
    given += [f"--second-look {options.second_look}"] if options.second_look else []
    given += ["--scale same"] if options.scale == "same" else []
    if given:
        log.warning("Not used, as there are no examples: %s.", ", ".join(given))


def scoring_beside(options: ScoringOptions, exemplars: bool) -> ScoringOptions:
    """Options of the score beside what is normal: defects of one kind share neither outline nor size.
    exemplars: whether there are some."""
    if isinstance(options.shape_weight, Usual):
        options = replace(options, shape_weight=0.0)
    if options.scale == "auto":
        options = replace(options, scale="any")
    if exemplars:
        return options
    return replace(options, threshold="auto", second_look=0)


def at_the_limit(label: str, options: ScoringOptions) -> ClassThreshold:
    """The threshold of a class without exemplars: what stands out as much as good parts may."""
    given = dict(options.class_min_score).get(label, options.min_score)
    source, least = ("normal", AT_LIMIT) if given is None else ("given", round(given, 6))
    return ClassThreshold(label, least, source, 0)


def _named(options: ProposalOptions, name: str) -> ProposalOptions:
    alone = options.name == "auto" and options.checkpoint is None and options.masks_from is None
    options = replace(options, name=name) if alone else options
    if options.name == PROPOSER and isinstance(options.scored_masks, Usual):
        options = replace(options, scored_masks=MASKS)
    return options
