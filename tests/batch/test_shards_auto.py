"""Which part a process does, as schedulers number their tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from searchdet.cli import app
from searchdet.errors import UsageError
from searchdet.images import parse_shard
from searchdet.images.shards import SCHEDULERS

SLURM = {
    "SLURM_ARRAY_TASK_ID": "5",
    "SLURM_ARRAY_TASK_COUNT": "8",
    "SLURM_ARRAY_TASK_MIN": "0",
    "SLURM_ARRAY_TASK_STEP": "1",
}


def slurm(number: int, count: int | None, least: int, step: int = 1) -> dict[str, str]:
    said = {"ID": number, "COUNT": count, "MIN": least, "STEP": step}
    return {f"SLURM_ARRAY_TASK_{k}": str(v) for k, v in said.items() if v is not None}


@pytest.mark.parametrize(
    ("text", "said", "part"),
    [
        ("2/8", {}, (2, 8)),
        ("2/8", SLURM, (2, 8)),
        ("auto", SLURM, (6, 8)),
        ("auto", slurm(1, 8, 1), (1, 8)),
        ("auto", slurm(8, 8, 1), (8, 8)),
        ("auto", slurm(12, 5, 4, 4), (3, 5)),
        ("auto/8", SLURM, (6, 8)),
        ("auto/3", {"SLURM_ARRAY_TASK_ID": "3"}, (3, 3)),
        ("auto", {"SKYPILOT_JOB_RANK": "0", "SKYPILOT_NUM_JOBS": "3"}, (1, 3)),
        ("auto/4", {"JOB_COMPLETION_INDEX": "3"}, (4, 4)),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "9", "AWS_BATCH_JOB_ARRAY_SIZE": "10"}, (10, 10)),
        (
            "auto",
            {**SLURM, "SKYPILOT_JOB_RANK": "5", "SKYPILOT_NUM_JOBS": "8"},
            (6, 8),
        ),
    ],
)
def test_the_part_is_as_the_scheduler_says(
    text: str, said: dict[str, str], part: tuple[int, int]
) -> None:
    assert parse_shard(text, said) == part


@pytest.mark.parametrize("count", [1, 7])
def test_every_task_of_an_array_is_another_part(count: int) -> None:
    for least, step in ((0, 1), (1, 1), (3, 5)):
        tasks = [slurm(least + i * step, count, least, step) for i in range(count)]
        assert [parse_shard("auto", said) for said in tasks] == [(i + 1, count) for i in range(count)]


@pytest.mark.parametrize(
    ("text", "said", "message"),
    [
        ("auto", {}, "no scheduler"),
        ("auto/8", {"JOB_COMPLETION_INDEX": ""}, "no scheduler"),
        ("auto", {"JOB_COMPLETION_INDEX": "3"}, "how many"),
        ("auto/3", {"JOB_COMPLETION_INDEX": "3"}, r"task 3 \(from 0\) of 3"),
        ("auto/4", SLURM, "twice or by nobody"),
        ("auto", SLURM | {"JOB_COMPLETION_INDEX": "5"}, "different things"),
        ("auto", {"SKYPILOT_JOB_RANK": "-1", "SKYPILOT_NUM_JOBS": "3"}, "is no number"),
        ("auto", slurm(3, 2, 0, 2), "not numbered evenly"),
        ("auto", slurm(9, 3, 0), "not numbered evenly"),
        ("auto", slurm(1, 3, 2), "not numbered evenly"),
        ("automatic", SLURM, "PART/PARTS"),
        ("auto/", SLURM, "PART/PARTS"),
    ],
)
def test_what_is_not_sure_is_refused(text: str, said: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_shard(text, said)


def call(*words: str, **said: str | None) -> Result:
    return CliRunner().invoke(app, list(words), env={**said})


def test_detect_and_index_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for item in SCHEDULERS:
        monkeypatch.delenv(item.variable, raising=False)
    Path("in").mkdir()
    for i in range(6):
        Image.new("RGB", (40, 40), (10 * i, 90, 20)).save(f"in/{i}.png")
    Path("red").mkdir()
    Image.new("RGB", (20, 20), (255, 0, 0)).save("red/a.png")
    quick = ("--backbone", "filterbank", "--proposals", "regions")
    detect = ("detect", "in", "--positive", "red", *quick, "--shard", "auto")
    refused = call(*detect)
    assert refused.exit_code == 2
    assert "no scheduler" in refused.stderr
    for rank in ("0", "1"):
        assert call(*detect, SKYPILOT_JOB_RANK=rank, SKYPILOT_NUM_JOBS="2").exit_code == 0
    records = sorted(p.name for p in Path("searchdet-out/records").rglob("*.json"))
    assert records == [f"{i}.png.json" for i in range(6)]
    made = call("index", "in", "-o", "idx", *quick, "--shard", "auto/2", JOB_COMPLETION_INDEX="1")
    assert made.exit_code == 0, made.stderr
