"""Writes architecture.svg: the rooms of the package and the imports between them, from the code itself.

`make docs` runs it; tests/test_docs.py fails where the file is not what it gives. A room stands above
all rooms that it imports from. An import that others imply (a to b, b to c: a to c) is not drawn.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import rooms  # noqa: E402

TARGET = Path(__file__).with_name("architecture.svg")
LEFT_OUT = {"__init__", "__main__"}
"""They hand names on."""
KINDS = {
    "command line": ("#cfe3ff", "cli commands"),
    "many images and files": (
        "#e3d7ff",
        "batch benchmark doctor evaluation exports index models output report",
    ),
    "cheap: for each question": (
        "#d3f1d3",
        "bank calibration decision live scoring suppression",
    ),
    "expensive: once an image": (
        "#ffe2c2",
        "backbones detector embeddings exemplars images proposals regions weights",
    ),
    "ground": ("#e6e6e6", ""),
}
WIDE, HIGH, ACROSS, DOWN, MARGIN, LANE = 104, 32, 26, 34, 20, 14
Room = str
Edge = tuple[Room, Room]


def below(edges: set[Edge]) -> dict[Room, set[Room]]:
    found: dict[Room, set[Room]] = defaultdict(set)
    for one, other in edges:
        found[one].add(other)
    return found


def reduced(edges: set[Edge]) -> set[Edge]:
    """Without the edges that longer ways imply."""
    direct = below(edges)
    reach: dict[Room, set[Room]] = {}

    def all_below(room: Room) -> set[Room]:
        if room not in reach:
            reach[room] = set().union(*({lower} | all_below(lower) for lower in direct[room]))
        return reach[room]

    return {
        (one, other)
        for one, other in edges
        if not any(other in all_below(between) for between in direct[one] - {other})
    }


def floors(names: set[Room], edges: set[Edge]) -> dict[Room, int]:
    """0 for a room that imports nothing; else one more than the highest room below it."""
    direct, height = below(edges), {}

    def of(room: Room) -> int:
        if room not in height:
            height[room] = 1 + max((of(lower) for lower in direct[room]), default=-1)
        return int(height[room])

    return {room: of(room) for room in sorted(names)}


Way = list[str]
"""The places that a line passes: its first room, a lane on each floor between, and its last room."""


def ways(edges: set[Edge], floor: dict[Room, int]) -> list[Way]:
    return [
        [one, *(f"{one}>{other}@{level}" for level in range(floor[one] - 1, floor[other], -1)), other]
        for one, other in sorted(edges)
    ]


def arranged(lines: list[Way], floor: dict[Room, int]) -> list[list[str]]:
    """The places of each floor, top floor first, in an order with few crossings (barycentres)."""
    rows: list[list[str]] = [[] for _ in range(max(floor.values()) + 1)]
    for room, level in floor.items():
        rows[level].append(room)
    near: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        for lane in line[1:-1]:
            rows[int(lane.rpartition("@")[2])].append(lane)
        for one, other in pairwise(line):
            near[one].append(other)
            near[other].append(one)
    place = {name: i / max(1, len(row) - 1) for row in rows for i, name in enumerate(sorted(row))}
    for turn in range(40):
        for level in range(len(rows)) if turn % 2 else reversed(range(len(rows))):
            row = rows[level]
            aim = {n: sum(place[o] for o in near[n]) / max(1, len(near[n])) for n in row}
            row.sort(key=lambda name: (aim[name], name))
            place.update({name: (i + 0.5) / len(row) for i, name in enumerate(row)})
    return rows[::-1]


def places(rows: list[list[str]]) -> tuple[dict[str, tuple[float, float]], int, int]:
    """The middle of each place, and width and height of the picture."""
    widths = [sum((LANE if "@" in name else WIDE) + ACROSS for name in row) - ACROSS for row in rows]
    width, at = max(widths) + 2 * MARGIN, {}
    for i, (row, wide) in enumerate(zip(rows, widths, strict=True)):
        x = (width - wide) / 2
        for name in row:
            own = LANE if "@" in name else WIDE
            at[name] = (x + own / 2, MARGIN + HIGH / 2 + i * (HIGH + DOWN))
            x += own + ACROSS
    return at, width, 2 * MARGIN + len(rows) * (HIGH + DOWN) - DOWN


def colour(room: Room) -> str:
    return next((fill for fill, names in KINDS.values() if room in names.split()), "#e6e6e6")


def line_of(way: Way, at: dict[str, tuple[float, float]]) -> str:
    """A curve that is upright on every floor."""
    (x, y), words = at[way[0]], []
    y += HIGH / 2
    words.append(f"M{x:.0f} {y:.0f}")
    for name in way[1:]:
        to_x, to_y = at[name]
        top = to_y - HIGH / 2
        words.append(
            f"C{x:.0f} {y + DOWN / 2:.0f} {to_x:.0f} {top - DOWN / 2:.0f} {to_x:.0f} {top:.0f}"
        )
        if "@" in name:
            words.append(f"V{to_y + HIGH / 2:.0f}")
        x, y = to_x, to_y + HIGH / 2
    return f'<path d="{" ".join(words)}" marker-end="url(#tip)"/>'


def drawn(lines: list[Way], floor: dict[Room, int]) -> str:
    at, width, height = places(arranged(lines, floor))
    whole = height + 34
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" width="{width}" '
        f'height="{whole}" font-family="sans-serif" font-size="13" text-anchor="middle">',
        "<title>Rooms of searchdet and the imports between them, which point down</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#8a8f98"/></marker></defs>',
        '<g fill="none" stroke="#8a8f98" stroke-width="1.3">',
        *(line_of(line, at) for line in lines),
        "</g>",
    ]
    for room in sorted(floor):
        x, y = at[room]
        svg.append(
            f'<rect x="{x - WIDE / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{WIDE}" height="{HIGH}" '
            f'rx="6" fill="{colour(room)}" stroke="#5b616b"/><text x="{x:.0f}" y="{y + 4.5:.0f}" '
            f'fill="#1a1a1a">{escape(room)}</text>'
        )
    svg += legend(width, height)
    return "\n".join([*svg, "</svg>"]) + "\n"


def legend(width: int, top: int) -> list[str]:
    step, found = width / len(KINDS), []
    for i, (kind, (fill, _)) in enumerate(KINDS.items()):
        found.append(
            f'<rect x="{step * i + 4:.0f}" y="{top + 4}" width="{step - 8:.0f}" height="22" rx="4" '
            f'fill="{fill}"/><text x="{step * (i + 0.5):.0f}" y="{top + 19}" font-size="10" '
            f'fill="#1a1a1a">{escape(kind)}</text>'
        )
    return found


def picture() -> str:
    """The text of architecture.svg."""
    names = rooms.rooms() - LEFT_OUT
    edges = {pair for pair in rooms.arrows() if not LEFT_OUT & set(pair)}
    floor = floors(names, edges)
    return drawn(ways(reduced(edges), floor), floor)


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
