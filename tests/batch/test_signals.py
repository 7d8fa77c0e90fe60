"""Signals: what is done is finished, and then the process ends by the signal, so that loops end too."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner
from worlds import hang

from searchdet.cli import app
from searchdet.commands.console import end_as_told

if sys.platform == "win32":
    pytest.skip("signals of another kind", allow_module_level=True)

import fcntl
import pty
import termios

pytestmark = [pytest.mark.model, pytest.mark.process]
HUNG = "(open('hung', 'a').write('x'), time.sleep(600))"


def heeding() -> None:
    """In the child: what a background job of a shell ignores is heeded again."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 100
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)


def is_whole(out: Path) -> bool:
    """No part of a file, and every JSON file can be read."""
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    return not list(out.rglob("*.tmp")) and (out / "run.json").exists()


def goes_on(out: Path) -> bool:
    words = ["detect", "in/images", "-r", "--positive", "in/positive", "--negative", "in/negative"]
    assert CliRunner().invoke(app, [*words, "-o", str(out)]).exit_code == 0
    return len(list((out / "records").rglob("*.json"))) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_is_done(cold_world: Path, number: signal.Signals) -> None:
    words = hang(cold_world, HUNG)
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heeding) as process:
        wait_for(cold_world / "hung", process)
        process.send_signal(number)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == -number, said
    assert "Run again to go on" in said
    assert is_whole(cold_world / "out")
    assert goes_on(cold_world / "out")


def in_terminal(words: list[str]) -> tuple[subprocess.Popen[str], int]:
    """A program in a terminal of its own, and the end of it that a keyboard has."""
    keyboard, screen = pty.openpty()

    def fresh() -> None:
        os.setsid()
        fcntl.ioctl(screen, termios.TIOCSCTTY, 0)
        heeding()

    process = subprocess.Popen(words, stdin=screen, preexec_fn=fresh, text=True)
    os.close(screen)
    return process, keyboard


def end(process: subprocess.Popen[str]) -> None:
    """End it with all that it started, where it has not ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("more", [[], ["--timeout", "100"]])
def test_ctrl_c_ends_a_loop_of_a_shell(cold_world: Path, more: list[str]) -> None:
    command = shlex.join([*hang(cold_world, HUNG), *more])
    loop = f"for i in 1 2 3; do echo $i >> begun; {command} 2>> said; echo $? >> ended; done"
    process, keyboard = in_terminal(["bash", "-c", loop])
    try:
        wait_for(cold_world / "hung", process)
        os.write(keyboard, b"\x03")
        process.wait(timeout=60)
    finally:
        end(process)
        os.close(keyboard)
    said = (cold_world / "said").read_text()
    assert (cold_world / "begun").read_text() == "1\n", said
    assert not (cold_world / "ended").exists(), "the loop went on"
    assert process.returncode == -signal.SIGINT
    assert "Run again to go on" in said
    assert "Traceback" not in said
    assert "crash" not in said
    assert is_whole(cold_world / "out")
    assert goes_on(cold_world / "out")


@pytest.mark.parametrize("more", [[], ["--timeout", "100"]])
def test_ctrl_c_while_models_load_leaves_nothing_behind(cold_world: Path, more: list[str]) -> None:
    words = hang(cold_world, HUNG)
    script = Path(words[1])
    wait = "from searchdet import detector\nreal_build = detector.Detector.build\n"
    wait += f"def build(*a, **k):\n    {HUNG}\n    return real_build(*a, **k)\n"
    script.write_text(f"import time\n{wait}detector.Detector.build = build\n{script.read_text()}")
    process, keyboard = in_terminal(["bash", "-c", f"{shlex.join([*words, *more])} 2>> said; true"])
    try:
        wait_for(cold_world / "hung", process)
        os.write(keyboard, b"\x03")
        process.wait(timeout=60)
    finally:
        end(process)
        os.close(keyboard)
    said = (cold_world / "said").read_text()
    assert process.returncode == -signal.SIGINT, said
    assert said.splitlines()[-1] == "Stopped."
    assert "Traceback" not in said
    assert not list((cold_world / "out").rglob("*.tmp"))


def test_a_group_that_is_told_to_end_records_no_crash(cold_world: Path) -> None:
    """As schedulers do it: each process of the group is sent the signal, the worker first."""
    body = "(os.rename(open('pid', 'w').write(str(os.getpid())) and 'pid', 'hung'), time.sleep(600))"
    words = [*hang(cold_world, body), "--timeout", "100"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for(cold_world / "hung", process)
        os.kill(int((cold_world / "hung").read_text()), signal.SIGTERM)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        end(process)
    assert process.returncode == -signal.SIGTERM, said
    assert "Run again to go on" in said
    assert "crash" not in said
    assert is_whole(cold_world / "out")
    assert goes_on(cold_world / "out")


def test_a_worker_that_is_not_asked_ends_with_its_program(world: Path) -> None:
    script = world / "start.py"
    script.write_text(
        "from pathlib import Path\n"
        "from searchdet.batch import Worker, WorkerSpec\n"
        "from searchdet.config import Examples, Settings\n"
        "def prepare():\n    Path('pid').write_text(str(__import__('os').getpid()))\n"
        "if __name__ == '__main__':\n"
        "    examples = Examples(positive=Path('in/positive'))\n"
        "    Worker(WorkerSpec(examples, Settings(), None, prepare), 100).start()\n"
    )
    run = subprocess.run([sys.executable, str(script)], timeout=100, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int((world / "pid").read_text()), 0)


def test_a_second_signal_ends_at_once(cold_world: Path) -> None:
    words = hang(cold_world, HUNG)
    script = Path(words[1])
    slow = "from searchdet.output import Output\n"
    slow += "Output.finish = lambda *_: (open('finishing', 'w').close(), time.sleep(600))\n"
    script.write_text(f"{slow}{script.read_text()}")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heeding) as process:
        for name in ("hung", "finishing"):
            wait_for(cold_world / name, process)
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize("command", ["export", "report", "eval"])
def test_commands_without_an_own_end_are_ended_by_the_signal(world: Path, command: str) -> None:
    script = world / "wait.py"
    script.write_text(
        "import time\nfrom searchdet.output import folder\nimport searchdet.output as output\n"
        "def wait(*_, **__):\n    open('hung', 'w').close()\n    time.sleep(600)\n    yield\n"
        "folder.read_records = output.read_records = wait\n"
        "from searchdet.cli import main\nmain()\n"
    )
    (world / "truth.json").write_text('{"images": [], "annotations": [], "categories": []}')
    words = {"eval": ["eval", "truth.json", "out"]}.get(command, [command, "out"])
    run = [sys.executable, str(script), *words]
    with subprocess.Popen(run, stderr=subprocess.PIPE, text=True, preexec_fn=heeding) as process:
        wait_for(world / "hung", process)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("code", "sent"),
    [(130, [signal.SIGINT]), (143, [signal.SIGTERM]), (0, []), (3, []), (None, []), ("text", [])],
)
def test_only_codes_of_signals_end_the_process(
    monkeypatch: pytest.MonkeyPatch, code: object, sent: list[int]
) -> None:
    told: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: told.append(number))
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        end_as_told(code)
        assert told == sent
        monkeypatch.setattr(os, "name", "nt")
        end_as_told(code)
        assert told == sent, "there is no such end on Windows"
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
