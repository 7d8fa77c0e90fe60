"""Imports point downwards only, cost nothing, and only the command line prints."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Figure

PACKAGE = Path(__file__).parents[1] / "searchdet"
LAYERS = (
    "__init__",
    "__main__",
    "cli",
    "cli_bank",
    "cli_cache",
    "cli_detect",
    "cli_index",
    "cli_export",
    "cli_config",
    "cli_models",
    "cli_doctor",
    "cli_report",
    "console",
    "options",
    "settingsexample",
    "settingsfile",
    "commandtree",
    "demo",
    "doctor",
    "environment",
    "finding",
    "canary",
    "weightfiles",
    "pull",
    "catalogue",
    "report",
    "report.page",
    "report.pictures",
    "report.contents",
    "report.outlines",
    "worker",
    "batch",
    "indexing",
    "output",
    "banking",
    "detector",
    "searching",
    "index",
    "judge",
    "examples",
    "automask",
    "deciding",
    "remembered",
    "describe",
    "tiling",
    "enrol",
    "bankfile",
    "exports",
    "exports.coco",
    "exports.yolo",
    "exports.labelme",
    "exports.labelstudio",
    "exports.voc",
    "exports.table",
    "exports.job",
    "exports.markup",
    "exports.types",
    "exports.outlines",
    "exports.bridges",
    "pictures",
    "render",
    "scorecard",
    "evaluation",
    "discovery",
    "limits",
    "records",
    "calibration",
    "suppression",
    "scoring",
    "audit",
    "bank",
    "embeddings",
    "exemplars",
    "exemplars.folders",
    "exemplars.coco",
    "exemplars.read",
    "exemplars.types",
    "exemplars.labelme",
    "exemplars.shapes",
    "truth",
    "proposals",
    "proposals.sam.plan",
    "proposals.sam.deferred",
    "proposals.sam",
    "proposals.sam.generator",
    "proposals.sam.decoder",
    "proposals.sam.crossing",
    "proposals.sam.upscaling",
    "proposals.sam.encoder",
    "proposals.sam.weights",
    "proposals.regions",
    "proposals.hierarchy",
    "proposals.prompts",
    "proposals.filters",
    "proposals.unique",
    "proposals.types",
    "proposals.frame",
    "proposals.outline",
    "proposals.rle",
    "backbones",
    "backbones.filterbank",
    "backbones.deferred",
    "backbones.network",
    "backbones.identify",
    "backbones.dinov3_convnext",
    "backbones.vit",
    "backbones.resnet",
    "backbones.types",
    "weights",
    "hub",
    "loaded",
    "devices",
    "checkpoints",
    "cachefolder",
    "cache",
    "hashes",
    "tensors",
    "images",
    "files",
    "kinds",
    "provenance",
    "config",
    "errors",
    "logs",
    "version",
)


PRINTING = (
    "cli",
    "cli_bank",
    "cli_cache",
    "cli_config",
    "cli_detect",
    "cli_doctor",
    "cli_export",
    "cli_index",
    "cli_models",
    "cli_report",
    "console",
)


FOR_HELP = {
    "annotated_doc",
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
"""Typer, Rich, and what these need."""


def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


def imports_of(name: str, path: Path) -> set[str]:
    """Our own modules that a module imports, at any depth of its code."""
    package = name.split(".")[:-1] if path.name != "__init__.py" else name.split(".")
    package = [] if package == ["__init__"] else package
    known, out = set(modules()), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        base = package[: len(package) - (node.level - 1)]
        stem = [*base, *(node.module.split(".") if node.module else [])]
        for alias in node.names:
            whole = ".".join([*stem, alias.name])
            out.add(whole if whole in known else ".".join(stem))
    return out - {""}


def test_every_module_has_its_layer() -> None:
    assert set(modules()) == set(LAYERS)


def test_imports_are_found_at_any_depth() -> None:
    """Else the test below would pass for nothing."""
    found = {name: imports_of(name, path) for name, path in modules().items()}
    assert {"cli_bank", "console", "errors", "output"} <= found["cli"]  # the last two in functions
    assert {"checkpoints", "config", "proposals.filters"} <= found["proposals.sam"]
    assert sum(map(len, found.values())) > 300


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_point_downwards(name: str) -> None:
    for other in imports_of(name, modules()[name]):
        assert LAYERS.index(other) > LAYERS.index(name), f"{name} imports {other}"


@pytest.mark.parametrize("name", sorted(modules()))
def test_only_the_command_line_prints_and_nothing_is_asserted(name: str) -> None:
    for node in ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Assert), f"{name}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print" or name in PRINTING, f"{name}:{node.lineno}"


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


def test_help_starts_quickly(figure: Figure) -> None:
    """By what it does not do: no other package is loaded than those that print the help."""
    loaded = loaded_by_help()
    others = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names
    assert {"searchdet", "typer", "rich"} <= others <= {"searchdet", *FOR_HELP}
    own = {name for name in loaded if name.startswith("searchdet.")}
    assert len(own) <= 30, sorted(own)
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


def test_files_stay_small() -> None:
    for name, path in modules().items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= (350 if name == "cli" else 320), f"{name} has {lines} lines"
