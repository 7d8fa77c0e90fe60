"""Imports point downwards only, cost nothing, and only the command line prints."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rooms
from places import PACKAGE, Figure

ROOMS = (
    "__main__",
    "cli",
    "commands",
    "serve",
    "integrations",
    "doctor",
    "models",
    "live",
    "report",
    "benchmark",
    "evaluation",
    "index",
    "batch",
    "__init__",
    "detector",
    "decision",
    "calibration",
    "scoring",
    "suppression",
    "bank",
    "output",
    "exports",
    "exemplars",
    "normality",
    "regions",
    "embeddings",
    "backbones",
    "proposals",
    "annotations",
    "weights",
    "images",
    "records",
    "masks",
    "storage",
    "config",
    "version",
    "errors",
)
"""From the top to the ground: a room imports from rooms below it only."""
MOST_ROOMS, MOST_ARROWS = 38, 320
PRINTING = ("cli", "commands")


FOR_HELP = {
    "annotated_doc",
    "attr",
    "attrs",
    "click",
    "colorama",
    "markdown_it",
    "mdurl",
    "pygments",
    "rich",
    "shellingham",
    "typer",
    "typing_extensions",
}
"""Typer, Rich, and what these need, or look at where it is installed."""
LIGHT = {
    "benchmark",
    "cli",
    "commands",
    "config",
    "errors",
    "exports",
    "proposals",
    "records",
    "storage",
    "version",
}
"""Rooms with names and defaults that the help is made of."""


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


every_file = pytest.mark.parametrize("path", rooms.files(), ids=name_of)


def test_every_room_has_its_floor_and_there_are_few() -> None:
    assert rooms.rooms() == set(ROOMS)
    assert len(ROOMS) <= MOST_ROOMS


def test_arrows_between_rooms_point_downwards_and_are_few() -> None:
    arrows = rooms.arrows()
    upwards = {
        pair: where for pair, where in arrows.items() if ROOMS.index(pair[0]) >= ROOMS.index(pair[1])
    }
    assert not upwards
    assert not rooms.circle(set(arrows))
    assert 100 < len(arrows) <= MOST_ARROWS


def test_a_circle_is_seen() -> None:
    assert rooms.circle({("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")}) == ["a", "b", "c", "a"]
    assert not rooms.circle({("a", "b"), ("a", "c"), ("b", "c")})


@every_file
def test_only_the_command_line_prints_and_nothing_is_asserted(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Assert), f"{path}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print" or rooms.room_of(path) in PRINTING, f"{path}:{node.lineno}"


@pytest.mark.process
@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["detect", "--help"], ["models", "--help"]]
)
def test_help_and_version_import_neither_torch_nor_numpy(words: list[str]) -> None:
    script = (
        "import sys; from searchdet.cli import app\n"
        f"try:\n    app({words!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'timm', 'cv2', 'PIL', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def loaded_by_help() -> set[str]:
    """All modules that `--help` imports."""
    script = (
        "import sys\nbefore = set(sys.modules)\nfrom searchdet.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('loaded', *sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    (line,) = (text for text in done.stdout.splitlines() if text.startswith("loaded "))
    return set(line.split()[1:])


@pytest.mark.process
def test_help_starts_quickly(figure: Figure) -> None:
    """By what it does not do: no other package is loaded than those that print the help."""
    loaded = loaded_by_help()
    others = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names
    assert {"searchdet", "typer", "rich"} <= others <= {"searchdet", *FOR_HELP}
    assert {name.split(".")[1] for name in loaded if name.startswith("searchdet.")} <= LIGHT
    spent = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "searchdet", "--help"], capture_output=True, check=True)
        spent.append(time.perf_counter() - started)
    figure("searchdet --help, best of three, seconds", min(spent))
    figure("searchdet --help, modules", len(loaded))


def test_the_public_names_are_sorted_and_there() -> None:
    import searchdet

    assert sorted(searchdet.__all__) == searchdet.__all__
    for name in searchdet.__all__:
        assert getattr(searchdet, name) is not None
    with pytest.raises(AttributeError):
        _ = searchdet.absent


@every_file
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 320
