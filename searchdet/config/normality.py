"""Options of what is normal: how good parts become a measure of what is not."""

from __future__ import annotations

from dataclasses import dataclass

from .option import check_options, one_of, option, usual

NORMALITY = "What is normal"
METHODS = ("subspace", "nearest")
VIEWS = ("none", "flips", "turns")


@dataclass(frozen=True, slots=True)
class NormalityOptions:
    """How normality is learned. ``by_image``: without good parts, from each image itself, most of which
    is taken to be good."""

    by_image: bool = option(
        False,
        "What is unusual within each image itself, where there are no good parts for --normal.",
        NORMALITY,
        flags=("--normal-self",),
        key="normal_self",
    )
    method: str = option(
        usual("nearest"),
        "nearest: distance to the nearest normal cell; subspace: what their main directions leave.",
        NORMALITY,
        key="normal_method",
        check=one_of(*METHODS),
    )
    views: str = option(
        usual("flips"),
        "How good parts are seen besides as they are: none, flips, or turns (quarter turns too).",
        NORMALITY,
        key="normal_views",
        check=one_of(*VIEWS),
    )

    def __post_init__(self) -> None:
        check_options(self)
