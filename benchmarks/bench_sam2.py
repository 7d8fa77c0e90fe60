"""SAM 2.1 tiny of the real size, random weights: all masks of a picture against transformers' pipeline.

    python benchmarks/bench_sam2.py everything memory      # 1800x1200, 4000x3000
    python benchmarks/bench_sam2.py tiny-everything        # a small network, to try the script

``everything``: 32x32 points, both in turn, seconds of the faster call of each and their ratio; asked
for is 3. ``memory``: what each needs at its worst above what was there before, at 12 megapixels. Both
keep masks by the same thresholds, chosen so that about a third of the masks passes the first of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import alternate, peak_above, run_parts, scene
from PIL import Image

from searchdet.config import ProposalOptions
from searchdet.proposals import load_proposer
from searchdet.proposals.types import Proposer

SHARE = 1 / 3
"""Of the masks that the threshold of predicted IoU lets through."""
Both = tuple[Callable[[np.ndarray], Any], Callable[[np.ndarray], Any]]


def real_sized() -> Any:
    """SAM 2.1 tiny of transformers, changed so that points give different masks."""
    import pointed
    from transformers import Sam2Config, Sam2Model

    torch.manual_seed(0)
    model = Sam2Model(Sam2Config()).eval()
    pointed.liven(model)
    return model


def small() -> Any:
    """The network of the tests."""
    import pointed

    return pointed.network("sam2")


def threshold(model: Any, image: np.ndarray, side: int) -> float:
    """The predicted IoU that ``SHARE`` of the masks of a few points has."""
    from transformers import Sam2ImageProcessor, Sam2Processor

    use = Sam2Processor(Sam2ImageProcessor(size={"height": side, "width": side}))
    height, width = image.shape[:2]
    points = [[[width * x / 5, height * y / 5]] for x in range(1, 5) for y in range(1, 5)]
    inputs = use(images=Image.fromarray(image), input_points=[points], return_tensors="pt")
    inputs = inputs.to(model.device)
    with torch.inference_mode():
        rated = model(
            pixel_values=inputs["pixel_values"], input_points=inputs["input_points"]
        ).iou_scores
    return float(rated.quantile(1 - SHARE))


def both(model: Any, image: np.ndarray, per_side: int, device: str = "cpu") -> Both:
    """Ours, loaded from a folder that transformers saved, and transformers' pipeline."""
    from transformers import Sam2ImageProcessor, pipeline

    side = int(model.prompt_encoder.input_image_size)
    least = threshold(model, image, side)
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        options: dict[str, Any] = {"pred_iou_thresh": least, "points_per_side": per_side}
        ours: Proposer = load_proposer("sam2", Path(scratch), device, "fp32", **options)
        ours.propose(scene(64, 64))  # the weights are mapped: read them while they are there
    use = Sam2ImageProcessor(size={"height": side, "width": side})
    generator = pipeline("mask-generation", model=model, image_processor=use, device=device)
    stable = ProposalOptions().stability_score_thresh

    def theirs(picture: np.ndarray) -> Any:
        return generator(
            Image.fromarray(picture),
            points_per_batch=64,
            points_per_crop=per_side,
            pred_iou_thresh=least,
            stability_score_thresh=stable,
        )

    return ours.propose, theirs


def compare(model: Any, size: tuple[int, int], per_side: int, rounds: int) -> None:
    """Print seconds of both and their ratio."""
    image = scene(*size)
    ours, theirs = both(model, image, per_side)
    spent = alternate({"searchdet": lambda: ours(image), "transformers": lambda: theirs(image)}, rounds)
    ratio = spent["transformers"] / spent["searchdet"]
    for name, seconds in spent.items():
        print(f"  {name}: {seconds:.2f} s")
    print(f"  {size[1]}x{size[0]}, {per_side}x{per_side} points: {ratio:.1f} times faster")


def needs(model: Any, size: tuple[int, int], per_side: int) -> None:
    """Print the memory of both at their worst."""
    image = scene(*size)
    ours, theirs = both(model, image, per_side)
    ours(image[:64, :64])
    for name, call in (("searchdet", ours), ("transformers", theirs)):
        print(f"  {name}: {peak_above(partial(call, image)):.2f} GB above")
    print(f"  {size[1]}x{size[0]}, {per_side}x{per_side} points")


def main() -> None:
    """Run the parts that are named."""
    torch.set_grad_enabled(False)
    run_parts(
        __doc__,
        {
            "everything": lambda: compare(real_sized(), (1200, 1800), 32, 2),
            "memory": lambda: needs(real_sized(), (3000, 4000), 32),
            "tiny-everything": lambda: compare(small(), (150, 200), 8, 1),
            "tiny-memory": lambda: needs(small(), (300, 400), 8),
        },
    )


if __name__ == "__main__":
    main()
