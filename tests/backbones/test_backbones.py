"""Loaded weights must give the numbers of independent implementations, or be refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import references as ref
import torch
from places import Figure
from safetensors.torch import save_file
from torch import Tensor, nn

from searchdet import backbones
from searchdet.backbones import NAMES, SPECS, load_backbone
from searchdet.backbones.network import NetworkBackbone, load_network, working_size
from searchdet.backbones.vit import official_positions
from searchdet.config import BackboneOptions
from searchdet.embeddings import embed_masks
from searchdet.errors import CheckpointError, UsageError
from searchdet.weights.devices import Compute

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
State = dict[str, Tensor]


def save(path: Path, state: State) -> Path:
    state = {k: v.contiguous().clone() for k, v in state.items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def load(path: Path, name: str, side: int = 64) -> NetworkBackbone:
    return load_network(ref.small_spec(name), path, FP32, side)


def relative_error(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


def convnext_states() -> tuple[nn.Module, dict[str, State]]:
    network = ref.convnext_reference()
    state = ref.saved(network)
    return network, {
        "transformers": state,
        "Meta": ref.convnext_meta(state),
        "timm": ref.convnext_timm(state),
        "transformers 5": {k: v.clone() for k, v in network.state_dict().items()},
    }


def vit_states(gated: bool) -> tuple[nn.Module, dict[str, State]]:
    network = ref.vit_reference(gated)
    state = ref.saved(network)
    return network, {
        "transformers": state,
        "Meta": ref.vit_meta(state),
        "timm": ref.vit_timm(state),
    }


@pytest.mark.parametrize("layout", ["transformers", "Meta", "timm", "transformers 5"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_convnext_equals_transformers_in_every_layout(
    tmp_path: Path, photo: np.ndarray, layout: str, suffix: str, figure: Figure
) -> None:
    network, states = convnext_states()
    backbone = load(save(tmp_path / f"w{suffix}", states[layout]), "dinov3_convnext_tiny")
    assert backbone.weights is not None
    assert backbone.weights.layout == layout.split()[0]
    with torch.inference_mode():
        wanted = network(backbone.prepare(photo))
    got = backbone.feature_map(photo)
    pooled = got.finish(got.features.mean((1, 2))[None])
    name = "relative error to transformers, ConvNeXt"
    assert figure(name, relative_error(pooled, wanted.pooler_output)) <= 1e-4
    cells = got.finish(got.features.flatten(1).T.contiguous())
    assert figure(name, relative_error(cells, wanted.last_hidden_state[0, 1:])) <= 1e-4


@pytest.mark.parametrize("name", ["dinov3_vits16", "dinov3_vith16plus"])
@pytest.mark.parametrize("layout", ["transformers", "Meta", "timm"])
def test_dinov3_vit_equals_transformers_in_every_layout(
    tmp_path: Path, photo: np.ndarray, name: str, layout: str, figure: Figure
) -> None:
    network, states = vit_states("plus" in name)
    backbone = load(save(tmp_path / "w.safetensors", states[layout]), name, 96)
    with torch.inference_mode():
        wanted = network(backbone.prepare(photo)).last_hidden_state[0, 5:]
    got = backbone.feature_map(photo).features
    assert got.shape == (64, 6, 8)
    error = relative_error(got.flatten(1).T, wanted)
    assert figure("relative error to transformers, DINOv3 ViT", error) <= 1e-4


def test_the_files_own_rounded_periods_are_used(tmp_path: Path, photo: np.ndarray) -> None:
    network, states = vit_states(False)
    rounded = states["Meta"]["rope_embed.periods"].bfloat16().float()
    states["Meta"]["rope_embed.periods"] = rounded
    backbone = load(save(tmp_path / "w.pth", states["Meta"]), "dinov3_vits16", 96)
    network.rope_embeddings.inv_freq.copy_(1 / rounded)
    with torch.inference_mode():
        wanted = network(backbone.prepare(photo)).last_hidden_state[0, 5:]
    got = backbone.feature_map(photo).features.flatten(1).T
    assert relative_error(got, wanted) <= 1e-4
    states["Meta"]["rope_embed.periods"] = rounded * 2
    with pytest.raises(CheckpointError, match="periods"):
        load(save(tmp_path / "x.pth", states["Meta"]), "dinov3_vits16", 96)


def test_a_key_bias_that_is_not_masked_is_refused(tmp_path: Path) -> None:
    _, states = vit_states(False)
    unmasked = {k: v for k, v in states["Meta"].items() if not k.endswith("bias_mask")}
    with pytest.raises(CheckpointError, match="key bias"):
        load(save(tmp_path / "w.pth", unmasked), "dinov3_vits16")


def test_a_timm_file_without_biases_loads_as_such(tmp_path: Path, photo: np.ndarray) -> None:
    _, states = vit_states(False)
    plain = {k: v for k, v in states["timm"].items() if not k.endswith(("q_bias", "v_bias"))}
    zeros = {
        k: torch.zeros_like(v) if k.endswith(("q_bias", "v_bias")) else v
        for k, v in states["timm"].items()
    }
    one = load(save(tmp_path / "a.pth", plain), "dinov3_vits16").feature_map(photo).features
    two = load(save(tmp_path / "b.pth", zeros), "dinov3_vits16").feature_map(photo).features
    assert relative_error(one, two) <= 1e-5


@pytest.mark.parametrize("name", ["dinov2_s", "dinov2_g"])
def test_dinov2_equals_transformers_on_its_own_grid(tmp_path: Path, name: str, figure: Figure) -> None:
    network = ref.dinov2_reference(name == "dinov2_g")
    state = ref.dinov2_meta({k: v.clone() for k, v in network.state_dict().items()})
    timm_state = {
        k.replace("mlp.w12", "mlp.fc1").replace("mlp.w3", "mlp.fc2"): v
        for k, v in state.items()
        if k != "mask_token"
    }
    image = np.random.default_rng(0).integers(0, 255, (70, 70, 3), np.uint8)
    for layout, tensors in (("Meta", state), ("timm", timm_state)):
        backbone = load(save(tmp_path / "w.pth", tensors), name, 70)
        assert backbone.weights is not None
        assert backbone.weights.layout == layout
        with torch.inference_mode():
            wanted = network(backbone.prepare(image)).last_hidden_state[0, 1:]
        got = backbone.feature_map(image).features
        error = relative_error(got.flatten(1).T, wanted)
        assert figure("relative error to transformers, DINOv2", error) <= 1e-4


def test_dinov2_positions_are_interpolated_as_in_the_paper_s_code() -> None:
    positions = torch.randn(1, 1 + 25, 3)
    assert official_positions(positions, 5, 5) is positions
    got = official_positions(positions, 7, 9)
    assert got.shape == (1, 1 + 63, 3)
    assert (got[:, :1] == positions[:, :1]).all()
    grid = positions[0, 1:].reshape(5, 5, 3).double().numpy()

    def weights(t: float) -> np.ndarray:
        """Keys' cubic kernel, a = -0.75, for offsets -1..2."""
        x = np.abs(np.array([t + 1, t, 1 - t, 2 - t]))
        near = (1.25 * x - 2.25) * x * x + 1
        far = ((-0.75 * x + 3.75) * x - 6) * x + 3
        return np.where(x <= 1, near, far)

    row, column = 4, 2
    y, x = ((i + 0.5) * 5 / (n + 0.1) - 0.5 for i, n in ((row, 7), (column, 9)))
    ys, xs = (np.clip(np.floor(v) + np.arange(-1, 3), 0, 4).astype(int) for v in (y, x))
    wanted = np.einsum("a,b,abc->c", weights(y % 1), weights(x % 1), grid[np.ix_(ys, xs)])
    assert np.abs(got[0, 1 + row * 9 + column].numpy() - wanted).max() < 1e-4


