from __future__ import annotations

import errno
import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import hubfake
import pytest
import torch
from hubfake import NAME, Transfer
from references import convnext_meta, convnext_reference, saved, small_spec
from typer.testing import CliRunner

from searchdet.backbones import SPECS, load_backbone
from searchdet.cli import app
from searchdet.commands import models as cli_models
from searchdet.doctor.checks import CARRIED_FILE
from searchdet.errors import CheckpointError
from searchdet.models import catalogue
from searchdet.models import verify as weightfiles
from searchdet.models.verify import judge
from searchdet.proposals import PROPOSERS
from searchdet.storage import hashes
from searchdet.storage.hashes import FileHashes
from searchdet.weights.devices import Compute
from searchdet.weights.folder import find_published, models_folder
from searchdet.weights.published import LICENCES

pytestmark = pytest.mark.model

Serve = Callable[..., Transfer]


def run(*words: str, **more: object) -> object:
    return CliRunner().invoke(app, ["models", *words], **more)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def content(tiny_sam: Path) -> bytes:
    return tiny_sam.read_bytes()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, content: bytes) -> Serve:
    """Make a hub of one file; nothing is found in the user's own hub cache."""
    import huggingface_hub
    from huggingface_hub import file_download

    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *args, **given: None)
    hubfake.offer(content, monkeypatch.setattr)

    def serving(*args: object) -> Transfer:
        transfer = Transfer(*(args or (content,)))
        monkeypatch.setattr(file_download, "http_get", transfer)
        return transfer

    return serving


def raising(error: Exception) -> Callable[[], None]:
    def stop() -> None:
        raise error

    return stop


def refused(status: int) -> Exception:
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    response = SimpleNamespace(status_code=status, headers={}, request=None)
    kind = GatedRepoError if status == 403 else HfHubHTTPError
    return kind("no", response=response)


def test_a_pulled_file_is_verified_and_found(serve: Serve, content: bytes) -> None:
    from searchdet.proposals.sam import weights

    transfer = serve()
    done = run("pull", "sam", "--yes")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    for part in ("ybelkada/segment-anything", "Apache-2.0", "licenses/LICENSE-2.0", "SHA-256"):
        assert part in done.stderr
    [(url, resumed)] = transfer.asked
    revision = catalogue.published()[NAME].revision
    assert url.endswith(f"/ybelkada/segment-anything/resolve/{revision}/checkpoints/{NAME}")
    assert resumed == 0
    assert left(models_folder()) == [NAME]
    target = models_folder() / NAME
    assert target.read_bytes() == content
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert find_published(weights.PUBLISHED) == target
    again = run("pull", NAME)
    assert again.exit_code == 0
    assert "here already" in again.stderr
    assert len(transfer.asked) == 1
    assert run("verify").exit_code == 0


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.process
def test_a_killed_download_leaves_no_file_and_is_continued(
    serve: Serve, content: bytes, tiny_sam: Path
) -> None:
    script = Path(hubfake.__file__)
    done = subprocess.run([sys.executable, str(script), str(tiny_sam)], check=False)
    assert done.returncode == -signal.SIGKILL
    [partial] = left(models_folder())
    assert partial.startswith(".")
    assert (models_folder() / partial).stat().st_size == len(content) // 2
    assert run("verify").exit_code == 0  # nothing is there yet
    transfer = serve()
    assert run("pull", "sam", "-y").exit_code == 0
    assert transfer.asked[0][1] == len(content) // 2
    assert left(models_folder()) == [NAME]
    assert (models_folder() / NAME).read_bytes() == content


def test_a_partial_file_longer_than_the_whole_is_begun_anew(serve: Serve, content: bytes) -> None:
    serve(content, None, raising(KeyboardInterrupt()))
    run("pull", "sam", "--yes")
    [partial] = left(models_folder())
    (models_folder() / partial).write_bytes(content + b"more")
    transfer = serve()
    assert run("pull", "sam", "--yes").exit_code == 0
    assert transfer.asked[0][1] == 0


def test_a_wrong_content_leaves_nothing(serve: Serve, content: bytes) -> None:
    serve(bytes(len(content)))
    done = run("pull", "sam", "--yes")
    assert done.exit_code == 4
    assert "not the published file" in done.stderr
    assert "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth" in done.stderr
    assert left(models_folder()) == []


