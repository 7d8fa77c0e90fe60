"""The files of the page of ``searchdet serve``: that they fit each other, without a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(str(resources.files("searchdet")))
REPORT, SERVE = ROOT / "report" / "assets", ROOT / "serve" / "assets"
ENTRY = "main.js"
IMPORT = re.compile(r'^import \{ ([^}]+) \} from "\./([\w-]+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:function|const|let|class) ([$\w]+)", re.MULTILINE)
PAGE = (SERVE / "serve.html").read_text(encoding="utf-8")


def text_of(name: str) -> str:
    own = SERVE / name
    return (own if own.is_file() else REPORT / name).read_text(encoding="utf-8")


def modules() -> dict[str, str]:
    """All modules that the page loads, by name."""
    found: dict[str, str] = {}
    waiting = [ENTRY]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = text_of(name)
            waiting += [module for _, module in IMPORT.findall(found[name])]
    return found


def test_both_rooms_share_one_list_of_names() -> None:
    names = [{path.name for path in folder.iterdir()} for folder in (REPORT, SERVE)]
    assert names[0] & names[1] == set()


def test_every_import_is_exported_and_every_module_is_used() -> None:
    known = modules()
    assert {path.name for path in SERVE.glob("*.js")} <= known.keys()
    exported = {name: set(EXPORT.findall(text)) for name, text in known.items()}
    for name, text in known.items():
        assert text.count("\nimport ") + text.startswith("import ") == len(IMPORT.findall(text)), name
        for names, module in IMPORT.findall(text):
            assert set(names.split(", ")) <= exported[module], (name, module)


def test_the_page_loads_its_own_files_alone() -> None:
    addresses = re.findall(r'(?:href|src)="([^"]+)"', PAGE)
    assert {text for text in addresses if not text.startswith(("#", "data:,"))} == {
        *(f"/assets/{name}" for name in ("page.css", "controls.css", "viewer.css", "review.css")),
        *("/assets/serve.css", "/assets/window.css", f"/assets/{ENTRY}"),
    }
    for address in re.findall(r"/assets/([\w.]+)", PAGE):
        assert text_of(address)
    assert not re.search(r"<style|<script(?! type=\"module\" src=)|\son\w+=|\sstyle=", PAGE)


def test_every_element_that_is_asked_for_is_there() -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', PAGE))
    shared = {"image.js", "base.js", "rule.js"}
    for name, text in modules().items():
        for asked in re.findall(r'\$\("([\w-]+)"\)', text) if name not in shared else []:
            assert asked in ids, (name, asked)


@pytest.mark.parametrize("name", sorted(modules()))
def test_nothing_is_made_from_html_text(name: str) -> None:
    text = modules()[name]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
    )
    assert 'setAttribute("style"' not in text, "the policy refuses it"
    assert len(text.splitlines()) <= 320


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
def test_every_module_is_sound(tmp_path: Path) -> None:
    for name, text in modules().items():
        (tmp_path / name.replace(".js", ".mjs")).write_text(text, encoding="utf-8")
    paths = sorted(tmp_path.glob("*.mjs"))
    for path in paths:
        done = subprocess.run(["node", "--check", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