def test_resnet_equals_torchvision(tmp_path: Path, photo: np.ndarray, figure: Figure) -> None:
    from torchvision.models.resnet import Bottleneck, ResNet

    network = ref.shake(ResNet(Bottleneck, [1, 1, 1, 1]))
    backbone = load(save(tmp_path / "w.pth", network.state_dict()), "resnet101", 96)
    with torch.inference_mode():
        network.fc = nn.Identity()
        wanted = network(backbone.prepare(photo))
    got = backbone.feature_map(photo).features.mean((1, 2))[None]
    error = relative_error(got, wanted)
    assert figure("relative error to torchvision, ResNet", error) <= 1e-4


@pytest.mark.parametrize(("layer", "stride"), [("layer2", 8), ("layer3", 16)])
def test_an_earlier_layer_of_resnet_is_that_of_torchvision(
    tmp_path: Path, photo: np.ndarray, layer: str, stride: int
) -> None:
    from torchvision.models.feature_extraction import create_feature_extractor
    from torchvision.models.resnet import Bottleneck, ResNet

    network = ref.shake(ResNet(Bottleneck, [1, 1, 1, 1]))
    path = save(tmp_path / "w.pth", network.state_dict())
    backbone = load(path, f"resnet101_{layer}", 96)
    batch = backbone.prepare(photo)
    with torch.inference_mode():
        wanted = create_feature_extractor(network, [layer])(batch)[layer][0]
    got = backbone.feature_map(photo).features
    assert got.shape == wanted.shape
    assert got.shape[0] == backbone.dim
    assert batch.shape[-1] == stride * got.shape[2]
    assert relative_error(got, wanted) <= 1e-4


