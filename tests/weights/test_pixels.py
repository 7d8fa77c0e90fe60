"""Mean and deviation of pixels belong to the weights: where they are known from, and that they act."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import references as ref
import torch
from torch import Tensor

from searchdet.backbones import SPECS, load_backbone
from searchdet.backbones.network import NetworkBackbone, load_network
from searchdet.config import BackboneOptions
from searchdet.config.pixels import HALF, IMAGENET, SAT493M, as_text, stated
from searchdet.embeddings import embed_masks
from searchdet.errors import CheckpointError, UsageError
from searchdet.records import Preprocessing
from searchdet.storage.values import Fields
from searchdet.weights import Compute, LoadedBefore
from searchdet.weights.pixels import data_named

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
LARGE, BASE = "dinov3_vitl16", "dinov3_vitb16"
OFFICIAL = "dinov3_vitl16_pretrain_sat493m-eadcf0ff.pth"
HUB = "models--facebook--dinov3-vitl16-pretrain-sat493m/snapshots/0a1b/model.safetensors"
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def states() -> dict[str, State]:
    state = ref.saved(ref.vit_reference())
    return {"transformers": state, "Meta": ref.vit_meta(state), "timm": ref.vit_timm(state)}


def satellite(state: State) -> State:
    """Meta's file of satellite weights."""
    return state | {f"local_cls_norm.{part}": torch.ones(64) for part in ("weight", "bias")}


def load(path: Path, state: State, name: str = LARGE, **options: object) -> NetworkBackbone:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({k: v.clone() for k, v in state.items()}, path)
    else:
        torch.save(state, path)
    return load_network(ref.small_spec(name), path, FP32, 96, BackboneOptions(name, **options))


def stats(network: NetworkBackbone) -> tuple[object, str]:
    found = network.preprocessing.pixel_stats
    assert found is not None
    return (found.mean, found.std), found.source


def settings(folder: Path, values: object, name: str = "preprocessor_config.json") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(values))


def of(mean: object, std: object) -> dict[str, object]:
    return {"image_mean": mean, "image_std": std, "do_normalize": True, "rescale_factor": 1 / 255}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (OFFICIAL, SAT493M),
        ("dinov3_vitl16_pretrain_lvd1689m-8aa4cbdd.pth", IMAGENET),
        ("dinov3-vitl16-pretrain-sat493m.safetensors", SAT493M),
        ("vit_large_patch16_dinov3.sat493m.safetensors", SAT493M),
        ("mine_SAT493M_v2.pth", SAT493M),
        (HUB, SAT493M),
        (HUB.replace("sat493m", "lvd1689m"), IMAGENET),
        ("dinov3-vitl16-pretrain-sat493m/model.safetensors", SAT493M),
    ],
)
def test_a_name_tells(
    tmp_path: Path,
    states: dict[str, State],
    name: str,
    wanted: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    got = load(tmp_path / name, states["transformers"])
    assert stats(got) == (wanted, "file name")
    assert not [r for r in caplog.records if "pixel" in r.message]


def test_a_folder_of_the_users_own_tells_nothing(tmp_path: Path) -> None:
    assert data_named(tmp_path / "sat493m/w.pth") == ""
    assert data_named(tmp_path / "sat493m/model.safetensors") == ""
    assert data_named(tmp_path / "sat493m_against_lvd1689m.pth") == ""
    assert data_named(tmp_path / "sat493max.pth") == ""


@pytest.mark.parametrize("prefix", ["", "module.", "teacher.backbone."])
def test_content_tells_also_when_the_network_waits(
    tmp_path: Path, states: dict[str, State], prefix: str
) -> None:
    path, before = tmp_path / "w.pth", LoadedBefore(tmp_path / "cache")
    torch.save({prefix + k: v for k, v in satellite(states["Meta"]).items()}, path)
    for loaded in (True, False):
        got = load_network(ref.small_spec(LARGE), path, FP32, 96, None, before)
        assert got.lazy.loaded == loaded
        assert stats(got) == (SAT493M, "content")


def test_the_7b_has_that_norm_with_either_training(
    tmp_path: Path, states: dict[str, State], caplog: pytest.LogCaptureFixture
) -> None:
    gated = ref.vit_meta(ref.saved(ref.vit_reference(True)))
    gated = {k: v for k, v in gated.items() if not k.endswith(("qkv.bias", "qkv.bias_mask"))}
    with caplog.at_level(logging.WARNING):
        got = load(tmp_path / "w.pth", satellite(gated), "dinov3_vit7b16")
    assert stats(got) == (IMAGENET, "assumed")
    assert "LVD1689M or SAT493M" in caplog.text
    named = tmp_path / "dinov3_vit7b16_pretrain_sat493m-a6675841.pth"
    assert stats(load(named, satellite(gated), "dinov3_vit7b16")) == (SAT493M, "file name")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (of(*SAT493M), SAT493M),
        (of([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]), ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))),
        (of(0.5, 0.5), HALF),
        ({"do_normalize": False}, ((0.0,) * 3, (1.0,) * 3)),
    ],
)
def test_settings_beside_the_file_tell(
    tmp_path: Path, states: dict[str, State], values: object, wanted: object
) -> None:
    settings(tmp_path, values)
    for name in (LARGE, BASE):
        got = load(tmp_path / "model.safetensors", states["transformers"], name)
        assert stats(got) == (wanted, "preprocessor_config.json")


