"""Options of the models: how images are described, what is proposed, how features are pooled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from . import pixels
from .option import (
    Check,
    Need,
    above_zero,
    at_least,
    between,
    check_options,
    one_of,
    option,
    usual,
)

MODELS, PROPOSALS = "Models", "Proposals"
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
PROMPTINGS = ("auto", "everything", "guided")
POOLINGS = ("mean", "topk")
DEFAULT_BACKBONE = "embedded"
_TILES = Check("it must be 0 (off) or at least 64 pixels.", lambda value: value == 0 or value >= 64)


def _allow_unverified() -> bool:
    return option(
        False,
        "Accept an official name with another content.",
        MODELS,
        flags=("--allow-unverified-weights",),
    )


@dataclass(frozen=True, slots=True)
class BackboneOptions:
    """How a backbone is loaded and fed. ``feat_short_side`` None means the backbone's own default."""

    name: str = option(DEFAULT_BACKBONE, "See `searchdet models list`.", MODELS, key="backbone")
    checkpoint: Path | None = option(
        None,
        "Weight file of the backbone.",
        MODELS,
        flags=("--backbone-ckpt", "--dinov3-ckpt"),
        key="backbone_ckpt",
    )
    device: str = option("auto", "auto, cpu or cuda.", MODELS)
    precision: str = option("auto", "auto, fp32, bf16 or fp16.", MODELS, check=one_of(*PRECISIONS))
    feat_short_side: int | None = option(
        None, "Short side the backbone sees, pixels.", MODELS, check=between(32, 4096)
    )
    position_rank: int = option(
        0,
        "Directions of position that are taken off a network's features.",
        MODELS,
        flags=("--remove-position",),
        check=between(0, 1024),
    )
    pixel_stats: str = option(
        pixels.AUTO,
        "Mean and deviation of pixels, where the weight file does not tell them: auto, imagenet, "
        "sat493m, half or six numbers.",
        MODELS,
        check=Check(pixels.WORDS, pixels.is_stated),
    )
    drop_head: bool = option(False, "Take a fine-tuned network without the head on top of it.", MODELS)
    allow_unverified: bool = _allow_unverified()

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True)
class ProposalOptions:
    """Proposer settings. Areas are percent of the image (or tile), widths and tiles pixels of the
    image; ``smooth`` is a radius in cells of the proposer's own resolution. ``tile`` 0: no tiles."""

    name: str = option("auto", "{proposals}", PROPOSALS, key="proposals")
    checkpoint: Path | None = option(None, "Weight file of SAM.", MODELS, key="sam_checkpoint")
    masks_from: Path | None = option(
        None,
        "Masks of any other tool, for `masks`: a COCO file or a folder.",
        PROPOSALS,
        fetched=True,
    )
    masks_dataset: Path | None = option(
        None,
        "COCO file with the images of --masks-from, where that is a list of results.",
        PROPOSALS,
        needs=Need("--masks-from", lambda given: given.masks_from is not None),
    )
    points_per_side: int = option(32, "SAM's grid of points.", PROPOSALS, check=between(1, 256))
    pred_iou_thresh: float = option(0.88, "SAM's least predicted IoU.", PROPOSALS, check=between(0, 1))
    stability_score_thresh: float = option(
        0.95, "SAM's least stability.", PROPOSALS, check=between(0, 1)
    )
    crop_layers: int = option(0, "SAM's layers of image crops.", PROPOSALS, check=between(0, 3))
    crop_points_downscale: int = option(
        1,
        "Layer n of the crops has points a side divided by this to the power of n.",
        PROPOSALS,
        check=between(1, 16),
        needs=Need("--crop-layers", lambda given: given.crop_layers > 0),
    )
    sam_long_side: int | None = option(
        None,
        "Long side that SAM's proposals are made at, pixels: a larger picture is scaled down first.",
        PROPOSALS,
        check=between(64, 8192),
    )
    prompting: str = option(
        "auto",
        "everything; guided: what looks like the examples too, or first; auto: guided for `regions`.",
        PROPOSALS,
        check=one_of(*PROMPTINGS),
    )
    guided_share: float = option(
        0.27,
        "Share of SAM's points that guided asks.",
        PROPOSALS,
        check=above_zero(1),
        needs=Need("--prompting guided", lambda given: given.prompting == "guided"),
    )
    tile: int = option(0, "Side of tiles for large images, pixels; 0: none.", PROPOSALS, check=_TILES)
    tile_overlap: float = option(
        0.2,
        "Share that tiles overlap.",
        PROPOSALS,
        check=between(0, 0.75),
        needs=Need("--tile", lambda given: given.tile > 0),
    )
    min_area: float = option(
        0.02, "Smallest mask, percent of the image.", PROPOSALS, check=between(0, 100, "percent")
    )
    max_area: float = option(
        80.0, "Largest mask, percent of the image.", PROPOSALS, check=between(0, 100, "percent")
    )
    drop_border: bool = option(False, "Drop masks that touch the frame.", PROPOSALS)
    border_width: int = option(
        2,
        "Width of that frame, pixels.",
        PROPOSALS,
        check=at_least(1, "pixel"),
        needs=Need("--drop-border", lambda given: given.drop_border),
    )
    drop_rectangles: float | None = option(
        None,
        "Drop masks this near (IoU) to a rectangle, at any angle, with holes or without.",
        PROPOSALS,
        check=between(0.5, 1),
    )
    max_containment: float = option(
        1.0, "Drop masks more inside a better one; 1: none.", PROPOSALS, check=above_zero(1)
    )
    smooth: int = option(0, "Open and close masks, radius in cells.", PROPOSALS, check=between(0, 8))
    scored_masks: int = option(
        usual(2500),
        "Proposals an image or tile that are described and scored; 600 with `spots` beside good parts.",
        PROPOSALS,
        check=at_least(1),
    )
    allow_unverified: bool = _allow_unverified()

    def __post_init__(self) -> None:
        check_options(self)
        if not self.min_area < self.max_area:
            raise UsageError("--min-area must be smaller than --max-area.")
        last = points_of_layer(self.points_per_side, self.crop_points_downscale, self.crop_layers)
        if last < 1:
            raise UsageError(
                f"--crop-points-downscale {self.crop_points_downscale} leaves no point in layer "
                f"{self.crop_layers} of the crops, of {self.points_per_side} points a side.",
                "Pass a smaller one, fewer --crop-layers or more --points-per-side.",
            )


def points_of_layer(per_side: int, downscale: int, layer: int) -> int:
    """Points a side in a layer of the crops; the whole image is layer 0."""
    return int(per_side // downscale**layer)


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """Pooling of features under a mask."""

    pooling: str = option("mean", "mean, or topk: most typical cells.", MODELS, check=one_of(*POOLINGS))
    topk_share: float = option(
        0.5,
        "Share of the cells that --pooling topk takes.",
        MODELS,
        check=above_zero(1),
        needs=Need("--pooling topk", lambda given: given.pooling == "topk"),
    )

    def __post_init__(self) -> None:
        check_options(self)
