"""What the bank commands do: build, show, add to, take from and audit a bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .. import exemplars, proposals
from ..annotations import Notes
from ..config import Examples, Settings
from ..errors import DAMAGE, ExemplarError, UsageError
from ..exemplars import Exemplar, Reading
from ..images import read_image, used_range
from ..masks import rle
from ..normality import suited
from ..records import damaged, read_record
from ..regions import settings_in
from ..storage import kinds
from ..storage.cache import Store
from ..storage.values import JsonObject
from .build import Enrolment, enrol, find_masks, read, with_tiles, with_views
from .describe import describe
from .file import require_space
from .types import JUDGED, Bank, extended, indexed, of_normality


@dataclass(frozen=True, slots=True)
class Additions:
    """What to add: a class and its image, negatives, or a candidate (record file and id) with the class
    it is of (None: a negative) and its image where the record's name does not lead to it."""

    positive: tuple[str, Path] | None = None
    negatives: tuple[Path, ...] = ()
    from_record: tuple[Path, int] | None = None
    label: str | None = None
    image: Path | None = None

    def __post_init__(self) -> None:
        if self.positive is None and not self.negatives and self.from_record is None:
            raise UsageError(
                "nothing to add; name --positive, --negative, --from-record or --from-verdicts."
            )
        if self.from_record is None and (self.label is not None or self.image is not None):
            raise UsageError("--label and --image go with --from-record.")


def build(examples: Examples, settings: Settings) -> Bank:
    """A bank of all examples, copies and conflicts included, and of what is normal. Raises
    ExemplarError, CheckpointError."""
    given, tile_by = read(examples, settings), ""
    by = Enrolment.load(settings)
    if given.normals or settings.normality.by_image:
        options, tile_by = suited.proposals_for(settings.proposals, given.smallest)
        by = replace(by, proposer=proposals.load(options), proposals=options)
    normality = by.normality_of(given)
    if normality is not None and not given.items:
        return with_tiles(of_normality(normality, by.space), tile_by)
    bank, _ = enrol(given.items, by)
    return with_tiles(replace(bank, normality=normality), tile_by)


def require_exemplars(bank: Bank, what: str) -> None:
    """Raise UsageError for a bank without exemplars. what: cannot be done with it."""
    if bank.by_normality:
        raise UsageError(
            f"the bank holds good parts and no exemplars, so {what}.",
            "Build one with both: `searchdet bank build --positive DIR --normal DIR`.",
        )


def add(bank: Bank, given: Additions, settings: Settings) -> Bank:
    """The bank with more exemplars; nothing else is described again.

    settings: as for ``build``; backbone and pooling are the bank's own, and what is looked for in a
    photo is what the bank's exemplars of its class show. Raises ExemplarError, CheckpointError,
    UsageError.
    """
    require_exemplars(bank, "none is added")
    if bank.space is None:
        raise UsageError(
            "the bank does not say which model it is of.", "Build it again: `searchdet bank build`."
        )
    items = _items(given, settings)
    by = Enrolment.load(settings_in(bank.space, settings))
    require_space(bank, by.space, "the bank")
    if by.options.exemplar_mask == "auto":
        items = find_masks(items, by, bank)
    kept = Store(by.cache, kinds.EXEMPLARS)
    rows = describe(by.backbone, items, by.embedding, kept, bank.looks_closer)
    return with_views(extended(bank, rows, [item.label for item in items]), items, by)


def remove(bank: Bank, names: Sequence[str]) -> Bank:
    """The bank without the named exemplars and their changed views. Raises UsageError for an unknown
    name, and ExemplarError where no positive is left."""
    require_exemplars(bank, "none is taken out")
    known = {*bank.positives.names, *bank.negatives.names}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"the bank has no exemplar {unknown[0]!r}.", "See `searchdet bank show`.")
    gone = set(names)
    origins = bank.positives.origins
    kept = [i for i, item in enumerate(origins) if not {item.name, item.copy_of} & gone]
    if not kept:
        raise ExemplarError("no positive exemplar would be left.", "Build a new bank instead.")
    classes, numbers = indexed([bank.classes[bank.labels[i]] for i in kept])
    against = [i for i, name in enumerate(bank.negatives.names) if name not in gone]
    return replace(
        bank,
        classes=classes,
        positives=bank.positives.take(kept),
        labels=numbers,
        negatives=bank.negatives.take(against),
    )


def facts(bank: Bank) -> JsonObject:
    """What a bank holds."""
    rows: list[JsonObject] = [
        {"label": bank.classes[c], **o.to_json()}
        for c, o in zip(bank.labels, bank.positives.origins, strict=True)
    ]
    rows += [{"label": None, **o.to_json()} for o in bank.negatives.origins]
    space = asdict(bank.space) if bank.space else {}
    judged: JsonObject = {"judged": asdict(bank.judged)} if bank.judged else {}
    if bank.normality is not None:
        judged = {**judged, "normality": asdict(bank.normality.info)}
    return {"space": space, **judged, **bank.describe(), "exemplars": rows}


def _items(given: Additions, settings: Settings) -> list[Exemplar]:
    how = settings.exemplars
    found, notes = [], Notes(how.strict)
    if given.positive is not None:
        label, path = given.positive
        found += exemplars.find_file(path, f"{label}/{path.name}", label, notes)
    for path in given.negatives:
        found += exemplars.find_file(path, f"negative/{path.name}", None, notes)
    reading = Reading(settings.max_pixels, how.mask_index, notes, settings.reading.bounds)
    items = exemplars.load_with(found, reading)
    notes.tell()
    if given.from_record is not None:
        items.append(_candidate(*given.from_record, given.label, given.image))
    return items


def _candidate(path: Path, number: int, label: str | None, image: Path | None) -> Exemplar:
    """A candidate of a record as an exemplar."""
    try:
        record = read_record(path)
    except (ValueError, OSError) as error:
        raise UsageError(f"--from-record {path}: {error}.") from error
    if record is None:
        raise UsageError(f"--from-record {path}: no such file.")
    chosen = [item for item in record.candidates if item.id == number]
    if not chosen:
        raise UsageError(f"--from-record {path}: has no candidate with id {number}.")
    where = image or Path(record.image)
    if not where.is_file():
        raise UsageError(f"the record's image {where} is not there.", "Name it: --image FILE.")
    most = max(record.width * record.height, 1)  # it was searched at that size
    loaded = read_image(where, most, used_range(record.source))
    if loaded.sha256 != record.sha256:
        raise UsageError(f"{where} is not the image of the record.", "Name that: --image FILE.")
    try:
        mask = rle.decode([chosen[0].segmentation], (loaded.height, loaded.width))[0]
    except DAMAGE as error:
        raise damaged(record.image, error) from error
    name = f"{record.image}#{number}"
    return Exemplar(name, label, loaded.pixels, mask, JUDGED, loaded.content)
