"""ResNet-101 (He et al. 2016) of torchvision: the last map before average pooling."""

from __future__ import annotations

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


def run(network: Network, batch: Tensor) -> tuple[Tensor, ...]:
    """Output of layer4 (N, C, h, w)."""
    x = batch
    for name, module in network.named_children():
        if name in ("avgpool", "fc"):
            break
        x = module(x)
    return (x,)


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


SPEC = BackboneSpec(
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
    run=run,
    finish=no_finish,
    short_side=768,
    arch={"layers": [3, 4, 23, 3]},
)
