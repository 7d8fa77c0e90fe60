"""Nothing that is read can run code, and nothing reaches out that was not asked to."""

from __future__ import annotations

import ast
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rooms
import torch
from places import PACKAGE
from typer.testing import CliRunner

from searchdet.cli import app
from searchdet.storage.hashes import cache_folder
from searchdet.weights.folder import models_folder

pytestmark = pytest.mark.model

FORBIDDEN = (
    "subprocess",
    "pickle",
    "marshal",
    "shelve",
    "runpy",
    "dill",
    "joblib",
    "cloudpickle",
    "pip",
    "ensurepip",
    "socket",
    "urllib.request",
    "requests",
    "httpx",
    "torch.hub",
)
PARTS = {"pickle": {"UnpicklingError"}, "socket": {"gethostname"}}
"""Of two of them, what may be used."""
REACHING = {"integrations.sources": {"urllib.request"}}
"""What reaches the network when a person said where to: pictures of the tasks of one Label Studio."""
LISTENING = {
    "socket",
    "getaddrinfo",
    "SOCK_STREAM",
    "AI_PASSIVE",
    "SOL_SOCKET",
    "SO_REUSEADDR",
}
"""What the one module that listens uses of sockets, beside that."""
CALLS = {"eval", "exec", "compile", "__import__"}
SYSTEM = {"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile"}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in rooms.files():
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield name, node


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def test_no_module_can_run_what_it_reads() -> None:
    for name, node in nodes():
        where = f"{name}:{getattr(node, 'lineno', 0)}"
        for module in imported(node):
            whole = isinstance(node, ast.Import) and module in PARTS
            banned = any(f"{module}.".startswith(f"{word}.") for word in FORBIDDEN)
            meant = module in REACHING.get(name, ())
            assert whole or meant or not banned, f"{where} imports {module}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner, attribute = node.value.id, node.attr
            run = attribute in SYSTEM or attribute.startswith(("exec", "spawn"))
            assert not (owner == "os" and run), f"{where}: os.{attribute}"
            assert (owner, attribute) != ("torch", "hub"), where
            parts = PARTS.get(owner, {attribute})
            if owner == "socket" and name == "serve.address":
                parts = parts | LISTENING
            if owner == "socket" and name == "batch.raycluster":  # of the cluster that a person named
                parts = parts | {"create_connection"}
            assert attribute in parts, f"{where}: {owner}.{attribute}"
        if isinstance(node, ast.Attribute) and name == "serve.address":
            assert node.attr not in ("connect", "connect_ex", "create_connection"), where
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in CALLS, f"{where}: {node.func.id}"


def test_every_reader_of_numbers_is_told_not_to_unpickle() -> None:
    seen = set()
    for name, node in nodes():
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        given = {word.arg: word.value for word in node.keywords}
        wanted = {
            ("torch", "load"): ("weights_only", True),
            ("np", "load"): ("allow_pickle", False),
        }.get((owner, node.func.attr))
        if node.func.attr == "load_state_dict":
            wanted = ("strict", True)
        if wanted is None:
            continue
        word, value = wanted
        assert word in given, f"{name}:{node.lineno}"
        assert ast.literal_eval(given[word]) is value, f"{name}:{node.lineno}"
        seen.add(node.func.attr)
    assert {"load", "load_state_dict"} <= seen  # the test looks where it should


SETTINGS = "proposals.transformers_sam.weights"


def test_only_a_pull_reaches_the_hub() -> None:
    reaching = {
        name for name, node in nodes() for m in imported(node) if m.startswith("huggingface_hub")
    }
    # of the hub's package only the errors that transformers raises for settings
    errors = "huggingface_hub.errors"
    settings = {m for name, node in nodes() if name == SETTINGS for m in imported(node)}
    assert {m for m in settings if m.startswith("huggingface_hub")} <= {
        errors,
        f"{errors}.StrictDataclassError",
    }
    assert reaching == {"models.download", SETTINGS}
    importing = set()
    for name, node in nodes():
        if isinstance(node, ast.ImportFrom) and node.level:
            names = {alias.name for alias in node.names} | set((node.module or "").split("."))
            importing |= {name} & ({name} if "download" in names else set())
    assert importing == {"commands.models"}


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.sentinel,))


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "sentinel"
    pickle.loads(pickle.dumps(Payload(path)))  # noqa: S301
    assert path.exists()  # the payload works
    path.unlink()
    yield path
    assert not path.exists(), "a payload ran"