def test_timm_s_own_forward_in_the_timm_layout(tmp_path: Path, photo: np.ndarray) -> None:
    import timm

    spec = ref.small_spec("dinov3_convnext_tiny")
    network = ref.shake(timm.create_model(num_classes=0, **spec.arch))
    backbone = load(save(tmp_path / "w.pth", network.state_dict()), spec.name, 128)
    with torch.inference_mode():
        wanted = network(backbone.prepare(photo))[0]
    whole = embed_masks(backbone, photo, np.ones((1, 96, 128), bool)).vectors[0]
    assert float(whole @ (wanted / wanted.norm()).numpy()) >= 0.99999


@pytest.fixture(scope="module")
def official_base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """A random file with the official ConvNeXt-B names and shapes, written from the paper's sizes."""
    depths, dims = (3, 3, 27, 3), (128, 256, 512, 1024)
    shapes: dict[str, tuple[int, ...]] = {
        "downsample_layers.0.0.weight": (128, 3, 4, 4),
        "downsample_layers.0.0.bias": (128,),
        "downsample_layers.0.1.weight": (128,),
        "downsample_layers.0.1.bias": (128,),
    }
    for i in (1, 2, 3):
        shapes[f"downsample_layers.{i}.0.weight"] = shapes[f"downsample_layers.{i}.0.bias"] = (
            dims[i - 1],
        )
        shapes[f"downsample_layers.{i}.1.weight"] = (dims[i], dims[i - 1], 2, 2)
        shapes[f"downsample_layers.{i}.1.bias"] = (dims[i],)
    for i, (depth, dim) in enumerate(zip(depths, dims, strict=True)):
        for j in range(depth):
            block = f"stages.{i}.{j}."
            shapes[f"{block}gamma"] = (dim,)
            shapes[f"{block}dwconv.weight"] = (dim, 1, 7, 7)
            shapes[f"{block}pwconv1.weight"] = (4 * dim, dim)
            shapes[f"{block}pwconv1.bias"] = (4 * dim,)
            shapes[f"{block}pwconv2.weight"] = (dim, 4 * dim)
            for name in ("dwconv.bias", "norm.weight", "norm.bias", "pwconv2.bias"):
                shapes[f"{block}{name}"] = (dim,)
    for name in ("norm.weight", "norm.bias", "norms.3.weight", "norms.3.bias"):
        shapes[name] = (1024,)
    assert len(shapes) == 344
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(shape, generator=generator) * 0.5 * max(1, int(np.prod(shape[1:]))) ** -0.5
        + (1.0 if name.endswith(("norm.weight", ".1.weight")) and len(shape) == 1 else 0.0)
        for name, shape in shapes.items()
    }
    state["norms.3.weight"], state["norms.3.bias"] = state["norm.weight"], state["norm.bias"]
    path = tmp_path_factory.mktemp("base") / "random.pth"
    torch.save(state, path)
    return path, state


