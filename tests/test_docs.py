"""The documents: links lead somewhere, commands parse, settings load, Python runs."""

from __future__ import annotations

import ast
import importlib.util
import json
import logging
import re
import shlex
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from PIL import Image
from places import ROOT

from searchdet import config
from searchdet.cli import app
from searchdet.commands.settings.file import RESERVED, FileSettings, load
from searchdet.detector import Detector

GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    ROOT / "README.md",
    ROOT / "README.ru.md",
    *GUIDES,
    *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")),
    *(ROOT / name / "README.md" for name in ("models", "benchmarks")),
]
TREE = typer.main.get_command(app)
LEADING = {"do", "then", "if", "else", "!", "time", "while"}
"""Words of a shell that a command may follow."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


WRONG = (AssertionError, pytest.fail.Exception, *typer.BadParameter.__bases__)
"""What ``check`` raises; the last is Click's UsageError."""
pages = pytest.mark.parametrize("page", PAGES, ids=name_of)


@dataclass(frozen=True)
class Fence:
    """A block of code. run: it has no comment before it that says it is not run."""

    language: str
    code: str
    run: bool


_FENCE = re.compile(
    r"(?:^<!-- (not run)[^\n]*-->\n)?^(?P<lead> *)```(\w*)\n(.*?)^(?P=lead)```$", re.M | re.S
)


def fences(page: Path, *languages: str) -> list[Fence]:
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    blocks = [Fence(item[3], textwrap.dedent(item[4]), item[1] is None) for item in found]
    return [block for block in blocks if block.language in languages]


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """Code within sentences."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def anchors(page: Path) -> set[str]:
    """Names of the headings, as GitHub makes them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found[plain] = found.get(plain, 0) + 1
    return {name if n == 0 else f"{name}-{n}" for name, count in found.items() for n in range(count)}


