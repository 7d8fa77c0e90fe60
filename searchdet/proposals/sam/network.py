"""segment-anything's networks as one that answers points."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from ...images.resample import bilinear
from ...weights import Compute
from .. import frame as frames
from ..frame import Frame
from ..points.chosen import Masks, logits_of
from ..points.network import CPU_BATCH, GPU_BATCH, PointArray, UInt8Array
from .decoder import Decoded, ImageSide, PointDecoder
from .encoder import ImageEncoder

if TYPE_CHECKING:
    from segment_anything.modeling import Sam


class Pictures:
    """How a network of SAM's kind takes pictures and points: the longer side is resized to its own,
    the rest is padding."""

    def __init__(self, sam: Sam, compute: Compute) -> None:
        self._sam = sam
        self._device = compute.device
        self._side = int(sam.image_encoder.img_size)
        self._resize = ResizeLongestSide(self._side)
        self.batch = CPU_BATCH if torch.device(compute.device).type == "cpu" else GPU_BATCH

    def frame(self, size: tuple[int, int]) -> Frame:
        cells = 4 * int(self._sam.prompt_encoder.image_embedding_size[0])
        scaled = ResizeLongestSide.get_preprocess_shape(*size, self._side)
        return frames.make_frame(cells, self._side, scaled, size)

    def prepared(self, image: UInt8Array) -> Tensor:
        """What the encoder sees of an (H, W, 3) picture: (1, 3, S, S) float32."""
        if torch.device(self._device).type == "cpu":
            scaled = torch.from_numpy(self._resize.apply_image(image))
        else:
            size = ResizeLongestSide.get_preprocess_shape(*image.shape[:2], self._side)
            scaled = bilinear(torch.from_numpy(image).to(self._device), size)
        pixels = scaled.permute(2, 0, 1)[None]
        batch: Tensor = self._sam.preprocess(pixels.contiguous())
        return batch

    def points(self, coords: PointArray, size: tuple[int, int]) -> Tensor:
        moved = np.asarray(self._resize.apply_coords(coords, size))
        return torch.from_numpy(moved).to(self._device)


class SamNetwork(Pictures):
    """One SAM on its device. encoder: what computes its image encoder, (1, 3, S, S) -> (1, C, h, w);
    without one, a ViT's."""

    def __init__(
        self, sam: Sam, compute: Compute, encoder: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__(sam, compute)
        self._encoder = encoder or ImageEncoder(sam.image_encoder, compute)
        self._decoder = PointDecoder(sam)

    def encode(self, image: UInt8Array) -> ImageSide:
        return self._decoder.image_side(self._encoder(self.prepared(image)))

    def decode(self, state: ImageSide, points: Tensor) -> Decoded:
        return self._decoder.decode(state, points)

    def decode_boxes(self, state: ImageSide, boxes: PointArray, size: tuple[int, int]) -> Decoded:
        """One box a prompt: (B, 4) xyxy in pixels of a picture of ``size`` (H, W)."""
        moved = np.asarray(self._resize.apply_boxes(boxes, size), np.float32)
        return self._decoder.decode_boxes(state, torch.from_numpy(moved).to(self._device))

    def logits(self, state: ImageSide, answer: Decoded, masks: Masks) -> Tensor:
        return logits_of(self._decoder, state, answer, masks)
