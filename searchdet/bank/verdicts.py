"""Verdicts of a person on candidates, as the report saves them: read, and held against the records."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DAMAGE, UsageError
from ..masks import rle
from ..output import Output
from ..records import Candidate, ImageRecord, RecordError, damaged, read_record, unusable
from ..storage.values import Fields
from . import miscut

SCHEMA = "searchdet.verdicts/1"
RIGHT, WRONG, OTHER = "right", "wrong", "other"
LONGEST_NAME = 200
"""Characters of the name of a class that a person gave."""
_BREAKS = ("Cc", "Zl", "Zp")
"""Kinds of letters that no name holds: controls and ends of lines. The page refuses the same."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person says of one candidate of a record. sha256: of its image; settings: the record's
    digest of its settings; predicted: the class that the record gives it; label: the class that it is
    of, None for a wrong one."""

    image: str
    sha256: str
    settings: str
    candidate: int
    predicted: str
    label: str | None

    @property
    def name(self) -> str:
        """What its exemplar is called, as with --from-record."""
        return f"{self.image}#{self.candidate}"

    @classmethod
    def from_json(cls, values: Fields) -> Verdict:
        """Raises ValueError that names the field for another form."""
        kind, label = values.text("verdict"), values.optional_text("label")
        predicted = values.text("predicted")
        fits = {
            RIGHT: label == predicted,
            WRONG: label is None,
            OTHER: label is not None and label != predicted and is_name(label),
        }
        if not fits.get(kind, False):
            raise ValueError(f"{values.name} is {kind!r:.40}, of {predicted!r:.60} to {label!r:.60}")
        return cls(
            values.text("image"),
            values.text("sha256"),
            values.text("settings_sha256"),
            values.whole("candidate"),
            predicted,
            label,
        )


def read_verdicts(path: Path) -> list[Verdict]:
    """The verdicts of a file, each candidate once. Raises UsageError for anything else."""
    hint = "Save it again from the page that `searchdet report` made."
    if path.suffix == ".jsonl":
        hint = "That is the log of `searchdet serve`; its bank lies beside it: --bank."
    try:
        values = Fields.of(json.loads(path.read_bytes()))
        if values.text("schema") != SCHEMA:
            raise ValueError(f"its schema is {values.text('schema')!r:.60}, not {SCHEMA}")
        found = [Verdict.from_json(item) for item in values.children("verdicts")]
    except OSError as error:
        raise UsageError(f"--from-verdicts {path}: cannot be read ({error.strerror}).", hint) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--from-verdicts {path}: {error}.", hint) from error
    if not found:
        raise UsageError(f"--from-verdicts {path}: holds no verdict.", hint)
    names = [item.name for item in found]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise UsageError(f"--from-verdicts {path}: says two things of {twice}.", hint)
    return found


@dataclass(frozen=True, slots=True)
class Judged:
    """A record with what was said of its candidates, in the order of their verdicts. sources: where the
    masks of their exemplars come from, as of an ``Origin``."""

    record: ImageRecord
    verdicts: tuple[Verdict, ...]
    candidates: tuple[Candidate, ...]
    sources: tuple[str, ...]


def judged_records(verdicts: Iterable[Verdict], folder: Path) -> list[Judged]:
    """The records of an output folder that the verdicts are of. Raises UsageError where one is not
    there, or is not that which was judged."""
    by_image: dict[str, list[Verdict]] = {}
    for item in verdicts:
        by_image.setdefault(item.image, []).append(item)
    return [_judged(name, mine, folder) for name, mine in by_image.items()]


def records_folder(path: Path, given: Path | None) -> Path:
    """The output folder that a file of verdicts is of: the named one, else the one it lies in."""
    folder = path.parent if given is None else given
    if (folder / "records").is_dir():
        return folder
    if given is None:
        raise UsageError(
            f"--from-verdicts {path}: the records that it is of do not lie beside it.",
            "Name the output folder of `detect`: --records OUT.",
        )
    raise UsageError(f"--records {given}: holds no records.", "Name an output folder of `detect`.")


def _judged(name: str, verdicts: list[Verdict], folder: Path) -> Judged:
    record = _record(name, folder)
    again = "Make the report of these records and judge there."
    for item in verdicts:
        if item.sha256 != record.sha256:
            raise UsageError(f"{name}: the verdicts are of another image of that name.", again)
        if item.settings != record.settings_sha256:
            raise UsageError(f"{name}: was searched with other settings since it was judged.", again)
    known = {item.id: item for item in record.candidates}
    chosen = []
    for item in verdicts:
        candidate = known.get(item.candidate)
        if candidate is None or candidate.label != item.predicted:
            raise UsageError(
                f"{name}: its record has no candidate {item.candidate} of {item.predicted!r}.", again
            )
        chosen.append(candidate)
    return Judged(record, tuple(verdicts), tuple(chosen), _sources(record, verdicts, chosen))


def _sources(
    record: ImageRecord, verdicts: Sequence[Verdict], chosen: Sequence[Candidate]
) -> tuple[str, ...]:
    masks, size = [item.segmentation for item in chosen], (record.height, record.width)
    try:
        for mask in masks:
            rle.require(mask, size)
    except DAMAGE as error:
        raise damaged(record.image, error) from error
    return tuple(miscut.sources(masks, [item.label for item in verdicts]))


def _record(name: str, folder: Path) -> ImageRecord:
    parts = PurePosixPath(name)
    path = Output(folder).path("records", name, ".json")
    hint = "Name the output folder that the report was made of: --records OUT."
    if parts.is_absolute() or ".." in parts.parts or "\0" in name or not name:
        raise UsageError(f"the verdicts name an image {name!r:.80}, which no record has.", hint)
    try:
        record = read_record(path)
    except RecordError as error:
        raise unusable(error) from error
    except (ValueError, OSError) as error:
        raise UsageError(f"{path}: cannot be read ({error}).", hint) from error
    if record is None or record.image != name or record.run is None:
        raise UsageError(f"{folder}: has no record of {name}, which the verdicts are of.", hint)
    return record


def is_name(label: str) -> bool:
    """Whether a person can have meant a text as the name of a class: in any script, on one line."""
    breaks = any(unicodedata.category(letter) in _BREAKS for letter in label)
    return 0 < len(label) <= LONGEST_NAME and label == label.strip() and not breaks
