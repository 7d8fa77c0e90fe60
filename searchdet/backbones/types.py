"""What a backbone is: a spec, an image -> feature map call, and the map itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ..records import Preprocessing, WeightsInfo
from ..weights import Layout, Published, StateDict

if TYPE_CHECKING:
    from torch import Tensor

    from ..weights import Compute

UInt8Array = npt.NDArray[np.uint8]
CLASSES = 1000
"""Of ImageNet, which published classifiers tell apart."""
Network: TypeAlias = Any
"""A torch module of timm or torchvision, whose attributes are not typed."""


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """One spatial feature map of one whole image.

    features (C, h, w) float32 on the CPU; cell (i, j) sees the share [i/h, (i+1)/h) x [j/w, (j+1)/w)
    of the image. coarser: further maps (C', h', w') of the same image, whose sides divide h and w.
    finish maps what is pooled of all of them, side by side (M, sum of C), to descriptors (M, D) before
    L2: the final norm of networks whose global vector is norm(mean of the map), the identity otherwise.
    """

    features: Tensor
    finish: Callable[[Tensor], Tensor]
    coarser: tuple[Tensor, ...] = ()

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w), cells of the finest map."""
        return int(self.features.shape[1]), int(self.features.shape[2])

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """All maps, the finest first."""
        return (self.features, *self.coarser)


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Facts of one backbone, data only.

    build(spec, state) makes the network on the meta device. run(network, batch) returns the maps
    (N, C, h, w), the finest first. finish(network) returns the function of FeatureMap.finish. arch:
    keyword arguments for the builder. published: files of its weights, the authors' own first.
    short_side: default size, pixels.
    multiple: the network's input sides are whole multiples of it (0: of the stride).
    least_side: a smaller image is not enlarged beyond it, so that an exemplar cut out of a photograph
    is seen at the scale of the photograph (0: every image has the short side). crop_side: of the crops
    of a second look, pixels. second_look: how many candidates of an image get one where the user does
    not say. data: the sets of photographs that its published weights were trained on; mean and std:
    what pixels are normalised by where nothing else is known of the weights. marks: tensors that only
    weights of one of these sets have. fp32_on_cpu: --precision auto is fp32 there: depthwise
    convolutions are many times slower in bf16.
    """

    name: str
    dim: int
    stride: int
    published: tuple[Published, ...]
    layouts: tuple[Layout, ...]
    build: Callable[[BackboneSpec, StateDict], Network]
    run: Callable[[Network, Tensor], tuple[Tensor, ...]]
    finish: Callable[[Network], Callable[[Tensor], Tensor]]
    short_side: int
    multiple: int = 0
    least_side: int = 0
    crop_side: int = 224
    second_look: int = 0
    data: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    fp32_on_cpu: bool = False
    arch: Mapping[str, object] = field(default_factory=dict)


class Closer(Protocol):
    """What looks again at single candidates. crop_side: of the square crops that it sees, pixels. dim:
    length of its descriptors, which take the place of the last columns of the backbone's."""

    dim: int
    crop_side: int

    def crop_maps(self, crops: UInt8Array) -> tuple[tuple[Tensor, ...], Callable[[Tensor], Tensor]]:
        """Maps (N, C, h, w) of crops (N, crop_side, crop_side, 3) uint8 RGB, the finest first, and
        ``FeatureMap.finish``."""
        ...


class Backbone(Protocol):
    """Image -> feature map. dim: length of a descriptor. stride: pixels of the resized image a cell.

    parts: widths of the parts of a descriptor, which sum to dim. share: what the last of them weighs in
    a cosine. closer: what looks at candidates again, None where nothing does; second_look: at how many
    of an image where the user does not say.
    """

    name: str
    dim: int
    stride: int
    weights: WeightsInfo | None
    compute: Compute
    preprocessing: Preprocessing
    parts: tuple[int, ...]
    share: float
    second_look: int

    @property
    def closer(self) -> Closer | None:
        """What looks at candidates again, if anything does."""
        ...

    def feature_map(self, image: UInt8Array) -> FeatureMap:
        """Feature map of an (H, W, 3) uint8 RGB image."""
        ...


def identity(vectors: Tensor) -> Tensor:
    """Descriptors are the pooled features themselves."""
    return vectors


def no_finish(network: Network) -> Callable[[Tensor], Tensor]:
    """For networks without a final norm after pooling."""
    return identity


def published_head(state: StateDict, name: str) -> str:
    """The pattern of the tensors of ImageNet's classifier, which is in published files; nothing fits it
    where the classifier is another one, which was trained on top."""
    weight = state.get(f"{name}.weight")
    return rf"{name}\.(weight|bias)" if weight is not None and len(weight) == CLASSES else r"(?!)"
