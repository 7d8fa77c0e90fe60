"""What the records of a folder cover: of which images there are some, and by which settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..records import ImageRecord, RunInfo
from ..storage.values import JsonObject

SHOWN = 3
"""Images that a sentence names."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the records of a folder: images by status; failed: names, with the code and message of each;
    settings: names by digest of settings, the most frequent first. unread: files that are no record.
    missing: images without a record; others: records of no image that was named; both empty where none
    were named."""

    counts: dict[str, int]
    failed: tuple[tuple[str, str, str], ...]
    settings: tuple[tuple[str, ...], ...]
    run: RunInfo | None
    unread: int = 0
    missing: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether there are records, each image has one that did not fail, and all are by the same
        settings."""
        lacking = self.failed or self.missing or self.unread or not self.counts
        return not lacking and len(self.settings) <= 1

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        names = ("image", "code", "message")
        return {
            "counts": self.counts,
            "failed": [dict(zip(names, item, strict=True)) for item in self.failed],
            "unread": self.unread,
            "missing": list(self.missing),
            "others": list(self.others),
            "settings": [len(part) for part in self.settings],
        }

    def lines(self) -> list[str]:
        """What a person is told, a sentence each."""
        counts = ", ".join(f"{count} {status}" for status, count in sorted(self.counts.items()))
        made = [f"{sum(self.counts.values())} records: {counts or 'none'}."]
        if self.unread:
            made.append(f"WARNING: {self.unread} files are no records. Run their shards again.")
        if self.missing:
            made.append(f"WARNING: without a record: {_few(self.missing)}. Run their shards again.")
        if self.failed:
            made.append(
                f"WARNING: failed: {_few([name for name, _, _ in self.failed])}. Records say why: "
                "mend that, and run their shards again."
            )
        if len(self.settings) > 1:
            rest = [name for part in self.settings[1:] for name in part]
            made.append(
                f"WARNING: searched with other settings or examples than most: {_few(rest)}. "
                "Run their shards again, all with the same."
            )
        if self.others:
            made.append(f"WARNING: of no image that was named: {_few(self.others)}.")
        return made


def coverage(records: Iterable[ImageRecord], images: Sequence[str] | None, files: int) -> Coverage:
    """Count the records, of so many files. images: names of all there are to be, None where that is not
    known."""
    counts: Counter[str] = Counter()
    failed, found = [], set()
    settings: dict[str, list[str]] = {}
    runs: dict[str, RunInfo | None] = {}
    for record in records:
        counts[record.status] += 1
        found.add(record.image)
        if record.error is not None:
            failed.append((record.image, record.error.code, record.error.message))
        else:
            settings.setdefault(record.settings_sha256, []).append(record.image)
            runs.setdefault(record.settings_sha256, record.run)
    parts = sorted(settings.items(), key=lambda item: (-len(item[1]), item[0]))
    wanted = found if images is None else set(images)
    return Coverage(
        dict(counts),
        tuple(failed),
        tuple(tuple(names) for _, names in parts),
        runs[parts[0][0]] if parts else None,
        files - sum(counts.values()),
        tuple(name for name in images or () if name not in found),
        tuple(sorted(found - wanted)),
    )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
