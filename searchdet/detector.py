"""``Detector``: the only module that knows all parts. Exemplars and weights in, records out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import backbones, proposals
from .backbones import Backbone, FeatureMap
from .calibration import thresholds
from .checkpoints import WeightsInfo
from .config import (
    MAX_PIXELS,
    BackboneOptions,
    EmbeddingOptions,
    ExemplarOptions,
    ProposalOptions,
    ScoringOptions,
    SuppressionOptions,
)
from .deciding import Rule, candidates
from .describe import Describer, Regions
from .embeddings import cell_vectors, spread
from .errors import UsageError
from .examples import Examples, Gathered, gather, read
from .images import LoadedImage, from_array, from_pil, read_image
from .limits import require_classes
from .proposals import Proposer
from .records import ImageRecord
from .scoring import promise

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """All options of a detector, by part."""

    backbone: BackboneOptions = BackboneOptions()
    proposals: ProposalOptions = ProposalOptions()
    embedding: EmbeddingOptions = EmbeddingOptions()
    scoring: ScoringOptions = ScoringOptions()
    suppression: SuppressionOptions = SuppressionOptions()
    exemplars: ExemplarOptions = ExemplarOptions()
    max_pixels: int = MAX_PIXELS


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
    )
    known = {"backbone", "backbone_ckpt", "proposals", "sam_checkpoint", "allow_unverified"}
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
        self.backbone = backbone
        self.proposer = proposer
        self.gathered = gathered
        self.bank = gathered.bank
        scoring = resolved(settings.scoring, backbone)
        require_classes((*scoring.class_min_score, *scoring.class_min_margin), self.bank.classes)
        self.settings = replace(settings, scoring=scoring)
        least = thresholds(self.bank, scoring, backbone.min_score)
        self.rule = Rule(scoring, settings.suppression, least)
        self._proposals_fallback = proposals_fallback
        for item in least:
            if item.separates is False:
                log.warning(
                    "%s: these folders do not separate: an example of it outscores what is not it in "
                    "%.0f %% of the pairs. See `searchdet bank audit`.",
                    item.label,
                    100 * (item.ranking or 0),
                )

    @classmethod
    def build(cls, examples: Examples, settings: Settings | None = None) -> Detector:
        """Read exemplars, find weights, then load models: what can be refused early is refused early.

        Raises ExemplarError, CheckpointError or UsageError.
        """
        settings = settings or Settings()
        items = read(examples, settings.max_pixels)
        chosen = proposals.choose(settings.proposals)
        backbones.check(settings.backbone)
        fallback = settings.proposals.name == "auto" and chosen.name == "regions"
        if fallback:
            log.warning(
                "No SAM checkpoint was given or found: proposals come from `regions`, the embedded "
                "segmentation. Pass --sam-checkpoint FILE for SAM masks."
            )
        backbone = backbones.load(settings.backbone)
        gathered = gather(examples, items, backbone, settings.embedding, settings.exemplars)
        device, precision = settings.backbone.device, settings.backbone.precision
        proposer = proposals.load(chosen, device, precision)
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

        options: fields of the options in config.py by
        their names (``feat_short_side``, ``points_per_side``, ``pooling``, ``min_score``, ...).
        Raises UsageError for an unknown one.
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
        regions = self._regions(image)
        made = candidates(regions, self.bank, self.rule)
        return ImageRecord(
            image=name,
            status="ok" if any(item.accepted for item in made) else "empty",
            width=image.width,
            height=image.height,
            sha256=image.sha256,
            candidates=made,
            classes=self.bank.classes,
            facts=self._facts(image, regions),
        )

    def describe(self) -> dict[str, Any]:
        """What every record of this detector says about models and settings."""
        settings, bank = self.settings, self.bank
        return {
            "backbone": {
                "name": self.backbone.name,
                "preprocessing": self.backbone.preprocessing,
                "precision": self.backbone.compute.precision,
                **_weights(self.backbone.weights),
            },
            "proposals": {
                "name": self.proposer.name,
                "fallback": self._proposals_fallback,
                **_weights(self.proposer.weights),
                **_plain(asdict(settings.proposals), ("name", "checkpoint", "allow_unverified")),
            },
            "embedding": asdict(settings.embedding),
            "scoring": asdict(settings.scoring),
            "suppression": asdict(settings.suppression),
            "thresholds": {item.label: item.to_json() for item in self.rule.thresholds},
            "exemplars": {
                "positive": len(bank.positives),
                "negative": len(bank.negatives),
                "ignored_negatives": list(self.gathered.ignored),
                "auto_masks": [o.name for o in bank.positives.origins if o.mask_source == "auto"],
                "shapes_known": bank.knows_shapes,
            },
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

    def _regions(self, image: LoadedImage) -> Regions:
        chosen = self.settings.proposals
        promise = self._promise if chosen.prompting == "guided" else None
        described = Describer(self.backbone, self.proposer, chosen, self.settings.embedding, promise)
        return described.regions(image.pixels)

    def _promise(self, feature_map: FeatureMap) -> npt.NDArray[np.float32]:
        return promise(cell_vectors(feature_map), self.bank, self.settings.scoring)

    def _facts(self, image: LoadedImage, regions: Regions) -> dict[str, Any]:
        facts = self.describe()
        found = regions.proposals
        figures = spread(regions.described.embedded)
        facts["source"] = {
            "frames": image.frames,
            "orientation": image.orientation,
            "stored_size": list(image.stored_size),
        }
        facts["proposals"] |= {"count": len(found), "removed": dict(found.removed), **found.facts}
        facts["embedding_spread"] = (
            None
            if figures is None
            else {"cosine_p05": round(figures.low, 6), "cosine_median": round(figures.median, 6)}
        )
        facts["embedding_collapse"] = figures is not None and figures.collapse
        return facts


def resolved(scoring: ScoringOptions, backbone: Backbone) -> ScoringOptions:
    """The options with the backbone's own weights where the user gave none."""
    names = ("shape_weight", "context_weight")
    own = {name: getattr(backbone, name) for name in names if getattr(scoring, name) is None}
    return replace(scoring, **own)


def _weights(weights: WeightsInfo | None) -> dict[str, Any]:
    if weights is None:
        return {"weights": None, "weights_verified": None}
    return {
        "weights": {"file": weights.file, "sha256": weights.sha256, "layout": weights.layout},
        "weights_verified": weights.verified,
    }


def _plain(values: dict[str, Any], without: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in without}
