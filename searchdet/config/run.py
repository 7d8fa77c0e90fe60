"""Options of a run: where examples come from, which images are meant, and where results go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .address import Place
from .option import Check, between, check_options, names_of, one_of, option
from .pictures import KINDS

EXAMPLES, OUTPUT = "Examples", "Output"
EXEMPLAR_MASKS = ("auto", "whole")
CROWDS = ("auto", "objects", "ignored")
ENGINES = ("local", "ray")
AUGMENTS = ("flips", "turns", "scale")
_AUGMENT = Check(
    f"it must be none, or of {', '.join(AUGMENTS)}, with commas.",
    lambda value: set(names_of(value)) <= set(AUGMENTS),
)
_SHARD = (
    "Only part i of n, by name: i/n, from 1; auto: as the scheduler of a cluster says, auto/n where "
    "that does not say of how many."
)
MOST_VALUE = 1e15
"""No picture holds values beyond it."""


def _strict() -> bool:
    return option(
        False, "Stop at the first image that fails, or if a part of the examples is left out.", OUTPUT
    )


@dataclass(frozen=True, slots=True)
class Examples:
    """Where examples come from: folders, a COCO file with the folder of its images, or a saved bank."""

    positive: Path | None = option(
        None,
        "Folder of examples; sub-folders are classes.",
        EXAMPLES,
        flags=("--positive", "-p"),
        fetched=True,
    )
    negative: Path | None = option(
        None,
        "Folder of counter-examples, any depth.",
        EXAMPLES,
        flags=("--negative", "-n"),
        fetched=True,
    )
    positive_coco: Path | None = option(
        None, "COCO file; its annotations are the examples.", EXAMPLES, fetched=True
    )
    positive_images: Path | None = option(
        None, "Folder of the images of --positive-coco.", EXAMPLES, fetched=True
    )
    bank: Path | None = option(None, "Saved bank instead of example folders.", EXAMPLES, fetched=True)
    normal: Path | None = option(
        None,
        "Folder of good parts; what is unusual beside them is a defect.",
        EXAMPLES,
        fetched=True,
    )

    def __post_init__(self) -> None:
        if not self.given and self.normal is None:
            raise UsageError(
                "no examples are given.",
                "Name a folder: --positive DIR (or --positive-coco, --bank), or --normal DIR.",
            )
        _require_fit(self)

    @property
    def given(self) -> bool:
        """Whether there are examples of a class."""
        return any(source is not None for source in (self.positive, self.positive_coco, self.bank))


@dataclass(frozen=True, slots=True)
class StartExamples(Examples):
    """What a session begins with, which may be nothing."""

    def __post_init__(self) -> None:
        if not self.given and self.negative is not None:
            raise UsageError(
                "--negative is given without examples of a class.", "Name these too: --positive DIR."
            )
        _require_fit(self)


def _require_fit(given: Examples) -> None:
    """Raise UsageError for sources that do not go together."""
    sources = (given.positive, given.positive_coco, given.bank, given.negative)
    if given.bank is not None and sum(source is not None for source in sources) > 1:
        raise UsageError("--bank goes with no other examples.", "Add them to it: `searchdet bank add`.")
    if given.positive_images is not None and given.positive_coco is None:
        raise UsageError("--positive-images is for --positive-coco, which is not given.")
    if given.normal is not None and given.bank is not None:
        raise UsageError(
            "--normal goes not with --bank.", "Keep good parts in it: `searchdet bank build --normal`."
        )
    if given.normal is not None and given.negative is not None and not given.given:
        raise UsageError(
            "--negative is given without examples of a class.",
            "Put what is not a defect among the good parts of --normal, or name --positive DIR.",
        )


@dataclass(frozen=True, slots=True)
class ExemplarOptions:
    """How examples are read. ``exemplar_mask`` is for what has no mask: auto looks for the object that
    the photos of a class share, and for the one in a box; whole takes photo or box as it is. An example
    that cannot be read is an error unless ``skip_bad_exemplars``; what is left out of a file, as a
    shape without an area, is a WARNING, and an error if ``strict``."""

    exemplar_mask: str = option(
        "auto",
        "Of photos and boxes: whole, or auto (the region that photos share, the object in a box).",
        EXAMPLES,
        check=one_of(*EXEMPLAR_MASKS),
    )
    augment: str = option(
        "none",
        f"Changed views of the examples that are examples too: {', '.join(AUGMENTS)} (with commas).",
        EXAMPLES,
        check=_AUGMENT,
    )
    keep_conflicts: bool = option(
        False,
        "Use negatives that look more like a class than its own examples do.",
        EXAMPLES,
    )
    skip_bad_exemplars: bool = option(False, "Leave out examples that cannot be read.", EXAMPLES)
    mask_index: int | None = option(
        None, "The object's index in masks that hold several.", EXAMPLES, check=between(0, 1 << 31)
    )
    crowds: str = option(
        "auto",
        "COCO annotations with iscrowd 1: objects, ignored, or auto (objects if a file has no others).",
        EXAMPLES,
        check=one_of(*CROWDS),
    )
    strict: bool = _strict()

    def __post_init__(self) -> None:
        check_options(self)


def _bounds(text: str) -> tuple[float, float] | None:
    """``LOW,HIGH`` as numbers; None for another form."""
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        return None
    return (low, high) if -MOST_VALUE < low < high < MOST_VALUE else None


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How pictures are read, examples and images alike; masks are not."""

    value_range: str | None = option(
        None,
        "Black and white of pictures with more than 8 bits: LOW,HIGH.",
        OUTPUT,
        check=Check("it must be LOW,HIGH, two numbers.", lambda value: _bounds(value) is not None),
    )

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The values that become 0 and 255; None where they are found."""
        return None if self.value_range is None else _bounds(self.value_range)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where results go, and which. ``save`` and ``dataset`` are names with commas."""

    output: Place = option(
        Path("searchdet-out"),
        "Folder for records and pictures.",
        OUTPUT,
        flags=("--output", "-o"),
    )
    save: str = option("overlay", f"Pictures: {', '.join(KINDS)} (with commas), or none.", OUTPUT)
    no_save: bool = option(False, "Write no file at all.", OUTPUT)
    dataset: str = option(
        "coco",
        "Dataset files: {formats} (with commas), or none.",
        OUTPUT,
        flags=("--format",),
    )
    overwrite: bool = option(False, "Do again what is done; replace.", OUTPUT)


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How the images that are named are read."""

    root: Place | None = option(None, "Record names are relative to it.", OUTPUT)
    recursive: bool = option(False, "Look into sub-folders.", OUTPUT, flags=("--recursive", "-r"))
    follow_symlinks: bool = option(False, "Look into linked folders, each once.", OUTPUT)
    null: bool = option(False, "Lists of paths are separated by NUL.", OUTPUT, flags=("--null", "-0"))
    shard: str = option("1/1", _SHARD, OUTPUT)


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """Where what was computed is remembered; without a folder in the user's cache."""

    cache_dir: Path | None = option(None, "Where regions and exemplars are remembered.", OUTPUT)
    no_cache: bool = option(False, "Remember nothing, compute all.", OUTPUT)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What searches the images: this machine as it is, or the actors of a Ray cluster."""

    name: str = option(
        "local",
        "Where images are searched: local, or ray (a cluster).",
        OUTPUT,
        key="engine",
        check=one_of(*ENGINES),
    )
    ray_address: str | None = option(
        None, "Address of a Ray cluster, or auto; else ray uses this machine alone.", OUTPUT
    )
    actors: int | None = option(
        None, "Models that ray loads; one for each GPU if not given.", OUTPUT, check=between(1, 10_000)
    )

    def __post_init__(self) -> None:
        check_options(self)
        for flag, value in (("--ray-address", self.ray_address), ("--actors", self.actors)):
            if value is not None and self.name != "ray":
                raise UsageError(f"{flag} is for --engine ray, which is not given.")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run goes on, and what it tells."""

    strict: bool = _strict()
    timeout: float | None = option(
        None, "Seconds an image may take; searched in a process of its own.", OUTPUT
    )
    cache: CacheOptions = CacheOptions()
    json_lines: bool = option(False, "One JSON record a line on stdout.", OUTPUT, flags=("--json",))
    fail_if_empty: bool = option(False, "Exit 6 if nothing is found.", OUTPUT)
    engine: EngineOptions = EngineOptions()
    quiet: bool = option(False, "Tell of failures and warnings alone.", OUTPUT, flags=("--quiet", "-q"))


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is told of the work itself."""

    verbose: bool = option(False, "Tell more.", OUTPUT, flags=("--verbose", "-v"))
    debug: bool = option(False, "Show tracebacks.", OUTPUT)