@pytest.mark.slow
def test_official_convnext_b_loads_completely(
    official_base: tuple[Path, State], photo: np.ndarray, figure: Figure
) -> None:
    path, state = official_base
    backbone = load_backbone(
        "dinov3_convnext_base", path, device="cpu", precision="fp32", feat_short_side=192
    )
    assert isinstance(backbone, NetworkBackbone)
    loaded = backbone.network.state_dict()
    assert len(loaded) == 342
    used = {t.data_ptr() for t in loaded.values()}
    assert len(used) == 342
    total = sum(float(v.double().abs().sum()) for k, v in state.items() if not k.startswith("norms."))
    assert np.isclose(total, sum(float(v.double().abs().sum()) for v in loaded.values()))
    feature_map = backbone.feature_map(photo)
    assert feature_map.features.shape == (1024, 6, 8)
    masks = np.zeros((2, 96, 128), bool)
    masks[0] = True
    masks[1, 16:48, 32:80] = True
    whole, cells = embed_masks(backbone, photo, masks).vectors
    with torch.inference_mode():
        official = backbone.network(backbone.prepare(photo))[0]
    cosine = float(whole @ (official / official.norm()).numpy())
    figure("official ConvNeXt-B, 1 - cosine, all-ones mask", 1 - cosine)
    assert cosine >= 0.99999
    mean = feature_map.features[:, 1:3, 2:5].double().mean((1, 2))
    wanted = torch.nn.functional.layer_norm(
        mean, (1024,), state["norm.weight"].double(), state["norm.bias"].double(), 1e-6
    )
    cosine = float(cells @ (wanted / wanted.norm()).numpy())
    figure("official ConvNeXt-B, 1 - cosine, whole cells", 1 - cosine)
    assert cosine >= 0.99999
    assert float(whole @ cells) < 0.99999


FAMILIES: dict[str, Callable[[], dict[str, State]]] = {
    "dinov3_convnext_tiny": lambda: convnext_states()[1],
    "dinov3_vits16": lambda: vit_states(False)[1],
    "dinov3_vits16plus": lambda: vit_states(True)[1],
    "dinov2_s": lambda: {"Meta": ref.dinov2_meta(ref.dinov2_reference().state_dict())},
    "resnet101": lambda: {"torchvision": resnet_state()},
}


def resnet_state() -> State:
    from torchvision.models.resnet import Bottleneck, ResNet

    return dict(ref.shake(ResNet(Bottleneck, [1, 1, 1, 1])).state_dict())


def remove(state: State, name: str) -> None:
    del state[name]


def add(state: State, name: str) -> None:
    state[name.rsplit(".", 1)[0] + ".extra"] = torch.zeros(3)


def reshape(state: State, name: str) -> None:
    state[name] = torch.cat([state[name], state[name]])


def poison(state: State, name: str) -> None:
    state[name] = state[name].clone()
    state[name].view(-1)[0] = float("nan")


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("damage", [remove, add, reshape, poison])
def test_any_damage_to_any_layout_is_refused(
    tmp_path: Path, name: str, damage: Callable[[State, str], None]
) -> None:
    for layout, state in FAMILIES[name]().items():
        path = save(tmp_path / "w.pth", state)
        load(path, name)
        victim = next(k for k in state if k.endswith(("norm1.weight", "norm.weight", "bn1.weight")))
        broken = dict(state)
        damage(broken, victim)
        with pytest.raises(CheckpointError) as caught:
            load(save(path, broken), name)
        assert "w.pth" in caught.value.message, layout


def test_the_twin_norm_must_agree(tmp_path: Path) -> None:
    state = convnext_states()[1]["Meta"]
    state["norms.3.bias"] = state["norms.3.bias"] + 1
    with pytest.raises(CheckpointError, match=r"norms\.3"):
        load(save(tmp_path / "w.pth", state), "dinov3_convnext_tiny")


