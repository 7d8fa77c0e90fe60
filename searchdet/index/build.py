"""What the index commands do: describe a folder of images once, and search it with exemplars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from ..bank import Enrolment, gather, read, settle
from ..bank import file as bankfile
from ..config import Examples, Settings
from ..config.acting import acting, warn
from ..decision import Judge, make_judge
from ..detector import image_info
from ..errors import (
    EmbeddingError,
    ImageError,
    ResourceError,
    SearchdetError,
    UsageError,
    memory_as_error,
)
from ..images import LoadedImage, Query, Told, read_image
from ..proposals.types import ImageId
from ..records import ImageInfo
from ..regions import Packed, Remembered, first, load_models, settings_in, space_of
from ..storage import kinds
from ..storage.cache import Store
from ..storage.hashes import FileHashes
from . import file as index
from .edit import Plan, plan, refreshed
from .file import Index, Made


class Indexer:
    """Models that describe images for an index. Make it once; it loads what is needed when needed."""

    def __init__(self, settings: Settings, keep: int = 0) -> None:
        """keep: best proposals an image or tile that are held, of all that are described; 0: all."""
        if settings.proposals.prompting == "guided":
            raise UsageError(
                "--prompting guided needs exemplars, and an index is made without them.",
                "Leave it out.",
            )
        models = load_models(settings)
        settings, _ = models.effective(settings)
        settings = replace(settings, proposals=replace(settings.proposals, prompting="everything"))
        self.failed: list[tuple[str, SearchdetError]] = []
        self._remembered = Remembered(models.describer(settings), Store(settings.cache, kinds.REGIONS))
        self.settings, self.models = settings, models
        self.space = space_of(models.backbone, settings.embedding)
        self.models_info = models.info(settings)
        self._max_pixels, self._bounds = settings.max_pixels, settings.reading.bounds
        self._told = Told()
        self._keep = keep
        self._made = Made(self.space, self.models_info, keep)

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


def judge_for(found: Index, examples: Examples, settings: Settings) -> Judge:
    """The exemplars as a judge of an index, whose backbone and pooling replace those of the settings.
    No model is loaded for a saved bank, nor for exemplars that are remembered. Raises ExemplarError,
    CheckpointError, UsageError."""
    given = read(examples, settings)
    if given.saved is not None:
        bankfile.require_space(given.saved, found.space, "--bank")
        bankfile.require_plain(given.saved, "an index")
        gathered = settle(given.saved, settings.exemplars)
    else:
        by = Enrolment.load(settings_in(found.space, settings))
        differs = found.space.differences(by.space)
        if differs:
            raise UsageError(f"the index was made with other models ({'; '.join(differs)}).")
        gathered = gather(given, by)
    scoring, unscored = acting(replace(settings.scoring, second_look=0))
    suppression, unsuppressed = acting(settings.suppression)
    ignored = warn([*unscored, *unsuppressed])
    return replace(make_judge(gathered, scoring, suppression, found.models), ignored=ignored)
