"""A small file of every family of SAM, given to every proposer and as a backbone: its own takes it, the
others refuse it with its name and the step to take."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hqs
import mobiles
import pointed
import pytest
import references as ref
import torch
from places import TINY_SAM
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from searchdet.backbones import load_backbone
from searchdet.cli import app
from searchdet.config import ProposalOptions
from searchdet.errors import CheckpointError
from searchdet.proposals import PROPOSERS, choose, load_proposer, weights_of
from searchdet.weights import read_names, weights_in

pytestmark = pytest.mark.model

OWN = {name: weights for name in PROPOSERS if (weights := weights_of(name)) is not None}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: the proposer that takes it, and what a refusal calls it. whole: of a size that
    loads as it is, without settings beside it."""

    proposer: str
    called: str
    whole: bool = True


KINDS = {
    "sam": Kind("sam", "a SAM model"),
    "sam of the hub": Kind("sam", "SAM in the Hugging Face layout"),
    "sam_hq": Kind("sam_hq", "SAM-HQ"),
    "sam_hq of the hub": Kind("sam_hq", "SAM-HQ in the Hugging Face layout"),
    "sam_hq tiny": Kind("sam_hq", "SAM-HQ with a TinyViT encoder (Light HQ-SAM, vit_tiny)"),
    "mobile_sam": Kind("mobile_sam", "MobileSAM (a TinyViT encoder)"),
    "sam2": Kind("sam2", "SAM 2 in the Hugging Face layout"),
    "sam2 alone": Kind("sam2", "SAM 2 in the Hugging Face layout", whole=False),
    "sam2 by its authors": Kind("sam2", "SAM 2", whole=False),
    "edgetam": Kind("edgetam", "EdgeTAM in the Hugging Face layout"),
    "edgetam alone": Kind("edgetam", "EdgeTAM in the Hugging Face layout", whole=False),
    "edgetam by its authors": Kind("edgetam", "EdgeTAM", whole=False),
    "sam3": Kind("sam3", "SAM 3 in the Hugging Face layout"),
    "sam3 alone": Kind("sam3", "SAM 3 in the Hugging Face layout", whole=False),
}


def of_hub(kind: str, folder: Path) -> Path:
    """A small SAM or SAM-HQ of transformers, as a folder of the hub."""
    import transformers

    config, model = (getattr(transformers, f"{kind}{part}") for part in ("Config", "Model"))
    small = {"hidden_size": 24, "output_channels": 256, "num_hidden_layers": 2, "mlp_dim": 48}
    small |= {"num_attention_heads": 2, "global_attn_indexes": [1], "image_size": 64, "window_size": 3}
    prompt = {"image_size": 64, "image_embedding_size": 4}
    more = {"mask_decoder_config": {"vit_dim": 24}} if kind == "SamHQ" else {}
    made = model(config(vision_config=small, prompt_encoder_config=prompt, **more))
    return pointed.save(made, folder)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each kind; those that have settings beside them by their folder."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("families")
    made = {
        "sam": TINY_SAM,
        "sam of the hub": of_hub("Sam", folder / "hub_sam").parent,
        "sam_hq": hqs.save(hqs.random_hq(), folder / "a.pth"),
        "sam_hq of the hub": of_hub("SamHQ", folder / "hub_sam_hq").parent,
        "sam_hq tiny": hqs.save(hqs.tiny_hq(), folder / "b.pth"),
        "mobile_sam": mobiles.saved(mobiles.small_mobile_sam(), folder / "c.pt"),
    }
    for name in ("sam2", "edgetam", "sam3"):
        path = pointed.save(pointed.network(name), folder / name)
        made[name] = path.parent
        made[f"{name} alone"] = Path(shutil.copy(path, folder / f"{name}.safetensors"))
    for name in ("sam2", "edgetam"):
        own = folder / f"{name}.pt"
        torch.save({"model": pointed.own_names(load_file(made[f"{name} alone"]))}, own)
        made[f"{name} by its authors"] = own
    return made


@pytest.fixture(scope="session")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each backbone here."""
    import timm

    folder = tmp_path_factory.mktemp("backbones")
    lite = timm.create_model("tf_efficientnet_lite0").state_dict()
    dino = ref.dinov2_meta(ref.dinov2_reference().state_dict())
    dino |= {"patch_embed.proj.weight": torch.ones(384, 3, 14, 14)}
    made = {"efficientnet_lite0": lite, "dinov2_s": dino}
    for name, state in made.items():
        save_file({k: v.contiguous() for k, v in state.items()}, folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in made}


def refusal(load: Any, *given: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(*given)
    assert caught.value.exit_code == 4
    return caught.value.one_line()


def test_every_proposer_with_weights_is_here() -> None:
    assert {kind.proposer for kind in KINDS.values()} == OWN.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_others_refuse_it_with_its_name_and_its_option(kind: str, files: dict[str, Path]) -> None:
    own, path = KINDS[kind], files[kind]
    for other in OWN.keys() - {own.proposer}:
        said = refusal(load_proposer, other, path, "cpu", "fp32")
        assert f"The file is {own.called}; pass --proposals {own.proposer} with it." in said, other
        assert path.name in said


@pytest.mark.parametrize("kind", KINDS)
def test_one_alone_recognises_it_and_auto_takes_that(kind: str, files: dict[str, Path]) -> None:
    own, path = KINDS[kind], files[kind]
    names = read_names(weights_in(path))
    for prefix in ("", "module.", "model."):
        named = [prefix + name for name in names]
        assert [k for k, v in OWN.items() if v.recognises(named)] == [own.proposer], prefix
    assert choose(ProposalOptions(checkpoint=path)).name == own.proposer
    if own.whole:
        assert load_proposer("auto", path, "cpu", "fp32").name == own.proposer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backbone", ["dinov2_s", "efficientnet_lite0"])
def test_as_a_backbone_it_is_sent_to_its_proposer(
    kind: str, backbone: str, files: dict[str, Path]
) -> None:
    said = refusal(load_backbone, backbone, files[kind])
    step = f"pass it as --sam-checkpoint (--proposals {KINDS[kind].proposer})"
    assert f"The file is {KINDS[kind].called}, not a backbone; {step}." in said


@pytest.mark.parametrize("backbone", ["dinov2_s", "efficientnet_lite0"])
def test_a_backbone_is_no_proposer_s_and_says_where_it_goes(
    backbone: str, backbones: dict[str, Path]
) -> None:
    names = read_names(backbones[backbone])
    assert not any(weights.recognises(names) for weights in OWN.values())
    for proposer in ("auto", *OWN):
        said = refusal(load_proposer, proposer, backbones[backbone], "cpu", "fp32")
        assert f"pass it as --backbone-ckpt (--backbone {backbone})." in said, proposer


def test_the_command_line_ends_with_the_step_and_writes_nothing(
    world: Path, files: dict[str, Path]
) -> None:
    words = ["--positive", "in/positive", "-o", "new", "--sam-checkpoint", str(files["sam_hq tiny"])]
    done = CliRunner().invoke(app, ["detect", "in/images/a.png", *words, "--proposals", "mobile_sam"])
    assert done.exit_code == 4
    assert "pass --proposals sam_hq with it" in done.stderr
    assert not list((world / "new").rglob("*.json"))