def detect(*words: str) -> object:
    return CliRunner().invoke(app, ["detect", "in/images/a.png", *words, "--no-save"])


POSITIVE = ("--positive", "in/positive", "--negative", "in/negative")


def poison(path: Path, sentinel: Path, plain: bool) -> None:
    value = {"weight": Payload(sentinel)}
    path.write_bytes(pickle.dumps(value)) if plain else torch.save(value, path)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.safetensors"])
def test_weights_given_to_the_command_line(world: Path, sentinel: Path, name: str, plain: bool) -> None:
    poison(world / name, sentinel, plain)
    for words in (
        ("--backbone", "resnet101", "--backbone-ckpt", name, "--proposals", "regions"),
        ("--sam-checkpoint", name),
    ):
        done = detect(*POSITIVE, *words)
        assert done.exit_code == 4, done.stderr
        assert name in done.stderr
    assert CliRunner().invoke(app, ["models", "verify", name]).exit_code == 4


def test_weights_in_the_models_folder(world: Path, sentinel: Path) -> None:
    poison(models_folder() / "sam_vit_b_01ec64.pth", sentinel, False)
    assert detect(*POSITIVE).exit_code == 4  # as official, by its hash
    assert detect(*POSITIVE, "--allow-unverified-weights").exit_code == 4  # by what it is
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 4
    named = {row["name"]: row for row in json.loads(done.stdout)["findings"]}
    assert "run code" in named["weights sam_vit_b_01ec64.pth"]["fact"]
    assert CliRunner().invoke(app, ["models", "verify"]).exit_code == 4


@pytest.mark.parametrize("name", ["w.npz", "w.npy", "w.png", "w.safetensors", "w.pkl"])
def test_pickles_as_images_exemplars_and_banks(world: Path, sentinel: Path, name: str) -> None:
    objects = np.array([Payload(sentinel)], dtype=object)
    path = world / name
    if name == "w.npz":
        np.savez(path, a=objects)
    elif name == "w.npy":
        np.save(path, objects, allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Payload(sentinel)))
    query = CliRunner().invoke(app, ["detect", name, *POSITIVE, "--no-save"])
    assert query.exit_code == 3, query.stderr
    assert detect("--bank", name).exit_code == 4
    assert CliRunner().invoke(app, ["bank", "show", name]).exit_code == 4
    assert CliRunner().invoke(app, ["models", "verify", name]).exit_code == 4
    (world / "in/positive/red" / name).write_bytes(path.read_bytes())
    exemplar = detect(*POSITIVE)
    assert exemplar.exit_code == (4 if name == "w.png" else 0), exemplar.stderr
    assert name in exemplar.stderr


def test_pickles_in_the_cache(world: Path, sentinel: Path) -> None:
    first = detect(*POSITIVE, "--json")
    assert first.exit_code == 0
    entries = [path for path in cache_folder().rglob("*") if path.is_file()]
    assert entries
    for number, path in enumerate(entries):
        if number % 2:
            torch.save(Payload(sentinel), path)
        else:
            path.write_bytes(pickle.dumps(Payload(sentinel)))
    second = detect(*POSITIVE, "--json")
    assert second.exit_code == 0, second.stderr
    before, after = json.loads(first.stdout), json.loads(second.stdout)
    assert [item["bbox"] for item in after["detections"]] == [
        item["bbox"] for item in before["detections"]
    ]
    assert after["detections"]
    assert "cache entry cannot be used" in second.stderr
