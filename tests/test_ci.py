"""What decides does not pass where the tests of the report could not run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs bash")


def tool(folder: Path, name: str, line: str) -> None:
    path = folder / name
    path.write_text(f"#!{BASH}\n{line}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of the few programs that the script finds: its user is root, `make` notes its calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "dirname").symlink_to(str(shutil.which("dirname")))
    tool(folder, "id", "echo 0")
    tool(folder, "timeout", 'shift; "$@"')
    tool(folder, "make", f'echo "$1 ${{SEARCHDET_REQUIRE_BROWSER:-0}}" >> {tmp_path}/made')
    return folder


def run(tools: Path, **more: str) -> tuple[int, str, list[str]]:
    """(exit code, stderr, what make was called with)."""
    done = subprocess.run(
        [str(BASH), str(ROOT / ".ci/run")],
        env={"PATH": str(tools), **more},
        capture_output=True,
        text=True,
        check=False,
    )
    made = tools.parent / "made"
    return done.returncode, done.stderr, made.read_text().splitlines() if made.exists() else []


def test_with_a_browser_its_tests_must_run(tools: Path) -> None:
    tool(tools, "google-chrome", "exit 0")
    assert run(tools) == (0, "", ["lint 1", "test-all 1"])


def test_a_browser_is_installed(tools: Path) -> None:
    chmod, made = shutil.which("chmod"), tools / "chromium"
    tool(tools, "apt-get", f"[ $1 = update ] || {{ echo > {made}; {chmod} +x {made}; }}")
    assert run(tools) == (0, "", ["lint 1", "test-all 1"])


@pytest.mark.parametrize(
    "install", ["exit 1", "exit 0", "[ $1 = update ]"], ids=["no update", "no file", "no install"]
)
def test_a_browser_that_could_not_be_installed_is_an_error(tools: Path, install: str) -> None:
    tool(tools, "apt-get", install)
    code, said, made = run(tools)
    assert (code, made) == (1, [])
    assert "Chromium is missing and could not be installed" in said


def test_where_none_can_be_installed_only_a_person_may_go_without(tools: Path) -> None:
    tool(tools, "id", "echo 1000")
    tool(tools, "apt-get", "exit 0")
    code, said, made = run(tools)
    assert (code, made) == (0, ["lint 0", "test-all 0"])
    assert "are skipped" in said
    (tools.parent / "made").unlink()
    code, said, made = run(tools, CI="true")
    assert (code, made) == (1, [])
    assert "root and apt-get are needed" in said


@pytest.mark.process
@pytest.mark.parametrize(("required", "code", "says"), [("1", 2, "no Chromium"), ("", 5, "skipped")])
def test_the_tests_of_the_report_are_not_skipped_where_a_browser_is_required(
    tmp_path: Path, required: str, code: int, says: str
) -> None:
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/report/test_report_browser.py",
    ]
    environment = {**os.environ, "PATH": str(tmp_path), "SEARCHDET_REQUIRE_BROWSER": required}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout
    assert says in done.stdout
    assert "passed" not in done.stdout
