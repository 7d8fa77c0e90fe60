"""What is taken off pixels and what they are divided by, by the name of a usual set or by number."""

from __future__ import annotations

import math

Triple = tuple[float, ...]
Stats = tuple[Triple, Triple]
"""Mean and standard deviation of each channel of pixels in 0..1."""

IMAGENET: Stats = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SAT493M: Stats = ((0.430, 0.411, 0.296), (0.213, 0.156, 0.143))
HALF: Stats = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SETS: dict[str, Stats] = {"imagenet": IMAGENET, "sat493m": SAT493M, "half": HALF}
AUTO = "auto"
WORDS = (
    f"use {AUTO}, {', '.join(SETS)}, or six numbers from 0 to 1, mean and deviation of red, green and "
    "blue, as 0.485,0.456,0.406,0.229,0.224,0.225."
)


def stated(text: str) -> Stats | None:
    """The values that ``--pixel-stats`` names; None for ``auto``. Raises ValueError for others."""
    if text == AUTO:
        return None
    if text in SETS:
        return SETS[text]
    numbers = tuple(float(part) for part in text.split(","))
    if len(numbers) != 6 or not all(sound(numbers[:3], numbers[3:])):
        raise ValueError(f"{text!r} is not mean and deviation of three channels")
    return numbers[:3], numbers[3:]


def sound(mean: Triple, std: Triple) -> tuple[bool, bool]:
    """Whether means lie in 0..1, and deviations are above 0 and at most 1."""
    means = all(math.isfinite(value) and 0 <= value <= 1 for value in mean)
    return means, all(math.isfinite(value) and 0 < value <= 1 for value in std)


def is_stated(text: str) -> bool:
    """Whether ``stated`` takes it."""
    try:
        stated(text)
    except ValueError:
        return False
    return True


def as_text(stats: Stats) -> str:
    """Values as ``--pixel-stats`` takes them."""
    return ",".join(repr(value) for part in stats for value in part)
