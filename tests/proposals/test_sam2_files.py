"""Files of SAM 2, EdgeTAM and SAM 3: layouts, settings, what is left out, and what is refused."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pointed
import pytest
import torch
from safetensors.torch import load_file, save_file
from scenes import make_scene

from searchdet.backbones import load_backbone
from searchdet.config import ProposalOptions
from searchdet.errors import CheckpointError
from searchdet.models import judge
from searchdet.proposals import PROPOSERS, choose, load_proposer, weights_of
from searchdet.proposals.transformers_sam import configs
from searchdet.proposals.transformers_sam.kinds import EDGETAM, SAM2, SAM3, trunk_of
from searchdet.proposals.transformers_sam.network import SquashedNetwork
from searchdet.proposals.transformers_sam.weights import load
from searchdet.weights import Compute, convert
from searchdet.weights.identify import identify

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
KINDS = {"sam2": SAM2, "edgetam": EDGETAM, "sam3": SAM3}
REFERENCE = importlib.util.find_spec("sam2") is not None
needs_reference = pytest.mark.skipif(
    not REFERENCE, reason="the Python package sam2 is not installed: SAM2_BUILD_CUDA=0 pip install sam2"
)
YAMLS = {
    "tiny": ("t", 96, (1, 2, 7, 2)),
    "small": ("s", 96, (1, 2, 11, 2)),
    "base_plus": ("b+", 112, (2, 3, 16, 3)),
    "large": ("l", 144, (2, 6, 36, 4)),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of the hub for each kind, with its weight file."""
    made = {}
    for name in KINDS:
        made[name] = tmp_path_factory.mktemp(name)
        pointed.save(pointed.network(name), made[name])
    return made


def weight_file(folder: Path) -> Path:
    return folder / "model.safetensors"


def changed(folder: Path, target: Path, edit: Any) -> Path:
    """A copy of a folder with other tensors: ``edit`` changes them in place."""
    target.mkdir(exist_ok=True)
    state = load_file(weight_file(folder))
    edit(state)
    save_file(state, weight_file(target))
    (target / "config.json").write_text((folder / "config.json").read_text())
    return weight_file(target)


