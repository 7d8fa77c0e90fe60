"""The files in examples/cluster: their form, and that `searchdet` has every option they name."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_docs import check

from searchdet.images import parse_shard

FOLDER = Path(__file__).parents[2] / "examples/cluster"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.iterdir())}


def commands(text: str) -> list[list[str]]:
    """Every call of searchdet in a file, in its comments too."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = re.findall(r"\bsearchdet ((?:detect|merge|bank)\b[^\n\"]*)", joined)
    return [shlex.split(line) for line in found]


def pod() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(TEXTS["kubernetes.yaml"])
    return made


def script() -> str:
    """What the pod runs."""
    container = pod()["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["sh", "-c"]
    assert container["args"][0].endswith("|| [ $? -eq 3 ]"), "images that failed are no failed pod"
    return str(container["args"][0])


def test_every_option_in_them_is_one() -> None:
    for name, text in TEXTS.items():
        found = commands(text)
        if name == "kubernetes.yaml":
            found += commands(script().partition("||")[0])
        assert any(words[0] == "detect" for words in found), name
        for words in found:
            check(words)
    with pytest.raises(Exception, match="No such option: --shards"):
        check(["detect", "photos", "--shards", "2"])


def test_each_task_takes_its_own_part() -> None:
    job = pod()["spec"]
    assert job["completionMode"] == "Indexed"
    (words,) = commands(script().partition("||")[0])
    shard = words[words.index("--shard") + 1]
    parts = [parse_shard(shard, {"JOB_COMPLETION_INDEX": str(i)}) for i in range(job["completions"])]
    assert parts == [(i + 1, job["completions"]) for i in range(job["completions"])]
    for name in ("slurm.sbatch", "skypilot.yaml"):
        assert "--shard auto " in TEXTS[name]


def test_the_batch_script_is_one() -> None:
    lines = TEXTS["slurm.sbatch"].splitlines()
    code = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [i for i, line in enumerate(lines) if line.startswith("#SBATCH ")]
    assert lines[0] == "#!/bin/bash"
    assert directives
    assert max(directives) < code, "Slurm reads none after the first command"
    if shutil.which("bash"):
        subprocess.run(["bash", "-n", FOLDER / "slurm.sbatch"], check=True)


def test_the_pool_has_workers_and_a_command() -> None:
    task = yaml.safe_load(TEXTS["skypilot.yaml"])
    assert task["pool"]["workers"] >= 1
    assert set(task) <= {"name", "resources", "pool", "file_mounts", "setup", "run"}
