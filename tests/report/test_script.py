"""The one script of the page: modules joined, and what cannot be joined refused."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from searchdet.report.page import SCRIPT
from searchdet.report.script import joined

ASSETS = resources.files("searchdet.report") / "assets"
NODE = shutil.which("node")


def reading(modules: dict[str, str]) -> Callable[[str], str]:
    return lambda name: modules[name]


def test_modules_stand_after_those_they_import() -> None:
    modules = {
        "a.js": '// A\nimport { b } from "./b.js";\nimport { c, $ } from "./c.js";\n\nb(c, $);\n',
        "b.js": 'import { c } from "./c.js";\n\nexport function b() {\n  return c;\n}\n',
        "c.js": "export const c = 1;\nexport const $ = 2;\nexport class D {}\nconst own = `import`;\n",
    }
    assert joined("a.js", reading(modules)) == (
        "const c = 1;\nconst $ = 2;\nclass D {}\nconst own = `import`;\n\n"
        "function b() {\n  return c;\n}\n\n"
        "// A\n\nb(c, $);\n"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('import { b as c } from "./b.js";', r"a.js:2: cannot be joined: import \{ b as c \}"),
        ('import * as b from "./b.js";', "cannot be joined"),
        ('import b from "./b.js";', "cannot be joined"),
        ('import "./b.js";', "cannot be joined"),
        ("import {", "cannot be joined"),
        ('import { b } from "./b.js"; b();', "cannot be joined"),
        ('import { b } from "../b.js";', "cannot be joined"),
        ('  import { b } from "./b.js";', "cannot be joined"),
        ('const b = await import("./b.js");', "cannot be joined"),
        ('go(import("./b.js"));', "cannot be joined"),
        ("go(import.meta.url);", "cannot be joined"),
        ("export default 1;", "cannot be joined"),
        ("export { a };", "cannot be joined"),
        ('export { b } from "./b.js";', "cannot be joined"),
        ('export * from "./b.js";', "cannot be joined"),
        ("export let { c } = {};", "cannot be joined"),
        ("const { c } = {};", "cannot be joined"),
        ("var c = 1;", "cannot be joined"),
        ("function* c() {", "cannot be joined"),
        ('import { c } from "./b.js";', "a.js:2: b.js does not export c"),
        ('import { hidden } from "./b.js";', "b.js does not export hidden"),
        ("const a = 1;", "a.js:2: a is declared in a.js too"),
        ('import { b } from "./b.js";const b = 2;', "cannot be joined"),
        ('import { circle } from "./circle.js";', "import each other: a.js -> circle.js -> a.js"),
    ],
)
def test_what_is_not_plain_is_refused(line: str, said: str) -> None:
    modules = {
        "a.js": f"export const a = 0;\n{line}\n",
        "b.js": "export const b = 1;\nconst hidden = 2;\n",
        "circle.js": 'import { a } from "./a.js";\nexport const circle = a;\n',
    }
    with pytest.raises(ValueError, match=said):
        joined("a.js", reading(modules))


def test_a_name_of_two_modules_is_refused() -> None:
    modules = {
        "a.js": 'import { b } from "./b.js";\nasync function hidden() {}\n',
        "b.js": "export const b = 1;\nlet hidden = 2;\n",
    }
    with pytest.raises(ValueError, match=r"a.js:2: hidden is declared in b.js too"):
        joined("a.js", reading(modules))


def test_every_module_is_in_the_page_and_nothing_of_modules_is_left(tmp_path: Path) -> None:
    read: list[str] = []

    def asset(name: str) -> str:
        read.append(name)
        return (ASSETS / name).read_text(encoding="utf-8")

    text = joined(SCRIPT, asset)
    assert sorted(read) == sorted(item.name for item in ASSETS.iterdir() if item.name.endswith(".js"))
    assert not re.search(r"^\s*(import|export)\b", text, re.MULTILINE)
    assert text.endswith('dataset.ready = "";\n'), "what starts the page stands last"
    if NODE is not None:
        path = tmp_path / "page.cjs"
        path.write_text(f'"use strict";\n(() => {{\n{text}}})();\n', encoding="utf-8")
        done = subprocess.run([NODE, "--check", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
