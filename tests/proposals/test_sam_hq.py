"""SAM-HQ as a proposer by name: its files are told from a SAM's, refused by name, listed and used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hqs import hq_package, random_hq, save, tiny_hq
from places import TINY_SAM
from typer.testing import CliRunner

from searchdet.cli import app
from searchdet.doctor.checks import OK, computes
from searchdet.errors import CheckpointError
from searchdet.models import judge, published
from searchdet.proposals import PROPOSERS, load_proposer, weights_of
from searchdet.proposals.sam.weights import load_sam
from searchdet.proposals.sam_hq import HqProposer
from searchdet.proposals.sam_hq.weights import FAMILY, build_hq, load_hq
from searchdet.weights import Compute, find_published, models_folder

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def hq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(random_hq(), tmp_path_factory.mktemp("hq") / "mine.pth")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tiny_hq(), tmp_path_factory.mktemp("hq") / "tiny.pth")


def hub_names(kind: str) -> list[str]:
    """Names of a small model of transformers."""
    from transformers import SamConfig, SamHQConfig, SamHQModel, SamModel

    with torch.device("meta"):
        small = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
        made = {"sam": (SamModel, SamConfig), "sam_hq": (SamHQModel, SamHQConfig)}[kind]
        return list(made[0](made[1](vision_config=small)).state_dict())


def test_each_file_is_recognised_by_its_proposer_alone(hq: Path) -> None:
    files = {
        "sam": [list(torch.load(TINY_SAM, weights_only=True)), hub_names("sam")],
        "sam_hq": [list(torch.load(hq, weights_only=True)), hub_names("sam_hq")],
    }
    for name, lists in files.items():
        for names in lists:
            for prefix in ("", "module."):
                named = [prefix + tensor for tensor in names]
                weights = {proposer: weights_of(proposer) for proposer in PROPOSERS}
                assert [k for k, v in weights.items() if v and v.recognises(named)] == [name]


def test_the_wrong_proposer_refuses_a_file_and_names_the_right_one(hq: Path) -> None:
    with pytest.raises(CheckpointError, match="unexpected") as caught:
        load_sam(hq, FP32)
    assert "The file is SAM-HQ; pass --proposals sam_hq with it." in caught.value.hint
    with pytest.raises(CheckpointError, match=r"hf_token\.weight is missing") as caught:
        load_hq(TINY_SAM, FP32)
    assert "The file is a SAM model; pass --proposals sam with it." in caught.value.hint
    assert str(TINY_SAM) in caught.value.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s | {"mask_decoder.more": torch.ones(1)}, "1 unexpected"),
        (lambda s: {k: v for k, v in s.items() if "hf_mlp.layers.2.bias" not in k}, "1 missing"),
        (lambda s: s | {"mask_decoder.hf_token.weight": torch.ones(1, 8)}, "1 of another shape"),
        (lambda s: s | {"mask_decoder.hf_token.weight": torch.ones(1, 64) / 0}, "NaN or infinity"),
        (lambda s: {k: v for k, v in s.items() if ".pos_embed" not in k}, "pos_embed is missing"),
    ],
)
def test_a_file_fits_completely_or_is_refused(
    hq: Path, tmp_path: Path, change: Change, says: str
) -> None:
    path = tmp_path / "w.pth"
    torch.save(change(torch.load(hq, weights_only=True)), path)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_hq(path, FP32)
    assert str(path) in caught.value.message
    assert caught.value.hint


EARLY = "mask_decoder.compress_vit_feat.0.weight"
LAYERS = "image_encoder.layers."


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s | {EARLY: torch.ones(20, 256, 2, 2)}, r"early features of 24 channels"),
        (lambda s: s | {EARLY: torch.tensor(1.0)}, r"early features of 24 channels"),
        (lambda s: {k: v for k, v in s.items() if k != EARLY}, "0.weight is missing"),
        (lambda s: {k: v for k, v in s.items() if "neck.0" not in k}, "neck.0.weight is missing"),
        (lambda s: s | {"image_encoder.head.more": torch.ones(1)}, "1 unexpected"),
        (
            lambda s: {k: v for k, v in s.items() if f"{LAYERS}2.blocks.0.attn.proj" not in k},
            "2 missing",
        ),
        (
            lambda s: (
                s
                | {
                    k.replace(f"{LAYERS}3.", f"{LAYERS}4."): v
                    for k, v in s.items()
                    if f"{LAYERS}3." in k
                }
            ),
            "its encoder has 5 layers",
        ),
    ],
)
def test_a_tiny_file_fits_completely_or_is_refused(
    tiny: Path, tmp_path: Path, change: Change, says: str
) -> None:
    path = tmp_path / "w.pth"
    torch.save(change(torch.load(tiny, weights_only=True)), path)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_hq(path, FP32)
    assert str(path) in caught.value.message
    assert "or sam_hq_vit_tiny from https://github.com/SysCV/sam-hq" in caught.value.hint


def test_early_features_of_another_width_are_refused(hq: Path, tmp_path: Path) -> None:
    state = torch.load(hq, weights_only=True)
    torch.save(state | {EARLY: torch.ones(20, 64, 2, 2)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="early features of 24 channels"):
        load_hq(tmp_path / "w.pth", FP32)


def test_a_tiny_file_is_used_completely_judged_and_gives_masks(tiny: Path, photo: np.ndarray) -> None:
    own, state = load_hq(tiny, FP32).get().state_dict(), torch.load(tiny, weights_only=True)
    left = {
        f"image_encoder.{part}.{kind}" for part in ("norm_head", "head") for kind in ("weight", "bias")
    }
    assert state.keys() - own.keys() == left
    assert all(torch.equal(tensor, state[name]) for name, tensor in own.items())
    for precision in ("fp32", "bf16"):
        compute = Compute("cpu", precision)
        verdict = judge(tiny, compute)
        assert (verdict.model, verdict.what, verdict.loads) == ("sam_hq", "a SAM-HQ model", True)
        found = computes(verdict, compute)
        assert found.state == OK, found
    few = {"points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
    made = load_proposer("auto", tiny, "cpu", "fp32", **few)
    assert isinstance(made, HqProposer)
    assert made.weights is not None
    assert made.weights.layout == "Light HQ-SAM"
    masks = made.propose(photo)
    assert sum(masks.removed.values()) + len(masks) == 4


def test_the_official_tiny_size_is_read_off_its_shapes() -> None:
    official = hq_package().sam_model_registry["vit_tiny"]().state_dict()
    named = FAMILY.layouts[2].convert(dict(official))
    with torch.device("meta"):
        own = build_hq(named)
    assert {k: v.shape for k, v in own.state_dict().items()} == {k: v.shape for k, v in named.items()}
    assert own.mask_decoder.compress_vit_feat[0].in_channels == 160


def test_an_encoder_without_global_attention_is_refused(tmp_path: Path) -> None:
    state = random_hq().state_dict()
    for name in list(state):
        if "rel_pos" in name:
            state[name] = torch.zeros(5, 12)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="global attention"):
        load_hq(tmp_path / "w.pth", FP32)


def test_it_is_made_by_name_and_reads_what_sam_reads(hq: Path) -> None:
    made = load_proposer("sam_hq", hq, "cpu", "fp32", points_per_side=2)
    assert isinstance(made, HqProposer)
    assert (made.name, made.prompting) == ("sam_hq", "everything")
    assert made.weights is not None
    assert (made.weights.layout, made.weights.verified) == ("Meta", None)
    assert made.reads == load_proposer("sam", TINY_SAM, "cpu", "fp32").reads


def test_its_files_are_listed_found_judged_and_fetched_by_hand(hq: Path) -> None:
    own = [item for item in published().values() if item.model == "sam_hq"]
    assert [item.filename for item in own[:4]] == [
        f"sam_hq_vit_{size}.pth" for size in ("b", "l", "h", "tiny")
    ]
    assert {item.licence for item in own} == {"Apache-2.0"}
    done = CliRunner().invoke(app, ["models", "pull", "sam_hq", "--yes"])
    assert done.exit_code == 4
    assert "lkeab/hq-sam/resolve/main/sam_hq_vit_b.pth" in done.stderr
    hub = next(item for item in own if item.filename == "sam-hq-vit-base.safetensors")
    assert hub.by_hand().endswith("model.safetensors and save it as sam-hq-vit-base.safetensors.")
    models_folder().mkdir(exist_ok=True)
    path = models_folder() / "sam_hq_vit_b.pth"
    path.write_bytes(hq.read_bytes())
    assert find_published(tuple(own)) == path
    verdict = judge(path, FP32)
    assert (verdict.model, verdict.what, verdict.loads) == ("sam_hq", "a SAM-HQ model", True)
    assert (verdict.identity, verdict.bad) == ("unknown", False)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = {row["name"]: row for row in json.loads(done.stdout)["findings"]}
    assert "a SAM-HQ model" in found["weights sam_hq_vit_b.pth"]["fact"]
    assert "canary sam_hq_vit_b.pth" in found


def test_detect_uses_it_and_says_so(world: Path, hq: Path) -> None:
    words = ["--positive", "in/positive", "-o", "out", "--proposals", "sam_hq"]
    words += ["--sam-checkpoint", str(hq), "--points-per-side", "3", "--pred-iou-thresh", "0"]
    words += ["--stability-score-thresh", "0"]
    done = CliRunner().invoke(app, ["detect", "in/images/a.png", *words])
    assert done.exit_code == 0, done.stderr
    record = json.loads((world / "out/records/in/images/a.png.json").read_text())
    assert record["proposer"]["name"] == "sam_hq"
    assert record["proposer"]["weights"]["layout"] == "Meta"
    assert sum(record["proposals"]["removed"].values()) + record["proposals"]["count"] == 9
