"""No network, no user's cache, no weights from outside, and no input file ever changed."""

from __future__ import annotations

import functools
import gc
import importlib.util
import itertools
import os
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

# Before NumPy and torch: on pictures this small, threads that wait for each other are most of the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import typer.testing
from hypothesis import settings
from places import FEW, QUICK, TINY_SAM, Figure
from worlds import make_template

REQUIRE_BROWSER = os.environ.pop("SEARCHDET_REQUIRE_BROWSER", "") == "1"
"""Whether to fail without a browser. Taken away, for searchdet warns of what it does not know."""
settings.register_profile("fast", max_examples=20)
settings.register_profile("ci", max_examples=100)
settings.register_profile("nightly", max_examples=500)
settings.load_profile("fast")


WEIGHTS = {"slow": 10, "browser": 4, "process": 4, "model": 1}
"""About how long a test with this mark takes, in seconds."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files go to several processes, the longest ones come first: so none waits for the other."""
    if not hasattr(config, "workerinput"):
        return
    long: Counter[Path] = Counter()
    for item in items:
        long[item.path] += max((WEIGHTS.get(mark.name, 0) for mark in item.iter_markers()), default=0)
    items.sort(key=lambda item: -long[item.path])


def pytest_collection_finish() -> None:
    """What is there before the first test, which is most of all objects, is no matter of the collector;
    it runs less often too, as networks and records make many objects that last."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_unconfigure() -> None:
    """At the end all is collected, or extensions say that it leaks."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    """The parser of the command line is made once for each app, and not at each call of it."""
    with pytest.MonkeyPatch.context() as patch:
        made = functools.cache(typer.testing._get_command)
        patch.setattr(typer.testing, "_get_command", made)
        yield


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Note a measured figure, for the table at the end of the run; the worst of equal names stays."""

    def note(name: str, value: float) -> float:
        record_property(f"figure {name}", float(value))
        return value

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures, from reports: the tests may have run in other processes."""
    figures: dict[str, float] = {}
    for item in (item for group in terminalreporter.stats.values() for item in group):
        for key, value in getattr(item, "user_properties", ()):
            if key.startswith("figure "):
                name = key.removeprefix("figure ")
                figures[name] = max(value, figures.get(name, value))
    if figures:
        terminalreporter.section("figures")
        for name, value in sorted(figures.items()):
            terminalreporter.write_line(f"{name}: {value:.3g}")


@pytest.fixture(scope="session")
def _places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Places for caches and models, one for each test. They are no folders of the factory: to number a
    new one it lists all that it made, and with thousands that takes longer than most tests."""
    root = tmp_path_factory.mktemp("places")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _closed_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _places: Iterator[Path]
) -> Iterator[None]:
    """What a test patches is itself again when its folder, which is made first, is removed."""
    real = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1"):
            return real(self, address)  # a server of the test itself
        raise RuntimeError("a test tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    place = next(_places)
    for name in ("cache", "models"):
        (place / name).mkdir(parents=True)
        monkeypatch.setenv(f"SEARCHDET_{name.upper()}", str(place / name))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SEARCHDET_CONFIG", "")
    monkeypatch.setenv("SEARCHDET_BACKBONE", QUICK)
    monkeypatch.setenv("SEARCHDET_SCORED_MASKS", FEW)
    yield
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def default_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line as it comes, with the backbone that users have."""
    monkeypatch.delenv("SEARCHDET_BACKBONE")
    monkeypatch.delenv("SEARCHDET_SCORED_MASKS")


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no package with weights were installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name.endswith("_pytorch_model") else real(name, *more),
    )


@pytest.fixture(autouse=True)
def _seeded() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.manual_seed(0)


@pytest.fixture
def photo() -> np.ndarray:
    """A small colour picture with structure, (96, 128, 3) uint8."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:96, 0:128]
    base = np.stack([x * 2, y * 2.5, 128 + 60 * np.sin(x / 9) * np.cos(y / 7)], axis=2)
    return np.clip(base + rng.normal(0, 12, base.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_sam() -> Path:
    """The small trained SAM."""
    return TINY_SAM


@pytest.fixture(scope="session")
def tiny_mobile_sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random MobileSAM in the official layout."""
    import mobiles

    return mobiles.saved(mobiles.small_mobile_sam(), tmp_path_factory.mktemp("mobile_sam") / "small.pt")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``world`` and ``made`` copy; nobody writes into it."""
    root = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCHDET_CACHE", str(root / "cache"))
        patch.setenv("SEARCHDET_MODELS", str(root / "models"))
        patch.setenv("SEARCHDET_CONFIG", "")
        patch.setenv("SEARCHDET_BACKBONE", QUICK)
        patch.setenv("SEARCHDET_SCORED_MASKS", FEW)
        patch.chdir(root)
        make_template()
    return root


@pytest.fixture
def cold_world(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """in/: images and exemplars. The working folder is the world."""
    shutil.copytree(template / "in", tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def world(cold_world: Path, template: Path) -> Path:
    """The cold world, after a run: the regions of its pictures are remembered."""
    for kind in ("regions", "guides"):
        shutil.copytree(template / "cache" / kind, Path(os.environ["SEARCHDET_CACHE"]) / kind)
    return cold_world


@pytest.fixture
def made(world: Path, template: Path) -> Path:
    """The world with all that was made of it: out/, idx/ (subfolders left out) and bank.safetensors."""
    for name in ("out", "idx"):
        shutil.copytree(template / name, world / name)
    shutil.copy2(template / "bank.safetensors", world)
    return world


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    import browsing

    with browsing.chromium() as started:
        yield started


@pytest.fixture
def opened(browser: object) -> Iterator[object]:
    """Opens a page in a window of its own."""
    import browsing

    contexts = []

    def new(path: Path, **options: object) -> object:
        contexts.append(browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options)))
        return browsing.Opened(contexts[-1], path)

    yield new
    for context in contexts:
        context.close()
