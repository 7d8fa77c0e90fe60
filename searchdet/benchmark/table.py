"""Figures of all tasks to one table: means over classes, then mean and spread over seeds."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..storage.values import JsonObject
from .judging import Row
from .run import Figures
from .types import SetSpec

EVERY = "all"
COUNTED = ("false/absent",)
"""Figures that are no shares, and are not printed as percent."""


@dataclass(frozen=True, slots=True)
class Line:
    """Figures of a group of classes with one number of shots: by name one value a seed, None where
    there was nothing to measure."""

    part: str
    shots: int
    group: str
    classes: int
    seeds: tuple[int, ...]
    values: dict[str, tuple[float | None, ...]]

    def summary(self, name: str) -> tuple[float, float | None] | None:
        """Mean over seeds and sample standard deviation (None for a single seed); None for nothing."""
        known = [value for value in self.values[name] if value is not None]
        if not known:
            return None
        return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None


@dataclass(frozen=True, slots=True)
class Table:
    """All lines of a set, groups first and then classes, with what was run and how long it took."""

    spec: SetSpec
    lines: tuple[Line, ...]
    classes: tuple[Line, ...]
    runs: tuple[Figures, ...]

    def to_json(self) -> JsonObject:
        """Plain JSON values, shares as fractions."""
        made: JsonObject = {
            "set": self.spec.name,
            "title": self.spec.title,
            "lines": [_json(line) for line in self.lines],
            "classes": [_json(line) for line in self.classes],
            "runs": [_run(figures) for figures in self.runs],
        }
        return made

    def markdown(self) -> str:
        """The same for a document; shares in percent, mean ± deviation over seeds."""
        out = [f"# {self.spec.title}", "", *self._grid(self.lines, "classes"), ""]
        out += ["Percent, but for false/absent (detections an image that does not show the class).", ""]
        out += ["## By class", "", *self._grid(self.classes, "class"), ""]
        out += ["## What was run", "", *self._ran(), ""]
        return "\n".join(out)

    def _grid(self, lines: Sequence[Line], what: str) -> list[str]:
        names = list(dict.fromkeys(name for line in lines for name in line.values))
        head = ["part", "shots", what, "seeds", *names]
        out = [_cells(head), _cells(["---"] * 4 + ["---:"] * len(names))]
        for line in lines:
            group = f"{line.group} ({line.classes})" if what == "classes" else line.group
            seeds = ", ".join(map(str, line.seeds))
            values = [_value(line, name) if name in line.values else "-" for name in names]
            out.append(_cells([line.part, str(line.shots), group, seeds, *values]))
        return out

    def _ran(self) -> list[str]:
        out = []
        for figures in self.runs:
            images = f"{figures.images} of {figures.of} images" + (
                f", {figures.failed} failed" if figures.failed else ""
            )
            each = f"{figures.seconds / figures.timed:.3f} s an image" if figures.timed else "not timed"
            counted = f" ({figures.timed} timed)" if figures.timed != figures.images else ""
            out.append(
                f"- {figures.task}, {figures.part}: {images}; {each}{counted}; {figures.hardware.said}"
            )
        return out


def tabulate(spec: SetSpec, runs: Sequence[Figures]) -> Table:
    """The table of the figures of all tasks. Tasks of one part, number of shots and seed are rows of
    one set of rows."""
    groups: dict[tuple[str, int], list[Figures]] = defaultdict(list)
    for figures in runs:
        groups[figures.part, figures.shots].append(figures)
    lines, classes = [], []
    for (part, shots), found in groups.items():
        by_seed: dict[int, dict[str, Row]] = defaultdict(dict)
        of_group: dict[str, str] = {}
        for figures in found:
            by_seed[figures.seed] |= figures.rows
            of_group |= figures.groups
        labels = list(dict.fromkeys(label for rows in by_seed.values() for label in rows))
        known = [group for group in dict.fromkeys(of_group.get(c, "") for c in labels) if group]
        chosen = {group: [c for c in labels if of_group.get(c) == group] for group in sorted(known)}
        if len(known) != 1 or len(chosen[known[0]]) != len(labels):
            chosen[EVERY] = labels
        for group, some in chosen.items():
            lines.append(_line((part, shots, group), some, by_seed))
        classes += [_line((part, shots, label), [label], by_seed) for label in labels]
    return Table(spec, tuple(lines), tuple(classes), tuple(runs))


def _line(
    head: tuple[str, int, str], labels: Sequence[str], by_seed: Mapping[int, Mapping[str, Row]]
) -> Line:
    names = dict.fromkeys(name for rows in by_seed.values() for row in rows.values() for name in row)
    values = {
        name: tuple(
            _mean([rows[c].get(name) for c in labels if c in rows]) for rows in by_seed.values()
        )
        for name in names
    }
    return Line(*head, len(labels), tuple(by_seed), values)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _cells(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


def _value(line: Line, name: str) -> str:
    found = line.summary(name)
    if found is None:
        return "-"
    scale, digits = (1, 3) if name in COUNTED else (100, 1)
    mean, spread = found
    said = f"{mean * scale:.{digits}f}"
    return said if spread is None else f"{said} ± {spread * scale:.{digits}f}"


def _json(line: Line) -> dict[str, Any]:
    figures = {}
    for name, values in line.values.items():
        found = line.summary(name)
        mean, spread = found or (None, None)
        figures[name] = {"mean": mean, "deviation": spread, "by_seed": list(values)}
    head = {"part": line.part, "shots": line.shots, "group": line.group, "classes": line.classes}
    return {**head, "seeds": list(line.seeds), "figures": figures}


def _run(figures: Figures) -> dict[str, Any]:
    left_out = ("shots", "seed", "rows", "groups")
    return {name: value for name, value in asdict(figures).items() if name not in left_out}
