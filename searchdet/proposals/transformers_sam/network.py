"""A network of transformers as one that answers points.

Pixels are resized as the processors of transformers do: bilinear with antialiasing on bytes, both sides
to the network's, whatever the form of the image. (SAM 2's own code resizes the same way, but before it
rounds to bytes: up to half a grey level of 255.) Masks go back to the image in one bilinear step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...config.pixels import Stats
from ...weights import Compute
from .. import frame as frames
from ..frame import Frame
from ..points.chosen import Masks, logits_of
from ..points.network import CPU_BATCH, GPU_BATCH, PointArray, UInt8Array
from ..sam.decoder import Decoded
from .decoder import FineDecoder, FineSide


def side_of(model: Any) -> int:
    """Pixels a side of what a network sees."""
    return int(model.prompt_encoder.input_image_size)


def normalised(pixels: Tensor, stats: Stats) -> Tensor:
    """(N, 3, H, W) of 0..255, less the mean and by the deviation."""
    # in the order of transformers' processors, which scale the two and not the pixels
    mean, deviation = (255 * pixels.new_tensor(part)[:, None, None] for part in stats)
    return (pixels - mean) / deviation


class SquashedNetwork:
    """One network on its device. Its masks have a quarter of its input's side."""

    def __init__(self, model: Any, stats: Stats, compute: Compute) -> None:
        self._model = model
        self._stats = stats
        self._compute = compute
        self._side = side_of(model)
        self._decoder = FineDecoder(model)
        self._cells = 4 * int(model.prompt_encoder.image_embedding_size[0])
        self.batch = CPU_BATCH if torch.device(compute.device).type == "cpu" else GPU_BATCH

    def frame(self, size: tuple[int, int]) -> Frame:
        return frames.make_stretch((self._cells, self._cells), size)

    @torch.inference_mode()
    def encode(self, image: UInt8Array) -> FineSide:
        from torchvision.transforms.v2 import functional

        whole = torch.from_numpy(image).permute(2, 0, 1)
        squashed = functional.resize(whole, [self._side, self._side], antialias=True)
        pixels = squashed[None].to(self._compute.device).float()
        with self._compute.autocast():
            features = self._model.get_image_embeddings(normalised(pixels, self._stats))
        return self._decoder.image_side(features)

    def points(self, coords: PointArray, size: tuple[int, int]) -> Tensor:
        height, width = size
        moved = coords * [[self._side / width, self._side / height]]
        return torch.from_numpy(moved.astype(np.float32)).to(self._compute.device)

    def decode(self, state: FineSide, points: Tensor) -> Decoded:
        return self._decoder.decode(state, points)

    def logits(self, state: FineSide, answer: Decoded, masks: Masks) -> Tensor:
        return logits_of(self._decoder, state, answer, masks)
