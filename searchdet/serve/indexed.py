"""The options of a session over an index: those that it was made with, so that the printed command and
the bridges find what the page shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from .. import backbones, proposals
from ..config import ProposalOptions, Settings, pixels
from ..config.acting import acting, warn
from ..config.option import declaration, says_more
from ..errors import CheckpointError, UsageError
from ..index.file import Index
from ..records import ModelInfo
from ..regions import WITHOUT_NORMALS
from ..weights.pixels import GIVEN

log = logging.getLogger(__name__)
FILES = ("checkpoint", "masks_from", "masks_dataset", "allow_unverified")
"""Of the proposals: where files lie, which an index does not say."""
ASKED = ("prompting", "guided_share")
"""What a session says itself."""
HERE = ("device", "precision", "drop_head")
"""Of the backbone: how it is run, which is this machine's affair."""
BLURRED = ("tile", "smooth", "drop_border", "drop_rectangles", "max_containment")
"""Options beside which the best proposals are other ones than the first of all."""


def settings_of(path: Path, found: Index, given: Settings) -> Settings:
    """The settings with backbone, proposals, pooling and range of values of an index. Options that were
    given and are others, and what no command repeats, are said in a WARNING each."""
    made = _as_made(found.models, given)
    kept, flags = _kept(found), _flags(made.proposals)
    if found.made.good is not None:  # parts of the map come after the best so many
        flags.append("good parts")
    own = made if kept is None or flags else _first(made, kept)
    _warn_of_unread(given, found.made.good is not None)
    _warn_of_others(path, given, made, own)
    if kept is not None and own is made:
        log.warning(
            "%s: holds the best %d proposals of each view alone, which `detect` does not repeat beside "
            "%s: it may find others than the page. For the same, make the index with --keep 0.",
            path,
            kept,
            " ".join(flags),
        )
    _warn_of_files(path, own)
    return own


def _as_made(models: ModelInfo, given: Settings) -> Settings:
    """The settings with what an index says of itself."""
    seen = models.backbone.preprocessing
    stats = seen.pixel_stats
    told = stats is not None and stats.source == GIVEN
    backbone = replace(
        given.backbone,
        name=models.backbone.name,
        feat_short_side=seen.short_side,
        position_rank=seen.position_rank,
        pixel_stats=pixels.as_text((stats.mean, stats.std)) if stats and told else pixels.AUTO,
    )
    files = {name: getattr(given.proposals, name) for name in FILES}
    return replace(
        given,
        backbone=backbone,
        proposals=replace(models.proposer.options, **files),
        embedding=models.embedding,
        reading=replace(given.reading, value_range=_range(models.value_range)),
    )


def _kept(found: Index) -> int | None:
    """How many proposals of a view the index holds at most (``--keep``); None where all are in it."""
    for item in found.images:
        if item.facts.counts("removed").get("not_kept"):
            return item.count // item.facts.counts("details").get("views", 1)
    return None


def _flags(options: ProposalOptions) -> list[str]:
    """Options beside which a smaller number of proposals that are scored does not give the first of
    all."""
    plain = ProposalOptions()
    found = (declaration(item) for item in fields(options) if item.name in BLURRED)
    each = ((item, getattr(options, item.name)) for item in found if item is not None)
    return [item.flags[0] for item, value in each if value != getattr(plain, item.name)]


def _first(made: Settings, kept: int) -> Settings:
    scored = min(kept, made.proposals.scored_masks)
    return replace(made, proposals=replace(made.proposals, scored_masks=scored))


def _warn_of_unread(given: Settings, normal: bool) -> None:
    """Say which options that were given cannot act at all. normal: the index says what is normal."""
    _, scoring = acting(given.scoring, *((None, "") if normal else WITHOUT_NORMALS))
    _, suppression = acting(given.suppression)
    _, normality = acting(given.normality, *((None, "") if normal else WITHOUT_NORMALS))
    warn([*scoring, *suppression, *normality])


def _warn_of_others(path: Path, given: Settings, *own: Settings) -> None:
    """Say which options that were given are not those of the index."""
    found, given = [], _spelt(given)
    for part in ("backbone", "proposals", "embedding", "reading"):
        ours = [getattr(settings, part) for settings in own]
        found += list(_others(getattr(given, part), ours))
    if found:
        log.warning(
            "%s: was made with other options, which hold here: %s. Leave these out, or make it again "
            "with them: `searchdet index`.",
            path,
            ", ".join(found),
        )


def _spelt(given: Settings) -> Settings:
    """The settings with numbers as an index has them, whatever was typed."""
    stats, bounds = pixels.stated(given.backbone.pixel_stats), given.reading.bounds
    return replace(
        given,
        backbone=replace(given.backbone, pixel_stats=pixels.as_text(stats) if stats else pixels.AUTO),
        reading=replace(given.reading, value_range=_range(bounds)),
    )


def _range(bounds: tuple[float, float] | None) -> str | None:
    return None if bounds is None else ",".join(map(repr, bounds))


def _others(given: Any, own: list[Any]) -> Iterator[str]:
    for item in fields(given):
        option, value = declaration(item), getattr(given, item.name)
        held = [getattr(side, item.name) for side in own]
        if option is None or item.name in (*FILES, *ASKED, *HERE):
            continue
        if value in held or not says_more(value, item.default):
            continue
        shown = option.flags[0] if value is True else f"{option.flags[0]} {value}"
        yield f"{shown} (the index has {'none' if held[0] is None else held[0]})"


def _warn_of_files(path: Path, own: Settings) -> None:
    """Say which files are not found: the page needs none of them, all else does."""
    try:
        proposals.choose(own.proposals)
        backbones.check(own.backbone)
        if own.proposals.name == proposals.GIVEN and own.proposals.masks_from is None:
            raise UsageError(
                f"{path}: was made of masks of another tool.", "Name these too: --masks-from."
            )
    except (CheckpointError, UsageError) as error:
        log.warning("The printed command, boxes and pictures cannot be used here: %s", error.one_line())