def test_timms_settings_tell(tmp_path: Path, states: dict[str, State]) -> None:
    mean, std = SAT493M
    settings(tmp_path, {"pretrained_cfg": {"mean": mean, "std": std}}, "config.json")
    assert stats(load(tmp_path / "model.safetensors", states["timm"])) == (SAT493M, "config.json")
    settings(tmp_path, {"hidden_size": 64}, "config.json")
    assert stats(load(tmp_path / "model.safetensors", states["timm"]))[1] == "assumed"


def test_what_does_not_agree_is_refused_unless_it_is_stated(
    tmp_path: Path, states: dict[str, State]
) -> None:
    settings(tmp_path, of(*IMAGENET))
    for path, state in (
        (tmp_path / OFFICIAL, states["Meta"]),
        (tmp_path / "w.pth", satellite(states["Meta"])),
    ):
        with pytest.raises(CheckpointError, match=r"preprocessor_config\.json of") as caught:
            load(path, state)
        assert "--pixel-stats" in caught.value.hint
        assert stats(load(path, state, pixel_stats="sat493m")) == (SAT493M, "given")
    settings(tmp_path, of(*SAT493M))
    assert stats(load(tmp_path / OFFICIAL, satellite(states["Meta"]))) == (SAT493M, "file name")


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", json.dumps(of([1, 2], [3, 4])), json.dumps(of([0.5] * 3, [0.0] * 3))),
        *('{"rescale_factor": 0.0078}', '{"do_rescale": false}', json.dumps(of("a", "b"))),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(
    tmp_path: Path, states: dict[str, State], text: str
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json") as caught:
        load(tmp_path / "model.safetensors", states["timm"])
    assert "--pixel-stats" in caught.value.hint
    load(tmp_path / "model.safetensors", states["timm"], pixel_stats="imagenet")


def test_where_nothing_tells_a_warning_does(
    tmp_path: Path, states: dict[str, State], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        got = load(tmp_path / "model.safetensors", states["transformers"])
    assert stats(got) == (IMAGENET, "assumed")
    assert "model.safetensors: nothing tells" in caplog.text
    assert "--pixel-stats imagenet or sat493m" in caplog.text
    caplog.clear()
    assert stats(load(tmp_path / "w.pth", states["timm"], BASE)) == (IMAGENET, "backbone")
    assert not caplog.records


def test_the_pixels_are_normalised_by_them(tmp_path: Path, states: dict[str, State]) -> None:
    image = np.full((96, 96, 3), 51, np.uint8)
    for name, (mean, std) in (("sat493m", SAT493M), ("0,0,0,1,1,1", ((0.0,) * 3, (1.0,) * 3))):
        got = load(tmp_path / "w.pth", states["Meta"], pixel_stats=name).prepare(image)
        wanted = (0.2 - torch.tensor(mean)) / torch.tensor(std)
        assert torch.allclose(got[0, :, 5, 5], wanted, atol=1e-6)


def test_satellite_weights_give_transformers_descriptors(tmp_path: Path, photo: np.ndarray) -> None:
    network = ref.vit_reference()
    state = satellite(ref.vit_meta(ref.saved(network)))
    got = load(tmp_path / OFFICIAL, state)
    pixels = torch.from_numpy(got.resized(photo)).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(part)[:, None, None] for part in SAT493M)
    with torch.inference_mode():
        wanted = network(((pixels - mean) / std)[None]).last_hidden_state[0, 5:].mean(0).numpy()
    whole = np.ones((1, *photo.shape[:2]), bool)
    vector = embed_masks(got, photo, whole).vectors[0]
    assert vector @ wanted / np.linalg.norm(wanted) >= 0.9999


@pytest.mark.parametrize(
    "text", ["", "lvd", "1,2,3", "0.5,0.5,0.5,0.5,0.5,x", "0,0,0,0,0,0", "nan,0,0,1,1,1"]
)
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--pixel-stats"):
        BackboneOptions(pixel_stats=text)


def test_values_as_text_and_back() -> None:
    clip = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    for values in (IMAGENET, SAT493M, HALF, clip):
        assert stated(as_text(values)) == values
    assert stated("auto") is None


def test_what_is_no_network_takes_none() -> None:
    for options in ({"pixel_stats": "sat493m"}, {"drop_head": True}):
        with pytest.raises(UsageError, match="needs a network"):
            load_backbone("filterbank", **options)
    with pytest.raises(UsageError, match="load_backbone"):
        load_backbone("filterbank", pixel_stat="sat493m")


def test_two_trainings_in_the_models_folder_are_not_chosen_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from searchdet.backbones import check

    monkeypatch.setenv("SEARCHDET_MODELS", str(tmp_path))
    lvd, hub, sat = (item.filename for item in SPECS[LARGE].published)
    (tmp_path / lvd).write_bytes(b"x")
    (tmp_path / hub).write_bytes(b"x")
    assert check(BackboneOptions(LARGE)) == tmp_path / lvd
    (tmp_path / sat).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="are both here"):
        check(BackboneOptions(LARGE))
    assert check(BackboneOptions(LARGE, tmp_path / sat)) == tmp_path / sat
    (tmp_path / lvd).unlink()
    (tmp_path / hub).unlink()
    assert check(BackboneOptions(LARGE)) == tmp_path / sat


def test_they_stand_in_the_record_and_make_the_space(tmp_path: Path, states: dict[str, State]) -> None:
    from searchdet.config import EmbeddingOptions, Settings
    from searchdet.regions import settings_in, space_of

    load(tmp_path / OFFICIAL, states["Meta"])
    shutil.copy(tmp_path / OFFICIAL, tmp_path / "w.pth")
    spec, made = ref.small_spec(LARGE), []
    for name, words in ((OFFICIAL, "auto"), ("w.pth", "sat493m"), ("w.pth", "imagenet")):
        options = BackboneOptions(LARGE, pixel_stats=words)
        network = load_network(spec, tmp_path / name, FP32, 96, options)
        made.append(space_of(network, EmbeddingOptions()))
    assert made[0].differences(made[1]) == []
    assert made[0] == made[1], "where they are known from makes no other space"
    [difference] = made[0].differences(made[2])
    assert difference.startswith("pixel_stats is 0.43,")
    assert stated(settings_in(made[0], Settings()).backbone.pixel_stats) == SAT493M
    seen = load(tmp_path / OFFICIAL, states["Meta"]).preprocessing
    assert Preprocessing.from_json(Fields(json.loads(json.dumps(asdict(seen))))) == seen
