"""What the index commands do: describe a folder of images once, and search it with exemplars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from ..bank import Enrolment, Gathered, Read, gather, read, settle
from ..bank import file as bankfile
from ..bank.types import of_normality
from ..config import Examples, Settings, StartExamples
from ..config.acting import acting, warn
from ..config.address import Place
from ..decision import Judge, make_judge
from ..detector import for_defects, image_info
from ..errors import (
    EmbeddingError,
    ImageError,
    ResourceError,
    SearchdetError,
    UsageError,
    memory_as_error,
)
from ..images import LoadedImage, Query, Told, read_image
from ..normality import Normality, Unusual, suited
from ..normality.types import BY_IMAGE
from ..proposals.types import ImageId
from ..records import ImageInfo
from ..regions import (
    WITHOUT_NORMALS,
    Models,
    Packed,
    Remembered,
    first,
    load_models,
    note_guide,
    settings_in,
    space_of,
)
from ..storage import kinds
from ..storage.cache import Store
from ..storage.hashes import FileHashes
from . import file as index
from .edit import Plan, plan, refreshed
from .file import Index, Made
from .goodparts import GoodParts, require_known

KEPT = 600
"""Best proposals an image or tile that are held where nobody says it; with good parts it is all, as
what is unusual may be none of these."""


class Indexer:
    """Models that describe images for an index. Make it once; it loads what is needed when needed."""

    def __init__(
        self, settings: Settings, keep: int | None = 0, good: Read | GoodParts | None = None
    ) -> None:
        """keep: best proposals an image or tile that are held, of all that are described; 0: all, None:
        as ``KEPT`` says. good: what says what is normal, where something does; of an index
        with its model at hand. Raises ExemplarError for good parts that cannot be used."""
        if settings.proposals.prompting == "guided":
            raise UsageError(
                "--prompting guided needs exemplars, and an index is made without them.",
                "Leave it out.",
            )
        settings, models, self.good = _opened(settings, good)
        self.proposals = settings.proposals  # as they suit what is normal
        settings, _ = models.effective(settings, normal=self.good.info.method if self.good else "")
        settings = replace(settings, proposals=replace(settings.proposals, prompting="everything"))
        keep = (0 if self.good else KEPT) if keep is None else keep
        self.failed: list[tuple[str, SearchdetError]] = []
        self._remembered = _memory(models, settings, self.normality)
        self.settings, self.models = settings, models
        self.space = space_of(models.backbone, settings.embedding)
        self.models_info = models.info(settings)
        self._max_pixels, self._bounds = settings.max_pixels, settings.reading.bounds
        self._told = Told()
        self._keep = keep
        self._made = Made(self.space, self.models_info, keep, self.good)

    @property
    def normality(self) -> Normality | None:
        """What is normal; None where nothing says it."""
        return None if self.good is None else self.good.model

    def write(self, path: Path, queries: Iterable[Query], grouped: bool = False) -> int:
        """Index images into a folder and return how many regions there are. An image that cannot be
        used is left out and stands in ``failed``. grouped: with lists. Raises OutputError."""
        made = (self._describe(query) for query in queries)
        return index.write(path, (m for m in made if m is not None), self._made, grouped)

    def plan(self, path: Path, queries: Sequence[Query]) -> Plan:
        """What is to be described so that an index holds all the images. Raises UsageError where it is
        none, or was made with other models or settings."""
        found = index.load(path)
        index.require_same(path, found, self._made)
        return plan(found, queries, FileHashes(self.settings.cache, self.settings.cache is not None))

    def add(self, path: Path, planned: Plan, todo: Iterable[Query]) -> int:
        """Bring an index up to date and return how many regions there are. todo: the queries of the
        plan, in their order. Images are added at its end; where some have changed it is written anew,
        and they stand where they stood. One that cannot be used stands in ``failed``, and what the
        index held of it stays. Raises UsageError and OutputError."""
        if not planned.todo:
            return len(planned.found)
        described = (self._describe(query) for query in todo)
        first = [next(described) for _ in planned.changed[:1]]
        while first and first[-1] is None and len(first) < len(planned.changed):
            first.append(next(described))
        if not any(first):  # none of those that changed can be used: what is known of them stays
            new = (made for made in described if made is not None)
            return index.append(path, new, self._made)
        rows = refreshed(planned, chain(first, described))
        return index.write(path, rows, self._made, index.wants_lists(path))

    def _describe(self, query: Query) -> tuple[ImageInfo, Packed] | None:
        try:
            return self.describe(query)
        except (ImageError, EmbeddingError, ResourceError) as error:
            self.failed.append((query.name, error))
            return None

    def describe(self, query: Query) -> tuple[ImageInfo, Packed]:
        """One image. Raises ImageError, EmbeddingError or ResourceError where it cannot be used."""
        with memory_as_error(query.path):
            return self.described(self.read(query), query.name)

    def read(self, query: Query) -> LoadedImage:
        """The pixels of an image. Raises ImageError."""
        return read_image(query.path, self._max_pixels, self._bounds)

    def described(self, image: LoadedImage, name: str) -> tuple[ImageInfo, Packed]:
        """An image that is read already. Raises EmbeddingError."""
        mine = self._remembered.of(ImageId(name, image.orientation))
        packed = mine.packed(image.pixels, image.content)
        self._told.add(name, image.values, image.pages)
        return image_info(image, name), first(packed, self._keep) if self._keep else packed


def good_parts(
    given: StartExamples, settings: Settings, there: Place | None = None
) -> Read | GoodParts | None:
    """What says what is normal to an indexer; None for nothing. there: an index that is added to, whose
    own good parts hold. Raises ExemplarError, and UsageError for a bank without good parts or for
    others than those of the index."""
    asked = given.given or given.normal is not None
    found = read(given, settings) if asked else Read([])
    if found.saved is not None and found.saved.normality is None:
        raise UsageError(
            "--bank: holds no good parts, and an index takes nothing else of it.",
            "Leave it out, and search with it; or build it with --normal.",
        )
    if there is not None:
        known = index.load(there)
        require_known(there, known.made.good, found, settings.normality)
        return None if known.made.good is None else known.made.good.at_hand(known.space.dim)
    return found if asked or settings.normality.by_image else None


def _opened(
    settings: Settings, good: Read | GoodParts | None
) -> tuple[Settings, Models, GoodParts | None]:
    """Settings as they suit what is normal, models, and that with its model at hand."""
    if isinstance(good, GoodParts):
        options = suited.with_saved(settings.proposals, good.info, "the index")
        settings = replace(settings, proposals=options)
        return settings, load_models(settings), good
    if good is None:
        return settings, load_models(settings), None
    settings, tile_by = for_defects(good, settings)
    models = load_models(settings)
    by = Enrolment.of(models.backbone, settings, models.proposer)
    if good.saved is not None:
        bankfile.require_space(good.saved, by.space, "--bank")
    made = good.saved.normality if good.saved is not None else by.normality_of(good)
    if made is None:
        return settings, models, None
    if good.saved is None:
        made = replace(made, info=replace(made.info, tile_by=tile_by))
    return settings, models, GoodParts.of(made, good.normals)


def _memory(models: Models, settings: Settings, normal: Normality | None) -> Remembered:
    """The describer, whose regions are kept as ``Detector`` keeps its own."""
    own = Unusual(normal, models.backbone.stride, settings.proposals) if normal else None
    guide = normal.digest if normal else ""
    return Remembered(
        models.describer(settings, None, own), Store(settings.cache, kinds.REGIONS), guide
    )


def judge_for(path: Place, found: Index, examples: Examples, settings: Settings) -> Judge:
    """The exemplars as a judge of an index at ``path``, whose backbone and pooling replace those of the
    settings, beside what is normal to it. No model is loaded for a saved bank, nor for exemplars that
    are remembered. Raises ExemplarError, CheckpointError, UsageError."""
    given = read(examples, settings)
    require_known(path, found.made.good, given)
    gathered, scoring = _gathered(found, given, settings), replace(settings.scoring, second_look=0)
    normal = gathered.bank.normality
    if normal is not None:
        scoring = suited.scoring_for(scoring, given.has_exemplars)
    scoring, unscored = acting(scoring, *((None, "") if normal else WITHOUT_NORMALS))
    suppression, unsuppressed = acting(settings.suppression)
    ignored = warn([*unscored, *unsuppressed])
    made = replace(make_judge(gathered, scoring, suppression, found.models), ignored=ignored)
    if normal is not None:
        note_guide(settings.cache, made.fingerprint, normal.digest)
    return made


def _gathered(found: Index, given: Read, settings: Settings) -> Gathered:
    """What was read as exemplars beside what is normal to an index."""
    good = found.made.good
    normal = None if good is None else good.normality(found.space.dim)
    if given.saved is not None:
        bankfile.require_space(given.saved, found.space, "--bank")
        return settle(replace(given.saved, normality=normal), settings.exemplars)
    if not given.items:
        if normal is None or normal.info.method == BY_IMAGE:
            raise UsageError(
                "no examples are given, and no good parts of the index say what a defect is.",
                "Name a folder: --positive DIR (or --positive-coco, --bank).",
            )
        return Gathered(of_normality(normal, found.space), skipped=given.skipped)
    by = Enrolment.load(settings_in(found.space, settings))
    differs = found.space.differences(by.space)
    if differs:
        raise UsageError(f"the index was made with other models ({'; '.join(differs)}).")
    gathered = gather(given, by)
    return replace(gathered, bank=replace(gathered.bank, normality=normal))
