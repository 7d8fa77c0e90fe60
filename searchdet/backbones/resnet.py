"""ResNet-101 (He et al. 2016) of torchvision: the last map before pooling, or an earlier one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..weights import Layout, Published, StateDict, rename
from .types import BackboneSpec, Network, no_finish, published_head

if TYPE_CHECKING:
    from torch import Tensor


def build(spec: BackboneSpec, state: StateDict) -> Network:
    """torchvision's ResNet without its classifier. arch: layers (blocks a stage) and width."""
    import torch
    from torchvision.models.resnet import Bottleneck, ResNet

    network = ResNet(Bottleneck, **spec.arch)
    network.fc = torch.nn.Identity()
    return network


def run_to(layer: str) -> Callable[[Network, Tensor], tuple[Tensor, ...]]:
    """What gives the output (N, C, h, w) of a layer."""

    def run(network: Network, batch: Tensor) -> tuple[Tensor, ...]:
        x = batch
        for name, module in network.named_children():
            x = module(x)
            if name == layer:
                break
        return (x,)

    return run


def _published(prefix: str) -> Published:
    name = f"resnet101-{prefix}.pth"
    return Published(
        name,
        prefix=prefix,
        confirmed=True,
        model="resnet101",
        licence="BSD-3-Clause",
        source="https://docs.pytorch.org/vision",
        url=f"https://download.pytorch.org/models/{name}",
    )


_LAST = BackboneSpec(
    name="resnet101",
    dim=2048,
    stride=32,
    published=(_published("63fe2227"), _published("cd907fc2")),
    layouts=(
        Layout(
            "torchvision",
            lambda names: "layer4.0.conv1.weight" in names,
            lambda state: rename(state, (), unused=published_head(state, "fc")),
        ),
    ),
    build=build,
    run=run_to("layer4"),
    finish=no_finish,
    short_side=768,
    arch={"layers": [3, 4, 23, 3]},
)


def _earlier(layer: str, dim: int, stride: int) -> BackboneSpec:
    """The map of an earlier layer, finer and less sure of classes. The file is loaded whole all the
    same, so that it is checked whole."""
    return replace(_LAST, name=f"resnet101_{layer}", dim=dim, stride=stride, run=run_to(layer))


SPECS = (_LAST, _earlier("layer3", 1024, 16), _earlier("layer2", 512, 8))
