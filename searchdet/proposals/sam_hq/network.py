"""SAM-HQ's networks as one that answers points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from ...weights import Compute
from ..mobile_sam.encoder import TinyEncoder
from ..mobile_sam.modules import TinyViT
from ..points.chosen import Masks, logits_of
from ..points.network import UInt8Array
from ..sam.encoder import ImageEncoder
from ..sam.network import Pictures
from .decoder import HqDecoded, HqDecoder, HqImageSide

if TYPE_CHECKING:
    from segment_anything.modeling import Sam


class HqEncoder(Protocol):
    """What a SAM-HQ sees a picture with. Another encoder than the ViT is another of these."""

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3, S, S) float32, normalised and padded -> the embedding (1, C, h, w) and the early
        features (1, E, h, w), both float32."""
        ...


class VitEncoder:
    """SAM's ViT; early is what its first block with global attention gives."""

    def __init__(self, encoder: Any, compute: Compute) -> None:
        self._encoder = ImageEncoder(encoder, compute)

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return self._encoder.with_early(image)


class TinyHqEncoder:
    """MobileSAM's TinyViT; early is what its second layer gives."""

    def __init__(self, encoder: TinyViT, compute: Compute) -> None:
        self._encoder = TinyEncoder(encoder, compute)

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        found = self._encoder.features(image)
        if found.early is None:
            raise ValueError("a TinyViT of one layer has no early features")
        return found.embedding, found.early.permute(0, 3, 1, 2)


def encoder_of(module: Any, compute: Compute) -> HqEncoder:
    """What computes with the image encoder of a SAM-HQ."""
    if isinstance(module, TinyViT):
        return TinyHqEncoder(module, compute)
    return VitEncoder(module, compute)


class HqNetwork(Pictures):
    """One SAM-HQ on its device. sam: all of it but its encoder's work, which ``encoder`` does."""

    def __init__(self, sam: Sam, encoder: HqEncoder, compute: Compute) -> None:
        super().__init__(sam, compute)
        self._encoder = encoder
        self._decoder = HqDecoder(sam)

    def encode(self, image: UInt8Array) -> HqImageSide:
        return self._decoder.image_side(*self._encoder(self.prepared(image)))

    def decode(self, state: HqImageSide, points: Tensor) -> HqDecoded:
        return self._decoder.decode(state, points)

    def logits(self, state: HqImageSide, answer: HqDecoded, masks: Masks) -> Tensor:
        return logits_of(self._decoder, state, answer, masks)
