"""Rooms of the package (its top-level modules and packages) and the import arrows between them.

``python tests/rooms.py`` prints them and their counts.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "searchdet"
Arrow = tuple[str, str]


def room_of(path: Path) -> str:
    """The room of a file: the package below ``searchdet/``, or the module's own name."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def files() -> list[Path]:
    """All modules, in order."""
    return sorted(PACKAGE.rglob("*.py"))


def rooms() -> set[str]:
    """All rooms, ``__init__`` and ``__main__`` among them."""
    return {room_of(path) for path in files()}


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """(room, line) of each of our own modules that a file imports, at any depth of its code."""
    package = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            stem = (*base, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                yield (*stem, alias.name)[0], node.lineno


def arrows() -> dict[Arrow, list[str]]:
    """(from, to) -> the places, ``file:line``, of each pair of different rooms."""
    found: dict[Arrow, list[str]] = defaultdict(list)
    for path in files():
        for room, line in imported(path):
            if room != room_of(path):
                found[room_of(path), room].append(f"{path.relative_to(PACKAGE)}:{line}")
    return dict(found)


def circle(pairs: set[Arrow]) -> list[str]:
    """One circle of rooms that import each other, or nothing."""
    below = {room: sorted(b for a, b in pairs if a == room) for room in {a for a, _ in pairs}}
    done: set[str] = set()

    def walk(room: str, trail: list[str]) -> list[str]:
        if room in trail:
            return [*trail[trail.index(room) :], room]
        if room in done:
            return []
        for other in below.get(room, ()):
            if found := walk(other, [*trail, room]):
                return found
        done.add(room)
        return []

    for room in sorted(below):
        if found := walk(room, []):
            return found
    return []


if __name__ == "__main__":
    every = arrows()
    for (above, below), where in sorted(every.items()):
        print(f"{above:12} -> {below:12} {len(where):3}  {where[0]}")
    loop = " -> ".join(circle(set(every)))
    print(f"{len(rooms())} rooms, {len(every)} arrows, circle: {loop or 'none'}")
