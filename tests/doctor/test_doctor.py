from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import hubfake
import pytest
import torch
from hubfake import NAME
from references import convnext_meta, convnext_reference, saved, small_spec
from typer.testing import CliRunner

from searchdet.backbones import SPECS
from searchdet.backbones.filterbank import FilterbankBackbone
from searchdet.cli import app
from searchdet.doctor import canary, environment
from searchdet.doctor import checks as doctor
from searchdet.doctor.checks import Finding, exit_code
from searchdet.errors import OutputError
from searchdet.models import judge
from searchdet.storage import files
from searchdet.storage.hashes import FileHashes, cache_folder
from searchdet.weights.devices import Compute
from searchdet.weights.folder import models_folder

pytestmark = pytest.mark.model


def run(*words: str) -> object:
    return CliRunner().invoke(app, ["doctor", *words])


def rows(*words: str) -> dict[str, dict[str, object]]:
    found = json.loads(run("--json", *words).stdout)
    assert found["schema"] == "searchdet.doctor/1"
    named = {row["name"]: row for row in found["findings"]}
    assert len(named) == len(found["findings"]) == sum(found["counts"].values())
    for row in named.values():
        assert bool(row["remedy"]) == (row["state"] != "ok"), row
    return named


def test_this_environment_is_sound() -> None:
    done = run()
    assert done.exit_code == 0, done.stdout
    assert done.stderr == ""
    found = rows()
    for name in ("python", "packages", "torch pair", "torchvision operators", "opencv", "device"):
        assert found[name]["state"] == "ok", found[name]
    assert "torch " in found["packages"]["fact"]
    for name in ("canary filterbank", f"weights {doctor.CARRIED_FILE}", "canary embedded"):
        assert found[name]["state"] == "ok", found[name]
    assert str(cache_folder()) in found["cache"]["fact"]
    assert "not there" in found["models folder"]["fact"] or "0 weight" in found["models folder"]["fact"]


@pytest.mark.parametrize(
    ("torch_version", "vision", "needs", "state"),
    [
        ("2.15.0", "0.29.2", ["numpy", "torch (>=2.14.0)", "pillow"], "ok"),
        ("2.13.1", "0.29.2", ["torch (>=2.14.0)"], "problem"),
        ("2.10.0+cpu", "0.25.0+cpu", ["torch (==2.10.0)"], "ok"),
        ("2.10.1", "0.25.0", ["torch==2.10.0"], "problem"),
        ("2.10.0", "0.25.0", ["torch"], "ok"),
        ("2.10.0", "0.24.0", ["torch"], "warning"),
        ("2.10.0", "0.24.0", [], "warning"),
        ("3.0.0", "1.0.0", [], "ok"),
    ],
)
def test_the_pair_of_torch_and_torchvision(
    torch_version: str, vision: str, needs: list[str], state: str
) -> None:
    found = environment.judge_pair(torch_version, vision, needs)
    assert found.state == state
    assert torch_version in found.fact
    assert bool(found.remedy) == (state != "ok")


def test_the_rule_for_old_pairs_is_that_of_torchvisions_readme() -> None:
    # https://github.com/pytorch/vision#installation and pytorch's wiki, "PyTorch Versions"
    for minor, vision in {0: 15, 1: 16, 2: 17, 3: 18, 4: 19, 5: 20, 6: 21, 7: 22}.items():
        assert environment.judge_pair(f"2.{minor}.0", f"0.{vision}.0", []).state == "ok"
        assert environment.judge_pair(f"2.{minor}.0", f"0.{vision + 1}.0", []).state == "warning"


