"""How many examples a property is tried with: all of them where the profile is ``ci``, else fewer; in
``nightly`` five times as many."""

from __future__ import annotations

from hypothesis import settings


def examples(number: int) -> int:
    """The share of ``number`` that the loaded profile takes; ``ci`` takes all."""
    return max(5, number * settings.default.max_examples // 100)