def links(page: Path) -> list[str]:
    text = re.sub(r"`[^`]+`", "code", prose(page))
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pages
def test_links_lead_to_a_file_and_its_heading(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_guide_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    assert {page.name for page in GUIDES} - {index.name} <= set(links(index))


@pages
def test_pages_name_no_folder_of_a_machine(page: Path) -> None:
    assert not re.search(r"/(work|tmp|root)/", page.read_text(encoding="utf-8"))


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_what_the_commands_say() -> None:
    module = script("make_commands")
    assert module.TARGET.read_text(encoding="utf-8") == module.page(), "run `make docs`"


def test_the_first_page_is_read_to_its_end() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 130


def leaf(words: list[str]) -> tuple[Any, tuple[str, ...], list[str]]:
    """The command that words begin with, its path, and the other words."""
    command, path = TREE, ()
    while words and getattr(command, "commands", None):
        assert words[0] in command.commands, f"there is no command {words[0]!r}"
        command, path, words = command.commands[words[0]], (*path, words[0]), words[1:]
    return command, path, words


def check(words: list[str]) -> None:
    """Raise if the command line would not take these words; nothing is executed."""
    if not words or words[0].startswith("-"):
        known = {flag for param in TREE.params for flag in param.opts} | {"--help", "-h"}
        assert set(words) <= known, words
        return
    command, path, rest = leaf(words)
    if getattr(command, "commands", None):
        pytest.fail(f"{' '.join(path)} is a group")
    try:
        context = command.make_context(" ".join(path), list(rest), obj=FileSettings({}))
    except typer.Exit:  # --help
        return
    if path == ("eval",) and context.args:
        check(["detect", "images", *context.args])


def commands(code: str) -> Iterator[list[str]]:
    """The words after each `searchdet` of a shell script."""
    for line in code.replace("\\\n", " ").splitlines():
        if "searchdet " not in line:
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if not set(token) <= set("();<>|&"):
                words.append(token)
                continue
            if token.startswith(">") and words and words[-1].isdigit():
                words.pop()
            while words and (words[0] in LEADING or re.match(r"\w+=", words[0])):
                words.pop(0)
            if words and words[0] == "searchdet":
                yield words[1:]
            words = []


@pages
def test_commands_in_blocks_parse(page: Path) -> None:
    for block in fences(page, "", "sh"):
        for words in commands(block.code):
            try:
                check(words)
            except Exception as error:
                reason = getattr(error, "message", str(error))
                pytest.fail(f"searchdet {shlex.join(words)}: {reason}")


def test_blocks_of_commands_are_found() -> None:
    """Else the test above would pass for nothing."""
    found = [
        words for page in PAGES for block in fences(page, "", "sh") for words in commands(block.code)
    ]
    assert len(found) > 80
    assert {words[0] for words in found if words} >= set(TREE.commands)
    assert ["detect", "a b", "--no-save"] in list(
        commands("if X=1 searchdet detect 'a b' --no-save 2> c; then")
    )
    for wrong in (
        ["detcet", "x"],
        ["detect"],
        ["detect", "x", "--min-scor", "1"],
        ["bank"],
        ["search", "x", "y"],
    ):
        with pytest.raises(WRONG):
            check(wrong)
    with pytest.raises(WRONG):
        check(["eval", "truth.json", "out", "--images", "x", "--posittive", "y"])


def parameters() -> Iterator[Any]:
    todo = [TREE]
    while todo:
        command = todo.pop()
        yield from command.params
        todo += getattr(command, "commands", {}).values()


def foreign(page: Path) -> set[str]:
    """Flags of another program: those in the first cells of tables that are headed ``original``."""
    tables = re.findall(r"^\| original \|.*?(?=\n\n)", page.read_text(encoding="utf-8"), re.M | re.S)
    cells = [row.split(" | ")[0] for table in tables for row in table.splitlines()]
    return {flag for cell in cells for flag in re.findall(r"`(--[a-z][\w-]*)`", cell)}


@pages
def test_commands_options_and_variables_in_sentences_exist(page: Path) -> None:
    flags = {flag for param in parameters() for flag in (*param.opts, *param.secondary_opts)}
    flags |= foreign(page)
    known = {str(param.envvar) for param in parameters() if param.envvar} | {
        *RESERVED,
        "SEARCHDET_REQUIRE_BROWSER",
    }
    for span in spans(page):
        script = re.match(r"python (\S+\.py)\b", span)
        own = set(re.findall(r'"(--[a-z-]+)"', (ROOT / script[1]).read_text())) if script else flags
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", span):
            assert flag in own | {"--help"}, span
        if span.startswith("searchdet ") and re.match(r"searchdet [a-z]+\b(?!/)", span):
            words = span.split()[1:]
            while words and words[-1].startswith("-"):
                words.pop()
            leaf([word for word in words if word.isalpha() and word.islower()])
    for variable in re.findall(r"\bSEARCHDET_[A-Z][A-Z_]*", page.read_text(encoding="utf-8")):
        assert variable in known, variable


def test_what_the_tests_of_pages_look_at_is_there() -> None:
    """Else those about words in sentences, settings, JSON and Python would pass for nothing."""
    words = [span for page in PAGES for span in spans(page)]
    assert sum("--" in span for span in words) > 100
    assert sum(span.startswith("searchdet ") for span in words) > 20
    assert len(re.findall(r"SEARCHDET_[A-Z]", "".join(page.read_text("utf-8") for page in PAGES))) > 50
    for language in ("toml", "json", "python"):
        assert any(fences(page, language) for page in PAGES), language
    code = "".join(block.code for page in PAGES for block in fences(page, "python"))
    assert code.count("Detector.from_folders(") > 1
    assert sum(block.run for page in GUIDES for block in fences(page, "python")) > 3
    named = [span for span in spans(ROOT / "CONTRIBUTING.md") if span.startswith("searchdet/")]
    assert len(named) > 15


@pages
def test_settings_and_json_load(page: Path, tmp_path: Path) -> None:
    for block in fences(page, "toml"):
        file = tmp_path / "searchdet.toml"
        file.write_text(block.code, encoding="utf-8")
        assert load((file,), TREE).values
    for block in fences(page, "json"):
        assert json.loads(block.code)


@pages
def test_python_compiles_and_its_options_exist(page: Path) -> None:
    kinds = [kind for name, kind in vars(config).items() if name.endswith("Options")]
    known = {"bank", "backbone", "backbone_checkpoint", "proposals", "cache", "max_pixels"}
    known |= {field.name for kind in kinds for field in fields(kind)} | {"sam_checkpoint"}
    for block in fences(page, "python"):
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Detector.from_folders":
                assert {keyword.arg for keyword in node.keywords} <= known


@pytest.fixture
def place(world: Path) -> Iterator[Path]:
    """A folder with what the guides speak of."""
    for theirs, ours in (
        ("positive", "examples"),
        ("negative", "counterexamples"),
        ("images", "photos"),
    ):
        shutil.copytree(world / "in" / theirs, world / ours)
    (world / "demo" / "coins").mkdir(parents=True)
    shutil.copy(world / "in/images/a.png", world / "demo/coins/coins.png")
    Image.open(world / "in/images/a.png").save(world / "photo.jpg", quality=95)
    logger = logging.getLogger("searchdet")
    level = logger.level
    yield world
    logger.setLevel(level)


@pytest.mark.model
@pytest.mark.parametrize(
    "page", [page for page in GUIDES if any(b.run for b in fences(page, "python"))], ids=name_of
)
def test_python_of_the_guides_runs(page: Path, place: Path) -> None:
    """Blocks of one page share their names, as a reader would have them."""
    names: dict[str, Any] = {}
    for block in fences(page, "python"):
        if block.run:
            exec(compile(block.code, name_of(page), "exec"), names)
    if page.name == "python.md":
        assert isinstance(names["detector"], Detector)
        assert names["best"].label == "red"
        assert (place / "dataset/detections.csv").is_file()


def test_files_named_in_contributing_are_there() -> None:
    for span in spans(ROOT / "CONTRIBUTING.md"):
        if re.match(r"(searchdet|tests|docs|benchmarks|models)/", span):
            assert list(ROOT.glob(span)), span
