"""The documents about the code: rooms, walks, forms and fields are what the code has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import rooms
from places import QUICK, ROOT, TESTS
from test_docs import prose, script, spans
from worlds import make_world

from searchdet import Detector
from searchdet.records.rule import REASONS

ARCHITECTURE = ROOT / "docs/architecture.md"
RESULTS = ROOT / "docs/results.md"


def section(page: Path, title: str) -> str:
    """The text below a heading, up to the next of its kind or above."""
    found = re.search(
        rf"^(#+) {re.escape(title)}$\n(.*?)(?=^#{{1,2}} |\Z)", page.read_text(), re.M | re.S
    )
    assert found is not None, title
    return found[2]


def first_column(text: str) -> set[str]:
    """The code spans of the first cell of each row of its tables."""
    cells = re.findall(r"^\| (`[^|]*) \|", text, re.M)
    return {span for cell in cells for span in re.findall(r"`([^`]+)`", cell)}


def test_the_picture_of_the_rooms_is_what_the_code_says() -> None:
    module = script("make_architecture")
    assert module.TARGET.read_text(encoding="utf-8") == module.picture(), "run `make docs`"


def test_implied_arrows_are_not_drawn_and_floors_go_up() -> None:
    module = script("make_architecture")
    edges = {("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")}
    assert module.reduced(edges) == edges - {("a", "c")}
    assert module.floors(set("abcd"), edges) == {"a": 2, "b": 1, "c": 0, "d": 1}
    named = {room for _, names in module.KINDS.values() for room in names.split()}
    assert named <= rooms.rooms()


def test_every_room_has_its_line() -> None:
    listed = first_column(section(ROOT / "CONTRIBUTING.md", "Layout"))
    assert {name.removesuffix(".py").rstrip("/") for name in listed} == rooms.rooms() - {
        "__init__",
        "__main__",
    }


def defined(path: Path) -> set[str]:
    """Names of the functions and classes of a file, ``Class.method`` among them."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [item for item in node.body if isinstance(item, ast.FunctionDef)]
            found |= {f"{node.name}.{item.name}" for item in inner}
    return found


def test_the_steps_of_the_walks_are_in_the_code() -> None:
    named = re.findall(r"`(searchdet/[\w/]+\.py)`(?: `([\w.]+)`)?", prose(ARCHITECTURE))
    assert len(named) > 50
    for file, name in named:
        assert (ROOT / file).is_file(), file
        assert not name or name in defined(ROOT / file), f"{file} {name}"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("record") / "in"
    make_world(folder)
    folders = folder / "positive", folder / "negative"
    detector = Detector.from_folders(*folders, backbone=QUICK, proposals="regions")
    return dict(detector.detect(folder / "images" / "a.png").to_json())


def test_every_field_of_a_record_has_its_line(record: dict[str, object]) -> None:
    table = "\n".join(
        line.rsplit(" | ", 1)[0] + " |" for line in section(RESULTS, "A record").splitlines()
    )
    assert first_column(table) == set(record)
    candidates = record["detections"]
    assert isinstance(candidates, list)
    described = section(RESULTS, "A candidate")
    assert first_column(described) - set(REASONS) == set(candidates[0]) - set(REASONS)
    assert set(REASONS) <= first_column(described)


def test_the_fields_of_the_glossary_are_in_a_record(record: dict[str, object]) -> None:
    text = repr(record)
    for field in first_column(section(ROOT / "docs/glossary.md", "Fields of a record")) - {"partial"}:
        assert f"'{field}'" in text or field == "verified", field


def test_every_page_of_the_site_is_in_its_menu() -> None:
    menu = set(re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
    module = script("site_pages")
    own = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert menu == own | set(module.PAGES.values())


def test_links_fit_the_site() -> None:
    module = script("site_pages")
    known = {"index.md", "contributing.md", "thresholds.md", "report.png"}

    def linked(text: str, source: str, page: str) -> str:
        return str(module.relinked(text, source, page, known))

    assert linked("[a](docs/thresholds.md#b)", "README.md", "index.md") == "[a](thresholds.md#b)"
    assert linked("![a](docs/report.png)", "README.md", "index.md") == "![a](report.png)"
    assert linked("[`a`](../README.md)", "docs/thresholds.md", "thresholds.md") == "[`a`](index.md)"
    assert linked("[a](../examples)", "docs/thresholds.md", "thresholds.md") == "a"
    assert linked("[a](#b) [c](https://d.org)", "README.md", "index.md") == "[a](#b) [c](https://d.org)"
    block = "```\n[a](docs/thresholds.md)\n```\n"
    assert linked(block, "README.md", "index.md") == block


def test_tests_of_the_promises_are_there() -> None:
    named = re.findall(r"`([\w/]*test_\w+\.py)`", prose(ROOT / "docs/reliability.md"))
    assert len(named) > 20
    for name in named:
        assert (TESTS / name.removeprefix("tests/")).is_file(), name


def test_spans_of_the_architecture_name_files() -> None:
    for span in spans(ARCHITECTURE):
        if re.match(r"(searchdet|tests|docs)/\S+\.\w+$", span):
            assert (ROOT / span).is_file(), span