def fake_versions(monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> None:
    real = environment.installed
    given = {name.replace("_", "-"): number for name, number in changed.items()}
    monkeypatch.setattr(environment, "installed", lambda n: given[n] if n in given else real(n))


def test_two_distributions_of_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_versions(monkeypatch, opencv_python_headless="4.14.0.94")
    found = rows()["opencv"]
    assert found["state"] == "warning"
    assert "opencv-python-headless 4.14.0.94" in found["fact"]
    assert "pip uninstall -y opencv-python opencv-python-headless" in found["remedy"]
    assert run().exit_code == 0
    fake_versions(monkeypatch, opencv_python="4.11.0.86", opencv_python_headless=None)
    assert "cv2 says" in environment.opencv().fact
    fake_versions(monkeypatch, opencv_python=None, opencv_python_headless=None)
    assert environment.opencv().state == "problem"


def test_an_unmet_requirement_is_exit_4(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_versions(monkeypatch, timm="0.9.16", platformdirs=None)
    found = rows()["packages"]
    assert found["state"] == "problem"
    assert "timm>=" in found["fact"]
    assert '"platformdirs>=' in found["remedy"]
    assert run().exit_code == 4
    fake_versions(monkeypatch, torchvision=None)
    assert environment.pair().state == "problem"


def test_operators_that_do_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.ops

    def broken(*args: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist\nmore")

    monkeypatch.setattr(torchvision.ops, "nms", broken)
    found = environment.operators()
    assert (found.state, found.fact) == ("problem", "operator torchvision::nms does not exist")
    monkeypatch.setattr(torchvision.ops, "nms", lambda *args: torch.tensor([1]))
    assert environment.operators().state == "problem"


def test_more_threads_than_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4096)
    assert environment.threads().state == "warning"
    assert "OMP_NUM_THREADS=" in environment.threads().remedy


def test_why_a_device_and_a_precision_were_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "resolve", lambda device, precision: Compute("cuda", "fp32"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Fake 3000")
    assert environment.device().fact == "cuda (torch sees Fake 3000), fp32 (it has no native bfloat16)"
    monkeypatch.setattr(environment, "resolve", lambda device, precision: Compute("cpu", "bf16"))
    monkeypatch.setattr(torch.version, "cuda", None)
    assert environment.device().fact.startswith("cpu (this torch is built without CUDA), bf16")


def test_places_that_cannot_be_used_are_exit_5(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_sam: Path
) -> None:
    def readonly(folder: Path) -> None:
        raise OutputError(f"{folder}: cannot be written (Read-only file system).")

    with monkeypatch.context() as patched:
        patched.setattr(files, "probe_folder", readonly)
        done = run()
        assert done.exit_code == 5
        assert "Read-only file system" in done.stdout
        assert "SEARCHDET_CACHE" in done.stdout
        (models_folder() / "sam_vit_b_01ec64.pth").write_bytes(b"")
        assert run().exit_code == 4  # weights come first
    (tmp_path / "file").write_text("a file")
    assert doctor.places(tmp_path / "file")[0].state == "problem"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    assert doctor.places(tmp_path / "cache")[1].state == "warning"
    monkeypatch.setenv("SEARCHDET_MODELS", str(tmp_path / "nowhere"))
    assert "not there" in doctor.models().fact


def test_every_state_of_a_weight_file(monkeypatch: pytest.MonkeyPatch, tiny_sam: Path) -> None:
    monkeypatch.setitem(SPECS, "dinov3_convnext_tiny", small_spec("dinov3_convnext_tiny"))
    hubfake.offer(tiny_sam.read_bytes(), monkeypatch.setattr)
    folder = models_folder()
    state = convnext_meta(saved(convnext_reference()))
    doubtful = SPECS["dinov3_convnext_tiny"].published[0].filename
    torch.save(state, folder / doubtful)
    shutil.copy(tiny_sam, folder / NAME)
    shutil.copy(tiny_sam, folder / "mine.pth")
    torch.save({"a": torch.ones(2)}, folder / "strange.bin")
    (folder / ".sam_vit_b_01ec64.pth.0123.part").write_bytes(b"part")
    found = rows()
    assert found[f"weights {NAME}"]["fact"] == "a SAM model, the published content, loads completely"
    assert "for --sam-checkpoint" in found["weights mine.pth"]["fact"]
    assert found["weights mine.pth"]["state"] == "ok"
    assert found[f"weights {doubtful}"]["state"] == "warning"
    assert found["weights strange.bin"]["state"] == "warning"
    assert {f"canary {name}" for name in (NAME, "mine.pth", doubtful)} <= set(found)
    assert "canary strange.bin" not in found
    assert "4 weight files" in found["models folder"]["fact"]
    assert run().exit_code == 0
    shutil.copy(tiny_sam, folder / "sam_vit_l_0b3195.pth")
    (folder / "sam_vit_h_4b8939.pth").write_bytes(tiny_sam.read_bytes()[:5000])
    found = rows()
    assert "NOT the published content" in found["weights sam_vit_l_0b3195.pth"]["fact"]
    assert found["weights sam_vit_l_0b3195.pth"]["state"] == "problem"
    assert "is cut short" in found["weights sam_vit_h_4b8939.pth"]["fact"]
    assert "models pull sam_vit_h_4b8939.pth" in found["weights sam_vit_h_4b8939.pth"]["remedy"]
    assert run().exit_code == 4


def test_quick_hashes_and_loads_nothing(monkeypatch: pytest.MonkeyPatch, tiny_sam: Path) -> None:
    hubfake.offer(tiny_sam.read_bytes(), monkeypatch.setattr)
    shutil.copy(tiny_sam, models_folder() / NAME)
    (models_folder() / "sam_vit_h_4b8939.pth").write_bytes(b"cut")
    monkeypatch.setattr(doctor, "judge", None)
    found = rows("--quick")
    assert found[f"weights {NAME}"]["fact"] == "sam, the published content"
    assert found["weights sam_vit_h_4b8939.pth"]["state"] == "problem"
    assert not [name for name in found if name.startswith("canary sam")]


def test_a_networks_numbers_are_looked_at_and_nothing_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tiny_sam: Path
) -> None:
    hubfake.offer(tiny_sam.read_bytes(), monkeypatch.setattr)
    shutil.copy(tiny_sam, models_folder() / NAME)
    found = rows()[f"canary {NAME}"]
    assert found["state"] == "ok"
    assert re.match(r"finite; cosines between parts of one picture from -?0\.\d{3}", found["fact"])
    assert rows()[f"canary {NAME}"] == found
    assert {path.name for path in cache_folder().iterdir()} == {"sha256"}


def test_a_network_to_which_all_parts_look_the_same_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tiny_sam: Path
) -> None:
    from searchdet.proposals.sam import weights

    real = weights.fill_sam

    def blind(*given: object) -> object:
        sam, fit = real(*given)
        norm = sam.image_encoder.neck[-1]
        torch.nn.init.zeros_(norm.weight)
        torch.nn.init.ones_(norm.bias)
        return sam, fit

    hubfake.offer(tiny_sam.read_bytes(), monkeypatch.setattr)
    shutil.copy(tiny_sam, models_folder() / NAME)
    monkeypatch.setattr(weights, "fill_sam", blind)
    found = rows()[f"canary {NAME}"]
    assert found["state"] == "warning"
    assert "all parts look the same" in found["fact"]
    assert run().exit_code == 0


@pytest.mark.parametrize(("value", "says"), [(float("nan"), "NaN or infinity"), (0.0, "zeros")])
def test_a_sam_that_gives_no_numbers_is_a_problem(tiny_sam: Path, value: float, says: str) -> None:
    verdict = judge(tiny_sam, Compute("cpu", "fp32"))
    norm = verdict.network.image_encoder.neck[-1]
    torch.nn.init.constant_(norm.weight, value)
    torch.nn.init.constant_(norm.bias, value)
    found = doctor.computes(verdict, Compute("cpu", "fp32"))
    assert found.state == "problem"
    assert says in found.fact


def test_the_filterbanks_canary_covers_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = FilterbankBackbone()
    known = canary.EXPECTED[backbone.name]
    assert canary.numbers_of(backbone) == pytest.approx(known, abs=2e-4)
    assert len(known) == canary.COUNT
    start = 0
    for size in backbone._blocks:
        assert any(start <= place < start + size for place in canary.places(backbone.dim))
        start += size
    assert canary.differ(known, known[:4])
    monkeypatch.setitem(canary.EXPECTED, backbone.name, (*known[:-1], 0.5))
    found = doctor.filterbank()
    assert found.state == "problem"
    assert "0.5000" in found.fact
    assert run().exit_code == 4


def test_numbers_that_are_not_finite_are_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(SPECS, "dinov3_convnext_tiny", small_spec("dinov3_convnext_tiny"))
    state = convnext_meta(saved(convnext_reference()))
    path = tmp_path / SPECS["dinov3_convnext_tiny"].published[0].filename
    torch.save({k: v * 1e30 if v.ndim > 1 else v for k, v in state.items()}, path)
    compute = Compute("cpu", "fp32")
    verdict = judge(path, compute)
    assert verdict.loads
    found = doctor.computes(verdict, compute)
    assert found.state == "problem"
    assert "NaN or infinity" in found.fact


def test_a_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: object, path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    (models_folder() / NAME).write_bytes(b"x")
    monkeypatch.setattr(FileHashes, "sha256", denied)
    for words in ((), ("--quick",)):
        assert "Permission denied" in rows(*words)[f"weights {NAME}"]["fact"]


def test_exit_codes() -> None:
    fine, warned = Finding("a", "ok", ""), Finding("b", "warning", "", "do")
    bad, place = Finding("c", "problem", "", "do"), Finding("d", "problem", "", "do", place=True)
    assert exit_code([fine, warned]) == 0
    assert exit_code([fine, bad]) == 4
    assert exit_code([fine, place]) == 5
    assert exit_code([place, bad]) == 4
