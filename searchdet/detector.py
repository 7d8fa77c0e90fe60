"""``Detector``: the only module that knows all parts. Exemplars and weights in, records out."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import backbones, proposals
from .acting import CHOOSING, acting, warn
from .backbones import Backbone, FeatureMap
from .bank import Bank, Enrolment, Examples, Gathered, gather, read
from .config import (
    MAX_PIXELS,
    BackboneOptions,
    EmbeddingOptions,
    ExemplarOptions,
    ProposalOptions,
    ScoringOptions,
    Settings,
    SuppressionOptions,
)
from .decision import RuleDefaults, make_judge
from .embeddings import cell_vectors
from .errors import UsageError
from .images import LoadedImage, from_array, from_pil, read_image
from .proposals import Proposer
from .records import BackboneInfo, ImageInfo, ImageRecord, ModelInfo, ProposerInfo, RunInfo, SourceInfo
from .regions import Describer, Remembered
from .regions.describe import READS as TILES
from .scoring import promise
from .storage import kinds
from .storage.cache import Store
from .storage.values import JsonObject
from .weights import LoadedBefore

if TYPE_CHECKING:
    from PIL import Image

    from .output import Heat

log = logging.getLogger(__name__)


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Settings from flat names, as on the command line. Raises UsageError for an unknown name."""
    given = dict(values)

    def take(kind: type[Any], **renamed: str) -> Any:
        names = [name for name in kind.__dataclass_fields__ if name not in renamed]
        chosen = {name: given.pop(name) for name in names if name in given}
        for name, theirs in renamed.items():
            if theirs in given:
                chosen[name] = given[theirs]
        return kind(**chosen)

    for name in ("backbone_ckpt", "sam_checkpoint"):
        given[name] = None if given.get(name) is None else str(given[name])
    allow = {"allow_unverified": "allow_unverified"}
    settings = Settings(
        backbone=take(BackboneOptions, name="backbone", checkpoint="backbone_ckpt", **allow),
        proposals=take(ProposalOptions, name="proposals", checkpoint="sam_checkpoint", **allow),
        embedding=take(EmbeddingOptions),
        scoring=take(ScoringOptions),
        suppression=take(SuppressionOptions),
        exemplars=take(ExemplarOptions),
        max_pixels=given.pop("max_pixels", MAX_PIXELS),
        cache=None if given.get("cache") is None else Path(given["cache"]),
    )
    known = {"cache", "backbone", "backbone_ckpt", "proposals", "sam_checkpoint", "allow_unverified"}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise UsageError(f"unknown option {unknown[0]!r}.")
    return settings