def answers(kind: Any, model: Any, image: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (P, 3, h, w) and predicted IoU (P, 3) of nine points."""
    from searchdet.proposals.prompts import grid

    network = SquashedNetwork(model, kind.pixels, FP32)
    size = (image.shape[0], image.shape[1])
    state = network.encode(image)
    answer = network.decode(state, network.points(grid(3) * [[size[1], size[0]]], size))
    logits = network.logits(state, answer, {i: [0, 1, 2] for i in range(9)})
    return logits.unflatten(0, (9, 3)), answer.quality


def meta_model(version: str, size: str, small: bool = False) -> Any:
    """sam2's own network of a size; small: with the trunk and the side of ``pointed``."""
    import sam2
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    letter = YAMLS[size][0]
    folder = Path(sam2.__file__).parent / "configs" / version
    settings = OmegaConf.load(folder / f"{version}_hiera_{letter}.yaml").model
    if small:
        settings.image_size = pointed.SIDE
        trunk = settings.image_encoder.trunk
        trunk.embed_dim, trunk.stages, trunk.global_att_blocks = 16, [1, 1, 2, 1], [3]
        trunk.window_spec = [8, 4, 4, 2]
        settings.image_encoder.neck.backbone_channel_list = [128, 64, 32, 16]
    return instantiate(settings, _recursive_=True).eval()


def small_meta(folder: Path, version: str = "sam2.1") -> tuple[Any, Path]:
    """A small network of sam2's own code with random weights, and its file as Meta writes them."""
    torch.manual_seed(0)
    model = meta_model(version, "tiny", small=True)
    for name, value in model.named_parameters():
        if "memory" not in name and value.ndim > 1:
            value.data.normal_(0, 1.4 / value[0].numel() ** 0.5)
        elif name.endswith(("no_mem_embed", "bias")) or "token" in name:
            value.data.normal_(0, 0.3)
    path = folder / "own.pt"
    torch.save({"model": model.state_dict()}, path)
    settings = pointed.sam2_config().to_dict()
    settings["vision_config"]["fpn_hidden_size"] = 256
    settings["prompt_encoder_config"]["hidden_size"] = 256
    settings["mask_decoder_config"] = {"hidden_size": 256}
    (folder / "config.json").write_text(json.dumps(settings))
    return model, path


@needs_reference
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")
@pytest.mark.parametrize("version", ["sam2", "sam2.1"])
def test_meta_s_own_file_answers_as_meta_s_own_code(version: str, tmp_path: Path) -> None:
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    reference, path = small_meta(tmp_path, version)
    lazy = load(SAM2, path, FP32)
    assert lazy.weights.layout.startswith("Meta, config.json ")
    assert {"memory_attention", "memory_encoder", "maskmem_tpos_enc"} <= set(lazy.weights.unused)
    image = np.ascontiguousarray(make_scene(5).image[: pointed.SIDE, : pointed.SIDE])
    predictor = SAM2ImagePredictor(reference)
    predictor._bb_feat_sizes = [(32, 32), (16, 16), (8, 8)]
    predictor.set_image(image)
    logits, quality = answers(SAM2, lazy.get(), image)
    from searchdet.proposals.prompts import grid

    for i, point in enumerate(grid(3) * pointed.SIDE):
        masks, rated, low = predictor.predict(
            point[None], np.ones(1), multimask_output=True, return_logits=True
        )
        scale = max(1.0, float(np.abs(low).max()))
        assert np.abs(logits[i].clamp(-32, 32).numpy() - low).max() / scale < 2e-5
        assert np.abs(quality[i].numpy() - rated).max() < 1e-5
        assert masks.shape[1:] == image.shape[:2]


@pytest.mark.parametrize("name", ["sam2", "edgetam"])
def test_names_of_the_authors_give_the_same_network(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    state = pointed.own_names(load_file(weight_file(folders[name])))
    state["memory_attention.norm.weight"] = torch.ones(2)
    path = tmp_path / "own.pt"
    torch.save({"model": state}, path)
    (tmp_path / "config.json").write_text((folders[name] / "config.json").read_text())
    lazy = load(KINDS[name], path, FP32)
    assert lazy.weights.layout.startswith("Meta, ")
    assert lazy.weights.unused == ("memory_attention",)
    hub = load(KINDS[name], weight_file(folders[name]), FP32).get().state_dict()
    mine = lazy.get().state_dict()
    assert all(torch.equal(mine[key], hub[key]) for key in hub if "num_batches" not in key)
    assert choose(ProposalOptions(checkpoint=path)).name == name


@needs_reference
def test_those_names_are_the_authors_own() -> None:
    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "linspace", partial(torch.linspace, device="cpu"))
        theirs = meta_model("sam2.1", "tiny").state_dict()
        mine = SAM2.build({}, configs.Told({"image_size": [1024, 1024]}, {}, {}, {}))
    own = pointed.own_names(mine.state_dict())
    left = {name for name in theirs if name not in own}
    assert set(own) <= set(theirs)
    parts = SAM2.layouts[1].parts(theirs)
    assert {name.split(".")[0] for name in left} == set(parts)


@needs_reference
def test_meta_s_layout_equals_the_hub_s(tmp_path: Path) -> None:
    """The same network, saved by transformers: equal to the last bit."""
    _, path = small_meta(tmp_path)
    model = load(SAM2, path, FP32).get()
    again = load(SAM2, pointed.save(model, tmp_path / "hub"), FP32)
    assert again.weights.unused == ()
    image = make_scene(6).image
    for one, two in zip(answers(SAM2, model, image), answers(SAM2, again.get(), image), strict=True):
        assert torch.equal(one, two)


@needs_reference
@pytest.mark.parametrize("size", YAMLS)
@pytest.mark.parametrize("version", ["sam2", "sam2.1"])
def test_the_four_sizes_are_read_off_the_shapes(
    version: str, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # numbers that are asked for while the network is built cannot be on the meta device
    monkeypatch.setattr(torch, "linspace", partial(torch.linspace, device="cpu"))
    with torch.device("meta"):
        theirs = meta_model(version, size)
        named = convert(Path("x.pt"), theirs.state_dict(), tuple(one.layout for one in SAM2.layouts))
        mine = SAM2.build(named.state, configs.NOTHING)
    want = {key: tuple(value.shape) for key, value in mine.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in named.state.items()} == want
    assert mine.prompt_encoder.input_image_size == theirs.image_size == 1024
    for own, other in zip(
        mine.vision_encoder.backbone.blocks, theirs.image_encoder.trunk.blocks, strict=True
    ):
        assert own.window_size == other.window_size
        assert own.attn.num_attention_heads == other.attn.num_heads
        assert bool(own.query_stride) == bool(other.q_stride)
    assert mine.vision_encoder.neck.fpn_top_down_levels == theirs.image_encoder.neck.fpn_top_down_levels
    heads = theirs.sam_mask_decoder.transformer.layers[0].self_attn.num_heads
    assert mine.mask_decoder.transformer.layers[0].self_attn.num_attention_heads == heads


def test_another_size_needs_its_settings(folders: dict[str, Path], tmp_path: Path) -> None:
    path = changed(folders["sam2"], tmp_path / "alone", lambda state: None)
    (path.parent / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"5 blocks of 16, 32, 64, 128 channels.*published"):
        load(SAM2, path, FP32)
    with pytest.raises(CheckpointError) as error:
        load(SAM2, path, FP32)
    assert "config.json" in error.value.hint
    widths = [96] + [192] * 2 + [384] * 7 + [768] * 2
    block = "vision_encoder.backbone.blocks.{}.attn.proj.weight"
    tiny = {block.format(i): torch.ones(width, 1) for i, width in enumerate(widths)}
    with pytest.raises(CheckpointError, match="pos_embed is missing"):
        trunk_of(tiny)


def test_the_video_part_is_left_out_by_name_and_nothing_else(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    def video(state: dict[str, torch.Tensor]) -> None:
        state["memory_attention.layer_norm.weight"] = torch.ones(4)
        state["memory_encoder.projection.bias"] = torch.ones(4)
        state["no_object_pointer"] = torch.ones(1, 4)

    path = changed(folders["sam2"], tmp_path / "video", video)
    facts = load(SAM2, path, FP32).weights
    assert facts.unused == ("memory_attention", "memory_encoder", "no_object_pointer")
    path = changed(
        folders["sam2"],
        tmp_path / "more",
        lambda state: state.update({"mask_decoder.extra": torch.ones(2)}),
    )
    with pytest.raises(CheckpointError, match=r"1 unexpected \(first: mask_decoder\.extra"):
        load(SAM2, path, FP32)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_lacks_a_tensor_or_has_another_shape_is_refused(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    key = "mask_decoder.conv_s0.weight"

    def find(state: dict[str, torch.Tensor]) -> str:
        return next(one for one in state if one.endswith(key))

    def without(state: dict[str, torch.Tensor]) -> None:
        del state[find(state)]

    def other(state: dict[str, torch.Tensor]) -> None:
        state[find(state)] = torch.ones(3, 3)

    for number, (edit, words) in enumerate(((without, "1 missing"), (other, "1 of another shape"))):
        path = changed(folders[name], tmp_path / str(number), edit)
        with pytest.raises(CheckpointError, match=words) as error:
            load(KINDS[name], path, FP32)
        assert "not as it was published" in error.value.hint


def test_one_name_of_the_positions_is_enough(folders: dict[str, Path], tmp_path: Path) -> None:
    for number, key in enumerate(
        (
            "shared_image_embedding.positional_embedding",
            "prompt_encoder.shared_embedding.positional_embedding",
        )
    ):
        path = changed(folders["sam2"], tmp_path / str(number), lambda state, key=key: state.pop(key))
        state = load(SAM2, path, FP32).get().state_dict()
        assert torch.equal(*(state[one] for one in state if one.endswith("positional_embedding")))


def test_shards_and_a_folder_load(folders: dict[str, Path], tmp_path: Path) -> None:
    pointed.network("sam2").save_pretrained(tmp_path, max_shard_size="200KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    whole = load(SAM2, weight_file(folders["sam2"]), FP32).get().state_dict()
    options = choose(ProposalOptions("sam2", tmp_path))
    parts = load(SAM2, Path(str(options.checkpoint)), FP32).get().state_dict()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert choose(ProposalOptions(checkpoint=tmp_path)).name == "sam2"
    assert choose(ProposalOptions("sam2", folders["sam2"])).checkpoint == weight_file(folders["sam2"])


def hub_sam3(state: dict[str, torch.Tensor]) -> None:
    """The names of the hub's whole SAM 3, with something of its detector and of its memory."""
    for name in list(state):
        plain = name.removeprefix("tracker_model.")
        if plain.startswith(("detector_model.", "tracker_neck.")):
            state[plain] = state.pop(name)
    state["detector_model.text_encoder.text_model.final_layer_norm.weight"] = torch.ones(3)
    state["detector_model.vision_encoder.neck.fpn_layers.0.proj1.bias"] = torch.ones(3)
    state["detector_model.geometry_encoder.norm.weight"] = torch.ones(3)
    state["tracker_model.memory_encoder.projection.bias"] = torch.ones(3)


def test_the_hub_s_whole_sam3_gives_its_tracker(folders: dict[str, Path], tmp_path: Path) -> None:
    path = changed(folders["sam3"], tmp_path / "whole", hub_sam3)
    own = json.loads((folders["sam3"] / "config.json").read_text())
    vision = own.pop("vision_config")
    whole = {
        "model_type": "sam3_video",
        "tracker_config": own | {"model_type": "sam3_tracker_video"},
        "detector_config": {"model_type": "sam3", "vision_config": vision},
    }
    (path.parent / "config.json").write_text(json.dumps(whole))
    lazy = load(SAM3, path, FP32)
    assert lazy.weights.unused == (
        "detector_model.geometry_encoder",
        "detector_model.text_encoder",
        "detector_model.vision_encoder",
        "tracker_model.memory_encoder",
    )
    alone = load(SAM3, weight_file(folders["sam3"]), FP32).get()
    image = make_scene(5).image
    for one, two in zip(answers(SAM3, lazy.get(), image), answers(SAM3, alone, image), strict=True):
        assert (one - two).abs().max() <= 1e-5 * one.abs().max()
    assert choose(ProposalOptions(checkpoint=path)).name == "sam3"


@needs_reference
def test_edgetam_s_own_names_load(folders: dict[str, Path], tmp_path: Path) -> None:
    """EdgeTAM is SAM 2's code with another trunk: its own names from sam2's."""
    reference, _ = small_meta(tmp_path)
    state = {k: v for k, v in reference.state_dict().items() if "image_encoder" not in k}
    trunk = pointed.network("edgetam").vision_encoder
    for name, value in trunk.backbone.timm_model.state_dict().items():
        state[f"image_encoder.trunk.body.{name}"] = value
    for i, width in enumerate((384, 192, 96, 48)):
        state[f"image_encoder.neck.convs.{i}.conv.weight"] = torch.randn(256, width, 1, 1)
        state[f"image_encoder.neck.convs.{i}.conv.bias"] = torch.randn(256)
    state["spatial_perceiver.latents"] = torch.ones(2)
    path = tmp_path / "edge.pt"
    torch.save({"model": state}, path)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings |= {"model_type": "edgetam"}
    settings["vision_config"]["backbone_config"] = {"architecture": "timm/repvit_m0_9.dist_300e"}
    settings["vision_config"]["backbone_channel_list"] = [384, 192, 96, 48]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    lazy = load(EDGETAM, path, FP32)
    assert "spatial_perceiver" in lazy.weights.unused
    assert torch.equal(
        lazy.get().vision_encoder.neck.convs[2].weight, state["image_encoder.neck.convs.2.conv.weight"]
    )
    assert choose(ProposalOptions(checkpoint=path)).name == "edgetam"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("other", [*KINDS, "sam"])
def test_a_file_of_another_kind_is_refused_with_its_own_option(
    name: str, other: str, folders: dict[str, Path], tiny_sam: Path
) -> None:
    if name == other:
        assert choose(ProposalOptions(checkpoint=folders[name])).name == name
        return
    given, named = (tiny_sam, "sam") if other == "sam" else (folders[other], other)
    with pytest.raises(CheckpointError) as error:
        load_proposer(name, given, "cpu", "fp32")
    said = error.value.one_line()
    assert f"--proposals {named}" in said or f"of {' or '.join(KINDS[name].types)}" in said, said
    if other == "sam":
        for load_other in (
            partial(load_proposer, "sam", weight_file(folders[name]), "cpu", "fp32"),
            partial(load_backbone, "dinov2_s", weight_file(folders[name])),
        ):
            with pytest.raises(CheckpointError) as error:
                load_other()
            assert f"--proposals {name}" in error.value.one_line()


@pytest.mark.parametrize("name", KINDS)
def test_one_proposer_alone_recognises_a_file(name: str, folders: dict[str, Path]) -> None:
    state = load_file(weight_file(folders[name]))
    every = {one: own for one in PROPOSERS if (own := weights_of(one))}
    assert [one for one, own in every.items() if own.recognises(state.keys())] == [name]
    verdict = judge(weight_file(folders[name]), FP32)
    assert verdict.loads, verdict.problem
    assert verdict.model == name
    lora = [*state, "mask_decoder.transformer.layers.0.self_attn.q_proj.lora_A.weight"]
    assert not any(own.recognises(lora) for own in every.values())


def test_what_does_not_load_is_named() -> None:
    detector = {
        "vision_encoder.backbone.layers.0.attention.q_proj.weight": (2,),
        "vision_encoder.backbone.embeddings.patch_embeddings.projection.weight": (2, 3, 14, 14),
        "detr_decoder.layers.0.norm.weight": (2,),
        "mask_decoder.pixel_decoder.norm.weight": (2,),
    }
    meta = {"detector.backbone.vision_backbone.trunk.blocks.0.attn.qkv.weight": (2,)}
    for shapes, words in ((detector, "SAM 3's detector"), (meta, "SAM 3 in Meta's layout")):
        found = identify(shapes)
        assert found is not None
        assert words in found[0]
        assert "does not load" in found[0]
        assert found[1] == ""


def test_settings_of_another_network_are_refused_in_a_folder_of_the_hub(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    path = changed(folders["sam2"], tmp_path / "one", lambda state: None)
    (path.parent / "config.json").write_text('{"model_type": "dinov2"}')
    with pytest.raises(CheckpointError, match=r"config\.json: is of a network of the type 'dinov2'"):
        load(SAM2, path, FP32)
    (path.parent / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: lies beside the weights"):
        load(SAM2, path, FP32)
    (path.parent / "config.json").write_text((folders["sam2"] / "config.json").read_text())
    mean = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (path.parent / "preprocessor_config.json").write_text(json.dumps(mean))
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json: tells of pixels of mean"):
        load(SAM2, path, FP32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt_encoder_config": {"image_size": 100, "patch_size": 16}}, "100 and patches of 16"),
        ({"prompt_encoder_config": {"image_size": 256, "patch_size": 16}}, "feature sizes"),
        ({"mask_decoder_config": {"hidden_size": "many"}}, "fit together"),
        ({"vision_config": []}, "lies beside the weights and cannot be read"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    change: dict[str, Any], words: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    path = changed(folders["sam2"], tmp_path / "bad", lambda state: None)
    settings = json.loads((path.parent / "config.json").read_text())
    (path.parent / "config.json").write_text(json.dumps(settings | change))
    with pytest.raises(CheckpointError, match=words):
        load(SAM2, path, FP32)


@pytest.mark.parametrize("place", ["hf-hub:someone/net", "local-dir:/tmp/net", "someone/net", ""])
def test_settings_never_name_a_place_to_load_from(
    place: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    path = changed(folders["edgetam"], tmp_path / "bad", lambda state: None)
    settings = json.loads((path.parent / "config.json").read_text())
    settings["vision_config"]["backbone_config"]["architecture"] = place
    (path.parent / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match="not the name of a network of timm"):
        load(EDGETAM, path, FP32)


def test_other_settings_are_other_weights_to_what_is_remembered(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    one = load(SAM2, changed(folders["sam2"], tmp_path / "one", lambda _: None), FP32).weights
    path = changed(folders["sam2"], tmp_path / "other", lambda _: None)
    settings = json.loads((path.parent / "config.json").read_text())
    settings["vision_config"]["backbone_config"]["global_attention_blocks"] = [2]
    (path.parent / "config.json").write_text(json.dumps(settings))
    two = load(SAM2, path, FP32).weights
    assert one.sha256 == two.sha256
    assert one.content != two.content


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("found", [None, "4.56.1"])
def test_without_transformers_one_line_names_the_extra(
    name: str, found: str | None, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        if found is None:
            raise importlib.metadata.PackageNotFoundError(package)
        return found

    monkeypatch.setattr("searchdet.proposals.transformers_sam.package.version", version)
    with pytest.raises(CheckpointError) as error:
        load_proposer(name, folders[name], "cpu", "fp32")
    said = error.value.one_line()
    assert f"--proposals {name} needs" in said
    assert 'pip install "searchdet[sam2]"' in said
    assert "\n" not in said
    verdict = judge(weight_file(folders[name]), FP32)
    assert verdict.loads is False
    assert "searchdet[sam2]" in verdict.problem