@pytest.mark.parametrize(
    ("shape_of", "wanted"),
    [
        ("dinov3_vits16", "ViT-S/16; use --backbone dinov3_vits16"),
        ("dinov3_vits16plus", "ViT-S+/16; use --backbone dinov3_vits16plus"),
        ("dinov3_vitb16", "dinov3_vitb16"),
        ("dinov3_vitl16", "dinov3_vitl16"),
        ("dinov3_vith16plus", "ViT-H+/16; use --backbone dinov3_vith16plus"),
        ("dinov2_b", "DINOv2 ViT-B/14; use --backbone dinov2_b"),
        ("dinov3_convnext_tiny", "ConvNeXt-Tiny; use --backbone dinov3_convnext_tiny"),
        ("dinov3_convnext_large", "dinov3_convnext_large"),
        ("resnet101", "resnet101"),
    ],
)
def test_a_wrong_file_is_recognised(shape_of: str, wanted: str) -> None:
    from searchdet.weights.identify import identify

    spec = SPECS[shape_of]
    with torch.device("meta"):
        names = {k: tuple(v.shape) for k, v in spec.build(spec, {}).state_dict().items()}
    found = identify(names)
    assert found is not None
    what, backbone = found
    assert wanted in f"{what}; use --backbone {backbone}"


def test_a_vit_into_a_convnext_says_what_the_file_is(tmp_path: Path) -> None:
    state = vit_states(False)[1]["Meta"]
    with pytest.raises(CheckpointError) as caught:
        load(save(tmp_path / "w.pth", state), "dinov3_convnext_tiny")
    assert "The file is a DINOv3 ViT" in caught.value.one_line()


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_registered_network_builds_on_meta_with_its_dim_and_a_published_file(name: str) -> None:
    import timm

    spec = SPECS[name]
    with torch.device("meta"):
        network = spec.build(spec, {})
    widths = {t.shape[0] for t in network.state_dict().values() if t.ndim}
    if spec.multiple:  # several maps side by side
        with torch.device("meta"):
            maps = spec.run(network.eval(), torch.zeros(1, 3, 224, 224))
        widths = {sum(layer.shape[1] for layer in maps)}
        assert maps[0].shape[2] * spec.stride == 224
    assert spec.dim in widths
    assert spec.published[0].filename
    assert {item.model for item in spec.published} == {name.partition("_layer")[0]}
    assert all(item.licence and item.source for item in spec.published)
    if "model_name" in spec.arch:
        config = timm.get_pretrained_cfg(spec.arch["model_name"])
        assert tuple(config.mean) == spec.mean
        assert tuple(config.std) == spec.std


def test_building_spends_no_time_on_random_values(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPECS["dinov3_vith16plus"]
    with torch.device("meta"):
        network = spec.build(spec, {})
    assert all(p.is_meta for p in network.parameters())


def test_working_sizes_keep_the_aspect() -> None:
    assert working_size(600, 800, 768, 32) == (768, 1024)
    assert working_size(800, 600, 768, 32) == (1024, 768)
    assert working_size(100, 1000, 512, 16) == (208, 2048)
    assert working_size(5, 5, 64, 32) == (64, 64)


def test_unknown_names_and_missing_files_say_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="filterbank"):
        load_backbone("dinov3_vitx")
    with pytest.raises(CheckpointError) as caught:
        load_backbone("dinov3_convnext_base")
    assert "dinov3_convnext_base_pretrain_lvd1689m-801f2ba9.pth" in caught.value.hint
    with pytest.raises(CheckpointError, match="no such"):
        load_backbone("dinov3_convnext_base", tmp_path / "absent.pth")
    with pytest.raises(UsageError, match="takes no weights"):
        load_backbone("filterbank", tmp_path / "absent.pth")
    assert backbones.check(BackboneOptions("filterbank")) is None


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_precision_bf16_agrees_with_fp32(tmp_path: Path, photo: np.ndarray, name: str) -> None:
    state = next(iter(FAMILIES[name]().values()))
    path = save(tmp_path / "w.pth", state)
    masks = np.zeros((2, 96, 128), bool)
    masks[0, :, :50], masks[1, 40:] = True, True
    spec = ref.small_spec(name)
    full, half = (
        embed_masks(load_network(spec, path, Compute("cpu", p), 96), photo, masks).vectors
        for p in ("fp32", "bf16")
    )
    assert (full * half).sum(1).min() >= 0.999


def test_every_name_is_listed_once() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert NAMES[0] == "filterbank"