@pytest.mark.parametrize(
    ("status", "name", "says"),
    [
        (403, "dinov3_vits16", ["gated", "Accept the licence", "hf auth login", "HF_TOKEN"]),
        (401, "dinov3_vits16", ["gated", "facebook/dinov3-vits16-pretrain-lvd1689m"]),
        (401, "sam", ["refused access", "wrong HF_TOKEN", "dl.fbaipublicfiles.com"]),
        (404, "sam", ["no longer", "By hand", "dl.fbaipublicfiles.com"]),
        (503, "sam", ["answered 503", "Run this again later"]),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    serve: Serve, status: int, name: str, says: list[str]
) -> None:
    serve(b"", None, raising(refused(status)))
    done = run("pull", name, "--yes")
    assert done.exit_code == 4
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert all(part in line for part in says), line
    assert left(models_folder()) == []


def test_offline_reaches_nothing_and_says_the_way_by_hand(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    done = run("pull", "sam", "--yes")  # huggingface_hub's own transfer
    assert done.exit_code == 4, done.stderr
    assert "HF_HUB_OFFLINE" in done.stderr
    assert "dl.fbaipublicfiles.com" in done.stderr
    assert left(models_folder()) == []


def test_a_broken_connection_keeps_what_came(serve: Serve, content: bytes) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    network = HfHubHTTPError.__bases__[0]
    for error in (network("no route"), ConnectionResetError(errno.ECONNRESET, "reset")):
        serve(content, 1000, raising(error))
        done = run("pull", "sam", "--yes")
        assert done.exit_code == 4
        assert "cannot be reached" in done.stderr
        [partial] = left(models_folder())
        assert (models_folder() / partial).stat().st_size == 1000
    serve(content, 500, raising(OSError("Consistency check failed")))
    assert "incomplete" in run("pull", "sam", "--yes").stderr


def test_a_full_disk_is_exit_5_and_leaves_nothing(
    serve: Serve, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(content, 1000, raising(OSError(errno.ENOSPC, "No space left on device")))
    done = run("pull", "sam", "--yes")
    assert done.exit_code == 5
    assert "full" in done.stderr
    assert left(models_folder()) == []
    transfer = serve()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    done = run("pull", "sam", "--yes")
    assert done.exit_code == 5
    assert "are needed" in done.stderr
    assert transfer.asked == []
    assert left(models_folder()) == []


def test_a_folder_that_cannot_be_made_is_exit_5(serve: Serve, tmp_path: Path) -> None:
    serve()
    (tmp_path / "file").write_text("a file")
    done = run("pull", "sam", "--yes", "--dir", str(tmp_path / "file" / "models"))
    assert done.exit_code == 5
    assert "another folder with --dir" in done.stderr
    done = run("pull", "sam", "--yes", "--dir", str(tmp_path / "new" / "models"))
    assert done.exit_code == 0
    assert left(tmp_path / "new" / "models") == [NAME]


def test_a_file_in_the_hubs_own_cache_is_taken(
    serve: Serve, content: bytes, tiny_sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = serve()
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args, **given: str(tiny_sam))
    assert run("pull", "sam", "--yes").exit_code == 0
    assert transfer.asked == []
    assert (models_folder() / NAME).read_bytes() == content


def test_two_at_once(serve: Serve, content: bytes) -> None:
    fcntl = pytest.importorskip("fcntl")
    serve(content, 10, raising(KeyboardInterrupt()))
    run("pull", "sam", "--yes")
    [partial] = left(models_folder())
    with (models_folder() / partial).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = run("pull", "sam", "--yes")
    assert done.exit_code == 2
    assert "another process" in done.stderr


def test_the_licence_is_asked_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    transfer = serve()
    done = run("pull", "sam")
    assert done.exit_code == 2
    assert "Apache-2.0" in done.stderr
    assert "--yes" in done.stderr
    monkeypatch.setattr(cli_models, "_interactive", lambda: True)
    assert run("pull", "sam", input="n\n").exit_code == 2
    assert transfer.asked == []
    assert run("pull", "sam", input="y\n").exit_code == 0
    assert left(models_folder()) == [NAME]


def test_another_content_under_the_name_is_not_overwritten(serve: Serve) -> None:
    transfer = serve()
    (models_folder() / NAME).write_bytes(b"mine")
    done = run("pull", "sam", "--yes")
    assert done.exit_code == 4
    assert "another content" in done.stderr
    assert (models_folder() / NAME).read_bytes() == b"mine"
    assert transfer.asked == []


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("nonsense", 2, "dinov3_convnext_base"),
        ("", 2, "no model"),
        ("dinov3", 2, "no model"),  # the beginning of many
        ("filterbank", 2, "built in"),
        ("efficientnet-lite", 2, "no model"),
        ("resnet101", 4, "https://download.pytorch.org/models/resnet101-63fe2227.pth"),
        (
            "dinov2_g",
            4,
            "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitg14/dinov2_vitg14_pretrain.pth",
        ),
        ("dinov3_convnext_large", 4, "dinov3_convnext_large_pretrain_lvd1689m-61fa432d.pth"),
    ],
)
def test_what_cannot_be_pulled(serve: Serve, name: str, code: int, says: str) -> None:
    serve()
    done = run("pull", name, "--yes")
    assert done.exit_code == code
    assert says in done.stderr
    if code == 4:
        assert "licence" in done.stderr
        assert str(models_folder()) in done.stderr


def test_the_beginning_of_one_file_name_will_do(serve: Serve) -> None:
    transfer = serve()
    assert run("pull", "sam_vit_b", "--yes").exit_code == 0
    assert transfer.asked[0][0].endswith(NAME)


def test_the_table_of_the_hub_is_complete() -> None:
    known = catalogue.published()
    proposers = Counter(item.model for item in known.values() if item.model in PROPOSERS)
    print(proposers)
    assert len(known) - proposers.total() == 34
    for name, item in known.items():
        assert name == item.filename
        assert item.model in {*SPECS, *PROPOSERS}
        assert re.search(r"https://[\w./-]+", item.by_hand())
        assert bool(item.repo) == bool(item.path) == bool(item.revision) == bool(item.size)
        if item.repo:
            assert re.fullmatch(r"[0-9a-f]{64}", item.sha256)
            assert re.fullmatch(r"[0-9a-f]{40}|main", item.revision)
            assert item.size > 10**7
            assert Path(name).suffix == Path(item.path).suffix
            assert item.gated == item.repo.startswith("facebook/dinov3")
    pulled = Counter(item.model for item in known.values() if item.repo and item.model in PROPOSERS)
    print(pulled)
    assert sum(bool(item.repo) for item in known.values()) == 10 + pulled.total()
    for item in catalogue.entries():
        assert item.licence in LICENCES or item.model == "masks"  # those have their own
    for spec in SPECS.values():
        assert not spec.published[0].repo  # the authors' own name comes first


def test_the_hubs_file_of_a_backbone_is_found_and_its_hash_binds() -> None:
    own, twin = SPECS["dinov2_s"].published
    path = models_folder() / twin.filename
    torch.save({"a": torch.ones(1)}, path)
    assert find_published(SPECS["dinov2_s"].published) == path
    with pytest.raises(CheckpointError, match="content is not"):
        load_backbone("dinov2_s")
    assert judge(path, Compute("cpu", "fp32")).identity == "other"
    (models_folder() / own.filename).write_bytes(b"")
    assert find_published(SPECS["dinov2_s"].published) == models_folder() / own.filename


def test_list_says_how_to_get_what_is_not_here() -> None:
    rows = {row["file"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows[NAME]["hub"] == "ybelkada/segment-anything"
    assert rows["resnet101-63fe2227.pth"]["hub"] == ""
    text = run("list").stdout
    assert "models pull dinov3_convnext_base" in text
    assert "models pull sam_vit_h_4b8939.pth" in text


def test_verify_loads_and_hashes(serve: Serve, tiny_sam: Path, no_packages: None) -> None:
    assert run("verify").exit_code == 0
    assert "No published weight file" in run("verify").stderr
    folder = models_folder()
    shutil.copy(tiny_sam, folder / NAME)
    shutil.copy(tiny_sam, folder / "mine.pth")
    [row] = json.loads(run("verify", "--json").stdout)
    assert (row["identity"], row["loads"], row["bad"]) == ("official", True, False)
    assert row["what"] == "a SAM model"
    done = run("verify", str(folder / "mine.pth"), str(folder / NAME))
    assert done.exit_code == 0
    assert "unknown" in done.stdout
    shutil.copy(tiny_sam, folder / "sam_vit_h_4b8939.pth")
    done = run("verify")
    assert done.exit_code == 4
    assert "BAD  sam_vit_h_4b8939.pth" in done.stdout
    [row] = json.loads(run("verify", str(folder / "sam_vit_h_4b8939.pth"), "--json").stdout)
    assert (row["identity"], row["loads"], row["bad"]) == ("other", True, True)


class Reads:
    """How often each weight file was hashed, and how often its tensors were taken from it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import safetensors.torch

        self.hashed, self.loaded = Counter[str](), Counter[str]()
        for module in (hashes, weightfiles):
            self._count(monkeypatch, (module, "fresh_sha256"), self.hashed)
        self._count(monkeypatch, (torch, "load"), self.loaded)
        self._count(monkeypatch, (safetensors.torch, "load_file"), self.loaded)

    def _count(
        self, monkeypatch: pytest.MonkeyPatch, which: tuple[object, str], counter: Counter[str]
    ) -> None:
        real = getattr(*which)

        def counted(path: Path, *args: object, **given: object) -> object:
            counter[Path(path).name] += 1
            return real(path, *args, **given)

        monkeypatch.setattr(*which, counted)


@pytest.mark.parametrize("words", [["models", "verify"], ["doctor"]])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_each_file_is_hashed_once_and_loaded_once(
    words: list[str], suffix: str, tiny_sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import save_file

    monkeypatch.setitem(SPECS, "dinov3_convnext_tiny", small_spec("dinov3_convnext_tiny"))
    found = ("a small ConvNeXt", "dinov3_convnext_tiny")
    monkeypatch.setattr(weightfiles, "identify", lambda shapes: found)
    backbone, sam = (models_folder() / f"{name}{suffix}" for name in ("mine", "mysam"))
    state = convnext_meta(saved(convnext_reference()))
    save = torch.save if suffix == ".pth" else save_file
    save({name: tensor.contiguous() for name, tensor in state.items()}, backbone)
    save(torch.load(tiny_sam, weights_only=True), sam)
    reads = Reads(monkeypatch)
    files = [] if words == ["doctor"] else [str(backbone), str(sam)]
    done = CliRunner().invoke(app, [*words, *files])
    assert done.exit_code == 0, done.output
    for counter, tries in (
        (reads.hashed, 1),
        (reads.loaded, 2),
    ):  # an old file: mapped in vain
        assert counter.pop(CARRIED_FILE, 0) == (tries if words == ["doctor"] else 0)
    assert reads.hashed == reads.loaded == {backbone.name: 1, sam.name: 1}
    if words == ["doctor"]:  # whose hashes are remembered
        assert CliRunner().invoke(app, words).exit_code == 0
        assert reads.hashed == {backbone.name: 1, sam.name: 1}
        assert reads.loaded == {backbone.name: 2, sam.name: 2, CARRIED_FILE: 2}


def test_verify_holds_one_network_at_a_time(tiny_sam: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = weightfiles._load, []

    def load(*given: object) -> object:
        gc.collect()
        assert not [network for network in (known() for known in seen) if network is not None]
        made = real(*given)
        seen.append(weakref.ref(made))
        return made

    monkeypatch.setattr(weightfiles, "_load", load)
    names = [models_folder() / name for name in ("a.pth", "b.pth", "c.pth")]
    for path in names:
        shutil.copy(tiny_sam, path)
    assert run("verify", *map(str, names)).exit_code == 0
    assert len(seen) == 3


def test_verify_of_a_backbone_and_of_what_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_packages: None
) -> None:
    monkeypatch.setitem(SPECS, "dinov3_convnext_tiny", small_spec("dinov3_convnext_tiny"))
    state = convnext_meta(saved(convnext_reference()))
    official = models_folder() / SPECS["dinov3_convnext_tiny"].published[0].filename
    torch.save(state, official)
    [row] = json.loads(run("verify", "--json").stdout)
    assert (row["model"], row["identity"], row["loads"]) == ("dinov3_convnext_tiny", "doubtful", True)
    assert row["what"].startswith("a ConvNeXt")
    del state["norm.bias"]
    torch.save(state, official)
    done = run("verify")
    assert done.exit_code == 4
    assert "1 missing" in done.stdout
    other = tmp_path / "other.pth"
    torch.save({"a": torch.ones(2)}, other)
    page = tmp_path / "page.safetensors"
    page.write_text("<html>404</html>")
    done = run("verify", str(other), str(page), str(tmp_path / "absent.pth"), str(tmp_path))
    assert done.exit_code == 4
    assert "no network of searchdet takes it" in done.stdout
    assert "is a web page" in done.stdout
    assert "no such weight file" in done.stdout


def test_a_file_that_rots_is_noticed_although_its_hash_is_remembered(
    serve: Serve, tiny_sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models_folder() / NAME
    shutil.copy(tiny_sam, path)
    good = FileHashes().sha256(path)
    monkeypatch.setattr(FileHashes, "sha256", lambda self, path: good)
    data = bytearray(path.read_bytes())
    data[-40000] ^= 1
    path.write_bytes(bytes(data))
    assert judge(path, Compute("cpu", "fp32"), remembered=True).identity == "official"
    assert run("verify").exit_code == 4
