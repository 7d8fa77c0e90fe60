"""``Detector``: the only module that knows all parts. Exemplars and weights in, records out."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .backbones import FeatureMap
from .bank import Bank, Enrolment, Gathered, Read, gather, read, with_tiles
from .config import (
    DEFAULT_BACKBONE,
    Examples,
    ScoringOptions,
    Settings,
    settings_from,
)
from .config.option import from_values
from .decision import Look, make_judge
from .embeddings import cell_vectors
from .errors import UsageError
from .images import LoadedImage, Told, from_array, from_pil, read_image
from .normality import Unusual, suited
from .proposals.types import ImageId
from .records import ImageInfo, ImageRecord, RunInfo, SourceInfo
from .regions import Models, Regions, Remembered, load_models, note_guide
from .scoring import promise
from .storage import kinds
from .storage.cache import Store
from .storage.values import JsonObject

if TYPE_CHECKING:
    from PIL import Image

    from .output import Heat, Maps, Output

log = logging.getLogger(__name__)


class Detector:
    """Finds the classes of a bank in images. Make it with ``build`` or ``from_folders``."""

    def __init__(self, models: Models, gathered: Gathered, settings: Settings) -> None:
        normal = gathered.bank.normality
        judged = _as_judged(gathered.bank, models, settings)
        settings, ignored = models.effective(settings, judged, normal.info.method if normal else "")
        self.settings = settings
        self.models = models
        info = models.info(settings)
        judge = make_judge(gathered, settings.scoring, settings.suppression, info)
        self.judge = replace(judge, ignored=ignored)
        guided, normal = settings.proposals.prompting == "guided", self.bank.normality
        own = Unusual(normal, models.backbone.stride, settings.proposals) if normal else None
        self.unusual = own
        describer = models.describer(settings, self._promise if guided else None, own)
        guide = guide_of(self.bank, self.judge.rule.scoring) if guided else ""
        guide = f"{guide} {normal.digest}".lstrip() if normal else guide
        if guide:
            note_guide(settings.cache, self.judge.fingerprint, guide)
        kept = (Store(settings.cache, kind) for kind in (kinds.REGIONS, kinds.CLOSEUPS))
        self.regions = Remembered(describer, next(kept), guide, next(kept))
        self._told = Told()

    @property
    def bank(self) -> Bank:
        """The exemplars that are searched for."""
        return self.judge.bank

    @classmethod
    def build(
        cls, examples: Examples, settings: Settings | None = None, defer: bool = True
    ) -> Detector:
        """Read exemplars, find weights, then load models: what can be refused early is refused early.

        defer: a network whose weights have loaded before waits for the first image that needs it.
        Raises ExemplarError, CheckpointError or UsageError.
        """
        settings = settings or Settings()
        given = read(examples, settings)
        settings, tile_by = for_defects(given, settings)
        models = load_models(settings, defer)
        gathered = gather(given, Enrolment.of(models.backbone, settings, models.proposer))
        gathered = replace(gathered, bank=with_tiles(gathered.bank, tile_by))
        return cls(models, gathered, settings)

    @classmethod
    def of(cls, models: Models, given: Read | Gathered, settings: Settings) -> Detector:
        """With models that are there, and examples that were read, or gathered by the same models
        elsewhere. Raises ExemplarError or UsageError, that also where good parts are among them."""
        if _says_what_is_normal(given, settings):
            raise UsageError(
                "good parts (--normal) are not sent to other machines.",
                "Leave out --engine ray; parts of the run may go side by side (--shard 1/2).",
            )
        if isinstance(given, Read):
            given = gather(given, Enrolment.of(models.backbone, settings, models.proposer))
        return cls(models, given, settings)

    @classmethod
    def from_folders(
        cls,
        positive: str | Path | None = None,
        negative: str | Path | None = None,
        *,
        bank: str | Path | None = None,
        normal: str | Path | None = None,
        backbone: str = DEFAULT_BACKBONE,
        backbone_checkpoint: str | Path | None = None,
        proposals: str = "auto",
        sam_checkpoint: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        **options: object,
    ) -> Detector:
        """Detector from example folders, from good parts, or from a saved bank.

        options: ``cache``, a folder that remembers descriptions and regions by content (default: none),
        and fields of the options in config by their names (``feat_short_side``, ``points_per_side``,
        ``pooling``, ``min_score``, ...). Raises UsageError for an unknown one.
        """
        settings = settings_from(
            {
                **options,
                "backbone": backbone,
                "backbone_ckpt": backbone_checkpoint,
                "proposals": proposals,
                "sam_checkpoint": sam_checkpoint,
                "device": device,
                "precision": precision,
            }
        )
        given = {"positive": positive, "negative": negative, "bank": bank, "normal": normal}
        return cls.build(from_values(Examples, given), settings)

    @property
    def gathered(self) -> Gathered:
        """The bank and how it came about."""
        return self.judge.gathered

    def detect(
        self, image: str | Path | Image.Image | npt.NDArray[np.uint8], name: str | None = None
    ) -> ImageRecord:
        """Detect in one image: a path, a PIL image or an (H, W, 3) uint8 RGB array.

        name: how the record calls it. Raises ImageError or EmbeddingError for an image that cannot be
        used.
        """
        return self.detect_loaded(*self._load(image, name))

    def detect_loaded(self, image: LoadedImage, name: str) -> ImageRecord:
        """``detect`` for an image that is already read."""
        return self.judged(image, name, self.describe(image, name))

    def describe(
        self,
        image: LoadedImage,
        name: str,
        seen: Callable[[FeatureMap], object] | None = None,
    ) -> Regions:
        """Regions of an image. seen: is given its feature map, where one is computed. Raises
        EmbeddingError, and ImageError where the masks of other tools have none of it."""
        return self._of(image, name).regions(image.pixels, image.content, seen)

    def judged(self, image: LoadedImage, name: str, regions: Regions) -> ImageRecord:
        """The record of an image whose regions are known. Raises EmbeddingError."""
        look = _look(self._of(image, name), image, regions)
        return self.judge.record(self._info(image, name), regions, look)

    def run_info(self) -> RunInfo:
        """What every record of this detector says about models, settings and exemplars."""
        return self.judge.run_info()

    def heat(self, image: npt.NDArray[np.uint8], feature_map: FeatureMap | None = None) -> Heat:
        """For each class (h, w): cosine of each cell of the image's feature map to its prototype.
        feature_map: that of the image, if it is known."""
        if feature_map is None:
            feature_map = self.regions.describer.backbone.feature_map(image)
        cells = cell_vectors(feature_map)
        cosines = np.asarray(cells @ self.bank.prototypes().T, np.float32)
        return {label: cosines[..., c] for c, label in enumerate(self.bank.classes)}

    def maps(
        self, image: npt.NDArray[np.uint8], wanted: Output, feature_map: FeatureMap | None = None
    ) -> Maps:
        """The maps of an (H, W, 3) image that an output draws. feature_map: that of the image, if it is
        known. Raises UsageError where one shows what is not normal and nothing says what is."""
        from .output import Maps

        require_drawable(self.bank, wanted)
        if feature_map is None:
            feature_map = self.regions.describer.backbone.feature_map(image)
        heat = self.heat(image, feature_map) if wanted.wants_heat else None
        unusual = self.unusual if wanted.wants_anomaly else None
        return Maps(heat, unusual.map_of(feature_map) if unusual else None)

    def run_json(self) -> JsonObject:
        """What ``run.json`` says of settings and exemplars, as JSON values."""
        choice = self.models.choice
        chosen: JsonObject = {"auto_proposals": choice.to_json()} if choice else {}
        return {**self.judge.run_json(), **chosen, **self.judge.exemplars_json()}

    def _load(self, image: object, name: str | None) -> tuple[LoadedImage, str]:
        if isinstance(image, str | Path):
            path = Path(image)
            settings = self.settings
            return read_image(path, settings.max_pixels, settings.reading.bounds), name or path.name
        if isinstance(image, np.ndarray):
            return from_array(image, name or "array"), name or "array"
        from PIL import Image as PillowImage

        if isinstance(image, PillowImage.Image):
            found = from_pil(image, name or "image", self.settings.reading.bounds)
            return found, name or "image"
        raise TypeError(f"detect takes a path, a PIL image or an array, not {type(image).__name__}")

    def _of(self, image: LoadedImage, name: str) -> Remembered:
        return self.regions.of(ImageId(name, image.orientation))

    def _info(self, image: LoadedImage, name: str) -> ImageInfo:
        self._told.add(name, image.values, image.pages)
        return image_info(image, name)

    def _promise(self, feature_map: FeatureMap) -> npt.NDArray[np.float32]:
        return promise(cell_vectors(feature_map), self.bank, self.judge.rule.scoring)


def require_drawable(bank: Bank, output: Output | None) -> None:
    """Raise UsageError where a picture of what is not normal is wanted and nothing says what is."""
    if output is not None and output.wants_anomaly and bank.normality is None:
        raise UsageError(
            "--save anomaly: nothing says what is normal.",
            "Pass --normal DIR with good parts, or --normal-self.",
        )


def for_defects(given: Read, settings: Settings) -> tuple[Settings, str]:
    """The settings as they suit defects, and what decided about tiles; as they are, and "", where
    nothing says what is normal. Raises UsageError where a bank's good parts were looked at
    otherwise."""
    saved = given.saved.normality if given.saved else None
    if saved is not None:
        options, tile_by = suited.with_saved(settings.proposals, saved.info), saved.info.tile_by
    elif given.normals or settings.normality.by_image:
        options, tile_by = suited.proposals_for(settings.proposals, given.smallest)
    else:
        return settings, ""
    if saved is not None:
        suited.require_learned_so(settings.normality, saved.info, "--bank")
    scoring = suited.scoring_for(settings.scoring, given.has_exemplars)
    return replace(settings, proposals=options, scoring=scoring), tile_by


def _says_what_is_normal(given: Read | Gathered, settings: Settings) -> bool:
    """Whether there are good parts, or a bank that was made with some."""
    if settings.normality.by_image:
        return True
    if isinstance(given, Gathered):
        return given.bank.normality is not None
    return given.says_normal


def _as_judged(bank: Bank, models: Models, settings: Settings) -> tuple[str, int] | None:
    """What the bank says of the options that follow it where they are not given, which is an INFO; None
    where it says nothing, or what the models would do anyway."""
    judged = bank.judged
    own = (models.proposer.prompting, models.backbone.second_look)
    if judged is None or (judged.prompting, judged.second_look) == own:
        return None
    said = []
    if settings.proposals.prompting == "auto" and judged.prompting != own[0]:
        said.append(f"--prompting {judged.prompting}")
    if settings.scoring.second_look is None and judged.second_look != own[1]:
        said.append(f"--second-look {judged.second_look}")
    if said:
        log.info("As the bank was judged when it was made: %s.", " ".join(said))
    return judged.prompting, judged.second_look


def _look(by: Remembered, image: LoadedImage, regions: Regions) -> Look:
    return lambda rows: by.crops(image.pixels, image.content, regions.proposals, rows)


def image_info(image: LoadedImage, name: str) -> ImageInfo:
    """What the record of an image says of its file."""
    seen = (image.frames, image.orientation, image.stored_size)
    source = SourceInfo(*seen, image.decoder, image.values)
    return ImageInfo(name, image.sha256, image.width, image.height, source)


def guide_of(bank: Bank, scoring: ScoringOptions) -> str:
    """What guided prompting depends on beyond the image and the models."""
    rows = [bank.positives.vectors, bank.negatives.vectors]
    digests = [hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest() for vectors in rows]
    return f"{digests[0]} {digests[1]} {scoring.negative_weight}"
