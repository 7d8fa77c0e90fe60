"""The curves of `bench_loop.py` as docs/loop.svg."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

WIDE, HIGH, LEFT, TOP, GAP = 300, 220, 46, 46, 60
LOW, STEP = 0.0, 0.2
OURS, THEIRS = "#0b62d6", "#8a8a8a"
Curves = Sequence[Mapping[str, float]]


def draw(target: Path, cache: Path, names: Sequence[str], clicks: Sequence[int]) -> None:
    """A panel for each set: F1 after so many clicks, each repetition thin, their mean thick."""
    panels = []
    for number, name in enumerate(names):
        known = json.loads((cache / f"{name}-session.json").read_text())
        panels.append(_panel(number, name, {OURS: known["loop"], THEIRS: known["at once"]}, clicks))
    width = LEFT + len(names) * (WIDE + GAP)
    legend = (
        f'<text x="{LEFT}" y="18" fill="{OURS}">the loop of searchdet serve</text>'
        f'<text x="{LEFT + 190}" y="18" fill="{THEIRS}">as many exemplars, given at once</text>'
    )
    body = "\n".join([legend, *panels])
    target.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{TOP + HIGH + 50}" '
        f'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        f"{body}\n</svg>\n"
    )


def _panel(number: int, name: str, curves: Mapping[str, Curves], clicks: Sequence[int]) -> str:
    left = LEFT + number * (WIDE + GAP)

    def x(count: float) -> float:
        first, last = np.log(clicks[0]), np.log(clicks[-1])
        return left + WIDE * float((np.log(count) - first) / (last - first))

    def y(value: float) -> float:
        return TOP + HIGH * (1 - (value - LOW) / (1 - LOW))

    parts = [f'<text x="{left}" y="{TOP - 8}" font-weight="bold">{escape(name)}</text>']
    for value in np.arange(LOW, 1.001, STEP).tolist():
        parts.append(f'<path d="M{left} {y(value):.1f}h{WIDE}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.1f}</text>'
        )
    for count in clicks:
        parts.append(
            f'<text x="{x(count):.1f}" y="{TOP + HIGH + 18}" text-anchor="middle">{count}</text>'
        )
    parts.append(
        f'<text x="{left + WIDE / 2}" y="{TOP + HIGH + 38}" text-anchor="middle">clicks</text>'
    )

    def line(colour: str, values: Sequence[float], width: float, shade: float) -> str:
        points = " ".join(f"{x(c):.1f},{y(v):.1f}" for c, v in zip(clicks, values, strict=True))
        return (
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" '
            f'opacity="{shade}"/>'
        )

    for colour, every in curves.items():
        rows: Any = np.asarray([[one[str(count)] for count in clicks] for one in every])
        parts += [line(colour, row.tolist(), 1, 0.35) for row in rows]
        parts.append(line(colour, rows.mean(axis=0).tolist(), 3, 1))
    return "\n".join(parts)