class Detector:
    """Finds the classes of a bank in images. Make it with ``build`` or ``from_folders``."""

    def __init__(
        self,
        backbone: Backbone,
        proposer: Proposer,
        gathered: Gathered,
        settings: Settings,
        proposals_fallback: bool = False,
    ) -> None:
        settings, ignored = effective(settings, proposer)
        self.settings = settings
        defaults = RuleDefaults(backbone.shape_weight, backbone.context_weight, backbone.min_score)
        models = model_info(backbone, proposer, settings, proposals_fallback)
        judge = make_judge(gathered, settings.scoring, settings.suppression, defaults, models)
        self.judge = replace(judge, ignored=ignored)
        guided = settings.proposals.prompting == "guided"
        promise = self._promise if guided else None
        describer = Describer(backbone, proposer, settings.proposals, settings.embedding, promise)
        guide = guide_of(self.bank, self.judge.rule.scoring) if guided else ""
        self.regions = Remembered(describer, Store(settings.cache, kinds.REGIONS), guide)

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
        given = read(examples, settings.max_pixels, settings.exemplars.skip_bad_exemplars)
        chosen, fallback = choose_proposals(settings.proposals)
        backbones.check(settings.backbone)
        before = LoadedBefore(settings.cache, eager=not defer)
        backbone = backbones.load(settings.backbone, before)
        enrolment = Enrolment(backbone, settings.embedding, settings.exemplars, settings.cache)
        gathered = gather(given, enrolment)
        device, precision = settings.backbone.device, settings.backbone.precision
        proposer = proposals.load(chosen, device, precision, before)
        return cls(backbone, proposer, gathered, settings, fallback)

    @classmethod
    def from_folders(
        cls,
        positive: str | Path | None = None,
        negative: str | Path | None = None,
        *,
        bank: str | Path | None = None,
        backbone: str = BackboneOptions().name,
        backbone_checkpoint: str | Path | None = None,
        proposals: str = "auto",
        sam_checkpoint: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        **options: Any,
    ) -> Detector:
        """Detector from example folders, or from a saved bank.

        options: ``cache``, a folder that remembers descriptions and regions by content (default: none),
        and fields of the options in config.py by their names (``feat_short_side``, ``points_per_side``,
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
        paths = (None if path is None else Path(path) for path in (positive, negative, bank))
        given = dict(zip(("positive", "negative", "bank"), paths, strict=True))
        return cls.build(Examples(**given), settings)

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
        regions = self.regions.regions(image.pixels, image.sha256)
        return self.judge.record(image_info(image, name), regions)

    def run_info(self) -> RunInfo:
        """What every record of this detector says about models, settings and exemplars."""
        return self.judge.run_info()

    def detect_with_heat(self, image: LoadedImage, name: str) -> tuple[ImageRecord, Heat]:
        """``detect_loaded``, and ``heat`` from the same feature map where one was computed for it."""
        maps: list[FeatureMap] = []
        regions = self.regions.regions(image.pixels, image.sha256, maps.append)
        record = self.judge.record(image_info(image, name), regions)
        return record, self.heat(image.pixels, *maps)

    def heat(self, image: npt.NDArray[np.uint8], feature_map: FeatureMap | None = None) -> Heat:
        """For each class (h, w): cosine of each cell of the image's feature map to its prototype.
        feature_map: that of the image, if it is known."""
        if feature_map is None:
            feature_map = self.regions.describer.backbone.feature_map(image)
        cells = cell_vectors(feature_map)
        cosines = np.asarray(cells @ self.bank.prototypes().T, np.float32)
        return {label: cosines[..., c] for c, label in enumerate(self.bank.classes)}

    def run_json(self) -> JsonObject:
        """What ``run.json`` says of settings and exemplars, as JSON values."""
        rows = {"positive": self.bank.positives, "negative": self.bank.negatives}
        names = {side: list(found.names) for side, found in rows.items()}
        return {
            **self.judge.run_json(),
            "exemplars": {"classes": list(self.bank.classes), **names},
        }

    def _load(self, image: object, name: str | None) -> tuple[LoadedImage, str]:
        if isinstance(image, str | Path):
            path = Path(image)
            return read_image(path, self.settings.max_pixels), name or path.name
        if isinstance(image, np.ndarray):
            return from_array(image, name or "array"), name or "array"
        from PIL import Image as PillowImage

        if isinstance(image, PillowImage.Image):
            return from_pil(image, name or "image"), name or "image"
        raise TypeError(f"detect takes a path, a PIL image or an array, not {type(image).__name__}")

    def _promise(self, feature_map: FeatureMap) -> npt.NDArray[np.float32]:
        return promise(cell_vectors(feature_map), self.bank, self.judge.rule.scoring)


def effective(settings: Settings, proposer: Proposer) -> tuple[Settings, tuple[str, ...]]:
    """The settings without what cannot act, which is said in a WARNING, and the flags of that."""
    reads = proposer.reads | TILES | CHOOSING
    found, unread = acting(settings.proposals, reads, proposer.name)
    embedding, unpooled = acting(settings.embedding)
    scoring, unscored = acting(settings.scoring)
    suppression, unsuppressed = acting(settings.suppression)
    ignored = warn([*unread, *unpooled, *unscored, *unsuppressed])
    kept = replace(
        settings, proposals=found, embedding=embedding, scoring=scoring, suppression=suppression
    )
    return kept, ignored


def choose_proposals(options: ProposalOptions) -> tuple[ProposalOptions, bool]:
    """``proposals.choose``, and whether ``regions`` stands in for SAM, which is said in a WARNING."""
    chosen = proposals.choose(options)
    fallback = options.name == "auto" and proposals.weights_of(chosen.name) is None
    if fallback:
        log.warning(
            "No SAM checkpoint was given or found: proposals come from `regions`, the embedded "
            "segmentation. Pass --sam-checkpoint FILE for SAM masks."
        )
    return chosen, fallback


def image_info(image: LoadedImage, name: str) -> ImageInfo:
    """What the record of an image says of its file."""
    source = SourceInfo(image.frames, image.orientation, image.stored_size)
    return ImageInfo(name, image.sha256, image.width, image.height, source)


def model_info(backbone: Backbone, proposer: Proposer, settings: Settings, fallback: bool) -> ModelInfo:
    """What a record says of the models. fallback: the proposer stands in for SAM."""
    precision = proposer.compute.precision if proposer.compute else None
    return ModelInfo(
        BackboneInfo(
            backbone.name, backbone.preprocessing, backbone.compute.precision, backbone.weights
        ),
        ProposerInfo(proposer.name, fallback, precision, proposer.weights, settings.proposals),
        settings.embedding,
    )


def guide_of(bank: Bank, scoring: ScoringOptions) -> str:
    """What guided prompting depends on beyond the image and the models."""
    rows = [bank.positives.vectors, bank.negatives.vectors]
    digests = [hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest() for vectors in rows]
    return f"{digests[0]} {digests[1]} {scoring.negative_weight}"
