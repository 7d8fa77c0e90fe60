"""A proposer of one's own: one class, and one entry in ``PROPOSERS``.

python examples/own_proposer.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from pictures import make

from searchdet import Detector
from searchdet.config import ProposalOptions
from searchdet.proposals import PROPOSERS, Proposals, ProposerSpec
from searchdet.proposals.filters import READS, finish
from searchdet.proposals.types import FloatArray, Plan, UInt8Array, from_masks
from searchdet.records import WeightsInfo
from searchdet.weights import Compute


class Coloured:
    """Every connected part of an image that has a colour is a mask; more colour is better."""

    name = "coloured"
    reads = READS  # the options that `finish` looks at
    prompting = "everything"  # it takes no promise
    weights: WeightsInfo | None = None
    compute: Compute | None = None

    def __init__(self, options: ProposalOptions) -> None:
        self._options = options

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        colour = np.ptp(image.astype(np.float32), axis=2) / 255
        count, labels = cv2.connectedComponents((colour > 0.3).astype(np.uint8))
        masks = [np.asarray(labels == part) for part in range(1, count)]
        quality = [float(colour[mask].mean()) for mask in masks]
        return finish(from_masks(masks, quality, image.shape[:2]), self._options)


PLAN = Plan(lambda options, *more: Coloured(options))


def main(folder: Path) -> None:
    PROPOSERS["coloured"] = ProposerSpec("coloured", __name__, "what has a colour")
    photo = make(folder)
    detector = Detector.from_folders(folder / "positive", folder / "negative", proposals="coloured")
    record = detector.detect(photo)
    for item in record.candidates:
        print(f"candidate {item.id}: {item.reason}, score {item.score:.3f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
