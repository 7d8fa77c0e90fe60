"""Names with prefixes, pairs of networks, heads on top: what is taken off, named, or refused."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest
import references as ref
import torch
from torch import Tensor

from searchdet.backbones.network import NetworkBackbone, load_network
from searchdet.config import BackboneOptions
from searchdet.errors import CheckpointError
from searchdet.weights import Compute, LoadedBefore, read_state_dict

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
NAME = "dinov2_s"
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return ref.dinov2_meta(ref.dinov2_reference().state_dict())


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor.clone() for name, tensor in state.items()}


def other(state: State) -> State:
    return {name: tensor + 1 for name, tensor in state.items()}


def load(path: Path, value: object, **options: object) -> NetworkBackbone:
    torch.save(value, path)
    given = BackboneOptions(NAME, **options)
    return load_network(ref.small_spec(NAME), path, FP32, 70, given)


def same(network: NetworkBackbone, state: State) -> bool:
    mine = network.network.state_dict()["blocks.0.attn.qkv.weight"]
    return bool((mine == state["blocks.0.attn.qkv.weight"]).all())


@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "_orig_mod.", "model.", "backbone.", "encoder.", "teacher.backbone."),
        *("module._orig_mod.", "model.backbone._orig_mod.", "net.0.", "0.", "visual.trunk.", "blocks."),
    ],
)
def test_a_prefix_of_all_names_is_taken_off_and_said(tmp_path: Path, state: State, prefix: str) -> None:
    got = load(tmp_path / "w.pth", under(prefix, state))
    assert same(got, state)
    assert got.weights is not None
    assert (got.weights.prefix, got.weights.unused) == (prefix, ())
    assert load(tmp_path / "w.pth", state).weights.prefix == ""


@pytest.mark.parametrize(
    ("value", "prefix", "unused"),
    [
        (lambda s: {"state_dict": under("model.", s), "epoch": 3, "loops": {}}, "model.", ()),
        (lambda s: {"teacher": under("backbone.", s)}, "backbone.", ()),
        (lambda s: {"student": other(s), "teacher": s, "optimizer": {"a": 1}}, "", ()),
        (
            lambda s: under("student.backbone.", other(s)) | under("teacher.backbone.", s),
            "teacher.backbone.",
            ("student",),
        ),
        (
            lambda s: {"model": under("teacher.", s) | under("student.", other(s))},
            "teacher.",
            ("student",),
        ),
        (lambda s: {"network": s, "optimizer": {"state": {}}}, "", ()),
        (lambda s: {"ema_state": under("module.", s), "step": 4}, "module.", ()),
    ],
)
def test_what_training_scripts_write(
    tmp_path: Path, state: State, value: object, prefix: str, unused: tuple[str, ...]
) -> None:
    got = load(tmp_path / "w.ckpt", value(state))
    assert same(got, state)
    assert (got.weights.prefix, got.weights.unused) == (prefix, unused)


def test_two_networks_are_not_chosen_from(tmp_path: Path, state: State) -> None:
    for value in (
        under("encoder_q.", state) | under("encoder_k.", other(state)),
        {"net": state, "net_ema": other(state)},
    ):
        with pytest.raises(CheckpointError, match=r"holds 2 networks, under '.*' and '") as caught:
            load(tmp_path / "w.pth", value)
        assert "alone" in caught.value.hint


HEADS: dict[str, tuple[str, State]] = {
    "timm": ("", {"head.weight": torch.ones(3, 48), "head.bias": torch.ones(3)}),
    "fc": ("", {"fc.0.weight": torch.ones(3, 48), "fc.2.weight": torch.ones(3, 3)}),
    "of any name": ("", {"my_mlp.weight": torch.ones(3, 48), "my_mlp.bias": torch.ones(3)}),
    "segmenter": ("backbone.", {"decode_head.conv_seg.weight": torch.ones(3, 48, 1, 1)}),
    "classifier": ("dinov2.", {"classifier.weight": torch.ones(3, 96), "criterion.w": torch.ones(3)}),
    "lightning": ("model.backbone.", {"model.head.weight": torch.ones(3, 48)}),
    "sequential": ("0.", {"1.weight": torch.ones(3, 48), "1.bias": torch.ones(3)}),
    "depth": ("pretrained.", {"depth_head.scratch.layer1_rn.weight": torch.ones(3, 48)}),
    "distilled": ("teacher.backbone.", {"teacher.dino_head.mlp.0.weight": torch.ones(3, 48)}),
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_is_named_and_dropped_only_on_request(
    tmp_path: Path, state: State, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    prefix, head = HEADS[kind]
    value = under(prefix, state) | head
    part = next(iter(head)).split(".")[0]
    with pytest.raises(
        CheckpointError, match=rf"holds a head of {len(head)} tensors .*\({part}"
    ) as caught:
        load(tmp_path / "w.pth", value)
    assert "--drop-head" in caught.value.hint
    with caplog.at_level(logging.WARNING):
        got = load(tmp_path / "w.pth", value, drop_head=True)
    assert same(got, state)
    assert got.weights.prefix == prefix
    assert part in got.weights.unused
    assert "used without the head" in caplog.text


def test_dropping_a_head_forgives_nothing_else(tmp_path: Path, state: State) -> None:
    head = {"head.weight": torch.ones(3, 48)}
    missing = {k: v for k, v in state.items() if k != "norm.bias"}
    inside = state | {"blocks.0.attn.lora_A.weight": torch.ones(2, 48)}
    inner = state | {"norm.head": torch.ones(3)}
    parameter = state | {"extra_token": torch.ones(1, 1, 48)}
    for value in (missing | head, inside, inner, parameter):
        with pytest.raises(CheckpointError, match="Nothing was loaded"):
            load(tmp_path / "w.pth", value, drop_head=True)
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "w.pth", inside)
    assert "LoRA" in caught.value.hint


def test_a_file_without_a_head_takes_the_option(
    tmp_path: Path, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(tmp_path / "w.pth", state, drop_head=True).weights.unused == ()
    assert not caplog.records


def test_a_head_that_was_dropped_once_is_refused_without_the_option(
    tmp_path: Path, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    path, before = tmp_path / "w.pth", LoadedBefore(tmp_path / "cache")
    torch.save(under("model.", state) | {"head.weight": torch.ones(3, 48)}, path)
    spec, drop = ref.small_spec(NAME), BackboneOptions(NAME, drop_head=True)
    first = load_network(spec, path, FP32, 70, drop, before)
    caplog.clear()
    second = load_network(spec, path, FP32, 70, drop, before)
    assert (first.lazy.loaded, second.lazy.loaded) == (True, False)
    assert first.weights == second.weights
    assert "used without the head" in caplog.text
    with pytest.raises(CheckpointError, match="head"):
        load_network(spec, path, FP32, 70, None, before)


def test_a_classifier_of_other_classes_than_imagenets_is_a_head(tmp_path: Path) -> None:
    from torchvision.models.resnet import Bottleneck, ResNet

    spec, path = ref.small_spec("resnet101"), tmp_path / "w.pth"
    for classes in (1000, 7):
        torch.save(ResNet(Bottleneck, [1, 1, 1, 1], num_classes=classes).state_dict(), path)
        if classes == 1000:
            load_network(spec, path, FP32, 64)
            continue
        with pytest.raises(CheckpointError, match=r"head .*\(fc\)"):
            load_network(spec, path, FP32, 64)
        got = load_network(spec, path, FP32, 64, BackboneOptions("resnet101", drop_head=True))
        assert got.weights.unused == ("fc",)


def test_blocks_in_chunks_are_put_in_a_row(tmp_path: Path, state: State) -> None:
    chunked = {
        k.replace("blocks.1.", "blocks.1.1.").replace("blocks.0.", "blocks.0.0."): v
        for k, v in state.items()
    }
    assert same(load(tmp_path / "w.pth", {"teacher": under("backbone.", chunked)}), state)


def test_a_sam_behind_a_prefix_loads(tiny_sam: Path, tmp_path: Path) -> None:
    from searchdet.proposals.sam.weights import load_sam

    state = read_state_dict(tiny_sam)
    path = tmp_path / "w.pth"
    for prefix in ("module.", "model._orig_mod.", "sam."):
        torch.save({"model": under(prefix, state), "optimizer": {"state": {}}}, path)
        got = load_sam(path, FP32)
        assert got.weights.prefix == prefix
        name = "mask_decoder.iou_token.weight"
        assert np.array_equal(got.get().state_dict()[name], state[name].float())
    torch.save(state | {"my_head.weight": torch.ones(3, 3)}, path)
    with pytest.raises(CheckpointError, match="Nothing was loaded") as caught:
        load_sam(path, FP32)
    assert "SAM" in caught.value.hint


def test_other_weights_beside_the_chosen_ones_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine, other = {"a": torch.zeros(2)}, {"a": torch.ones(2)}
    path = tmp_path / "w.pth"
    torch.save({"state_dict": mine, "state_dict_ema": other, "optimizer": {"b": torch.ones(1)}}, path)
    assert float(read_state_dict(path)["a"].sum()) == 0
    (record,) = caplog.records
    assert "under 'state_dict'; beside them lie 'state_dict_ema'" in record.message
    caplog.clear()
    torch.save({"state_dict": mine, "epoch": 3}, path)
    read_state_dict(path)
    assert not caplog.records


BESIDE: dict[str, tuple[object, str, str]] = {
    "a dictionary": (lambda s: {"model": s, "head": {"weight": torch.ones(3, 48)}}, "model.", "head"),
    "of a name that says nothing": (
        lambda s: {"state_dict": s, "top": {"0": torch.ones(3, 48)}, "epoch": 3},
        "state_dict.",
        "top",
    ),
    "outside": (
        lambda s: {"model": {"state_dict": s}, "head": {"weight": torch.ones(3, 48)}},
        "state_dict.",
        "head",
    ),
    "deeper": (
        lambda s: {"net": s, "heads": {"a": {"weight": torch.ones(3, 48)}, "b": 3}},
        "net.",
        "heads",
    ),
    "tensors": (
        lambda s: {"model": s, "head.weight": torch.ones(3, 48), "head.bias": torch.ones(3)},
        "model.",
        "head",
    ),
    "beside another name": (
        lambda s: {"network": s, "classifier": torch.ones(3, 48), "best": torch.tensor(0.9)},
        "network.",
        "classifier",
    ),
    "with the state of the training": (
        lambda s: {"model": s, "optimizer": {"a": torch.ones(3)}, "head": {"w": torch.ones(3, 48)}},
        "model.",
        "head",
    ),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_a_head_beside_the_network_is_one(
    tmp_path: Path, state: State, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, prefix, part = BESIDE[kind]
    with pytest.raises(CheckpointError, match=rf"holds a head of .*\({part}\)") as caught:
        load(tmp_path / "w.pth", make(state))
    assert "--drop-head" in caught.value.hint
    with caplog.at_level(logging.WARNING):
        got = load(tmp_path / "w.pth", make(state), drop_head=True)
    assert same(got, state)
    assert (got.weights.prefix, got.weights.unused) == (prefix, (part,))
    assert "used without the head" in caplog.text


@pytest.mark.parametrize(
    "value",
    [
        lambda s: {"model": s, "student": under("backbone.", other(s))},
        lambda s: {"teacher": s, "dino_loss": {"center": torch.ones(1, 9)}},
        lambda s: {"state_dict": s, "ema": {"shadow": other(s), "decay": 0.9}},
    ],
)
def test_copies_and_losses_beside_the_network_are_told(
    tmp_path: Path, state: State, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    got = load(tmp_path / "w.pth", value(state))
    assert same(got, state)
    assert (got.weights.prefix, got.weights.unused) == ("", ())
    assert "which are not used" in caplog.text


def test_a_sam_with_a_head_beside_it_is_refused(tiny_sam: Path, tmp_path: Path) -> None:
    from searchdet.proposals.sam.weights import load_sam

    path = tmp_path / "w.pth"
    value = {"model": read_state_dict(tiny_sam), "head": {"weight": torch.ones(3, 3)}}
    torch.save(value, path)
    with pytest.raises(CheckpointError, match=r"do not begin with .*head\.weight.*Nothing was loaded"):
        load_sam(path, FP32)


def wrapped(state: State, wrap: str) -> State:
    """The blocks one by one in a wrap, as a training does it."""
    return {re.sub(r"^blocks\.(\d+)\.", rf"blocks.\1.{wrap}.", name): t for name, t in state.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
@pytest.mark.parametrize("wrap", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
def test_blocks_that_were_wrapped_are_unwrapped_and_said(
    tmp_path: Path, state: State, wrap: str, prefix: str
) -> None:
    value = under(prefix, wrapped(state, wrap))
    got = load(tmp_path / "w.pth", value)
    assert same(got, state)
    assert (got.weights.prefix, got.weights.unused) == (f"{prefix}*.{wrap}.", ())
    cut = {name: tensor for name, tensor in value.items() if not name.endswith("norm.bias")}
    with pytest.raises(CheckpointError, match=r"missing .*Nothing was loaded"):
        load(tmp_path / "w.pth", cut)


def test_wraps_in_wraps_and_a_head(tmp_path: Path, state: State) -> None:
    inner = wrapped(state, "_checkpoint_wrapped_module._orig_mod")
    value = under("_fsdp_wrapped_module.", inner) | {"head.weight": torch.ones(3, 48)}
    got = load(tmp_path / "w.pth", {"state_dict": value}, drop_head=True)
    assert same(got, state)
    assert got.weights.unused == ("head",)
    for wrap in ("_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_orig_mod"):
        assert wrap in got.weights.prefix
    twice = state | {"blocks._orig_mod.0.ls1.gamma": torch.ones(48)}
    with pytest.raises(CheckpointError, match=r"holds 'blocks\.0\.ls1\.gamma' twice"):
        load(tmp_path / "w.pth", twice)


def test_a_wrapped_sam_loads_and_is_recognised(tiny_sam: Path, tmp_path: Path) -> None:
    from searchdet.models.verify import judge
    from searchdet.proposals.sam.weights import load_sam

    state = {
        re.sub(r"^image_encoder\.(blocks\.\d+\.)?", r"\g<0>_orig_mod.", name): tensor
        for name, tensor in read_state_dict(tiny_sam).items()
    }
    path = tmp_path / "w.pth"
    torch.save(state, path)
    assert load_sam(path, FP32).weights.prefix == "*._orig_mod."
    verdict = judge(path, FP32)
    assert (verdict.loads, verdict.model) == (True, "sam")
