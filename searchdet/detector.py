"""``Detector``: the only module that knows all parts. Exemplars and weights in, records out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import backbones, exemplars, proposals
from .backbones import Backbone, FeatureMap
from .bank import Bank, build_bank
from .checkpoints import WeightsInfo
from .config import (
    MAX_PIXELS,
    BackboneOptions,
    EmbeddingOptions,
    ProposalOptions,
    ScoringOptions,
)
from .describe import Describer, Regions
from .embeddings import cell_vectors, spread
from .errors import UsageError
from .images import LoadedImage, from_array, from_pil, read_image
from .proposals import Proposer, rle
from .records import Candidate, Evidence, ImageRecord
from .scoring import Scores, decide, promise, score_regions
from .suppression import nms, rank, total_order

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
        bank: Bank,
        settings: Settings,
        proposals_fallback: bool = False,
    ) -> None:
        self.backbone = backbone
        self.proposer = proposer
        self.bank = bank
        scoring = settings.scoring
        if scoring.min_score is None:
            scoring = replace(scoring, min_score=backbone.min_score)
        self.settings = replace(settings, scoring=scoring)
        self._proposals_fallback = proposals_fallback

    @classmethod
    def build(
        cls, positive: Path, negative: Path | None = None, settings: Settings | None = None
    ) -> Detector:
        """Read exemplars, find weights, then load models: what can be refused early is refused early.

        Raises ExemplarError, CheckpointError or UsageError.
        """
        settings = settings or Settings()
        found = exemplars.find_positives(positive)
        found += exemplars.find_negatives(negative) if negative is not None else []
        read = exemplars.load(found, settings.max_pixels)
        chosen = proposals.choose(settings.proposals)
        backbones.check(settings.backbone)
        fallback = settings.proposals.name == "auto" and chosen.name == "regions"
        if fallback:
            log.warning(
                "No SAM checkpoint was given or found: proposals come from `regions`, the embedded "
                "segmentation. Pass --sam-checkpoint FILE for SAM masks."
            )
        backbone = backbones.load(settings.backbone)
        bank = build_bank(backbone, read, settings.embedding)
        device, precision = settings.backbone.device, settings.backbone.precision
        proposer = proposals.load(chosen, device, precision)
        return cls(backbone, proposer, bank, settings, fallback)

    @classmethod
    def from_folders(
        cls,
        positive: str | Path,
        negative: str | Path | None = None,
        *,
        backbone: str = BackboneOptions().name,
        backbone_checkpoint: str | Path | None = None,
        proposals: str = "auto",
        sam_checkpoint: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        **options: Any,
    ) -> Detector:
        """Detector from example folders.

        options: fields of BackboneOptions, ProposalOptions, EmbeddingOptions and ScoringOptions by
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
        return cls.build(Path(positive), None if negative is None else Path(negative), settings)

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
        found, embedded = regions.proposals, regions.embedded
        options = self.settings.scoring
        scores = score_regions(embedded.vectors, embedded.valid, self.bank, options)
        reasons = decide(scores, options)
        value = np.where(scores.valid, scores.score, -np.inf)
        order = total_order(value, scores.label, found.boxes)
        ranked = total_order(rank(value, found.quality), scores.label, found.boxes)
        passed = np.asarray([i for i in ranked if reasons[i] == "accepted"], np.int64)
        by = nms(found.rles, scores.label, passed, options.nms_iou, options.max_covered)
        candidates = tuple(
            _candidate(int(i), regions, scores, self.bank, reasons[i], int(by[i])) for i in order
        )
        accepted = any(item.accepted for item in candidates)
        return ImageRecord(
            image=name,
            status="ok" if accepted else "empty",
            width=image.width,
            height=image.height,
            sha256=image.sha256,
            candidates=tuple(sorted(candidates, key=lambda item: not item.accepted)),
            classes=self.bank.classes,
            facts=self._facts(image, regions),
        )

    def describe(self) -> dict[str, Any]:
        """What every record of this detector says about models and settings."""
        settings = self.settings
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
            "exemplars": {
                "positive": len(self.bank.positive_names),
                "negative": len(self.bank.negative_names),
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
        figures = spread(regions.embedded)
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


def _candidate(
    i: int,
    regions: Regions,
    scores: Scores,
    bank: Bank,
    reason: str,
    by: int,
) -> Candidate:
    found = regions.proposals
    label = int(scores.label[i])
    near, far = int(scores.nearest_positive[i]), int(scores.nearest_negative[i])
    return Candidate(
        id=i,
        label=bank.classes[label] if label >= 0 else None,
        reason="suppressed" if by >= 0 else reason,
        bbox=_box(found.boxes[i]),
        area=rle.area(found.rles[i]),
        quality=float(found.quality[i]),
        score=_optional(scores.score[i]),
        pos=_optional(scores.pos[i]),
        neg=_optional(scores.neg[i]),
        margin=_optional(scores.margin[i]),
        class_gap=_optional(scores.gap[i]),
        nearest_positive=_evidence(bank.positive_names, near, scores.nearest_positive_cosine[i]),
        nearest_negative=_evidence(bank.negative_names, far, scores.neg[i]),
        suppressed_by=by if by >= 0 else None,
        segmentation=found.rles[i],
        flags=("subcell",) if regions.embedded.subcell[i] else (),
    )


def _evidence(names: Sequence[str], row: int, cosine: float) -> Evidence | None:
    return Evidence(names[row], float(cosine)) if row >= 0 else None


def _box(box: npt.NDArray[np.float32]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0, y0, x1, y1


def _optional(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _weights(weights: WeightsInfo | None) -> dict[str, Any]:
    if weights is None:
        return {"weights": None, "weights_verified": None}
    return {
        "weights": {"file": weights.file, "sha256": weights.sha256, "layout": weights.layout},
        "weights_verified": weights.verified,
    }


def _plain(values: dict[str, Any], without: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in without}
