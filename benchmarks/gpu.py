"""All that a card is asked for, in under five minutes: one script, one table.

    python benchmarks/gpu.py                              # CUDA, the real sizes
    python benchmarks/gpu.py sam search                   # some parts
    python benchmarks/gpu.py --device cpu --small         # small networks: whether the script works

Each part (gpu_parts.py) runs in a process of its own with seconds of its own, and all together within
``--seconds``. A part that runs out of them, or fails, is a row that says so beside what it had found.
Writes gpu-NAME.json (NAME: the card) into ``--out`` and prints a Markdown table. Networks have random
weights; thresholds are quantiles of what these give, alike for both sides. ``share``: operations a
second of what the same run measured for a square matrix product in that precision. Exit code 1 where
a part failed, ran out, or was not begun.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS = 285
PARTS = ("matrix", "sam", "embeddings", "sam2", "fast", "tests", "search")
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one part. state: ``done``, or what happened to it."""

    part: str
    state: str
    seconds: float
    rows: Rows


def run_part(name: str, words: list[str], seconds: float) -> Outcome:
    """One part in a process of its own; what it had found before it ended, however it ended."""
    started = time.perf_counter()
    command = [sys.executable, __file__, name, "--inside", *words]
    # its own session: what it starts (pytest, compilers) ends with it
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = child.communicate(timeout=seconds)
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        state = "done" if child.returncode == 0 else f"failed ({child.returncode}): {last}"
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, _ = child.communicate()
        state = f"ran out of its {seconds:.3g} s"
    return Outcome(name, state, time.perf_counter() - started, rows_in(out))


def rows_in(out: str) -> Rows:
    """The rows among what a part printed; a line that was cut off is none."""
    found: Rows = []
    for line in out.splitlines():
        if line.startswith('{"what"') and line.endswith("}"):
            found.append(json.loads(line))
    return found


def run_all(
    names: list[str], words: list[str], budgets: dict[str, int], seconds: float
) -> list[Outcome]:
    """The parts in turn, within their seconds and those of all."""
    end, found = time.perf_counter() + seconds, []
    for name in names:
        left = end - time.perf_counter()
        if left < 5:
            found.append(Outcome(name, f"not begun: the {seconds:.0f} s were spent", 0, []))
            continue
        found.append(run_part(name, words, min(left, budgets[name])))
        print(f"{name}: {found[-1].state} [{found[-1].seconds:.0f} s]", file=sys.stderr, flush=True)
    return found


def with_shares(outcomes: list[Outcome]) -> Rows:
    """All rows with ``share`` of the matrix rate of their precision, None where either is not known."""
    rows = [{"part": done.part, **row} for done in outcomes for row in done.rows]
    rates = {row["precision"]: row["rate"] for row in rows if row["part"] == "matrix"}
    for row in rows:
        rate, work = rates.get(row["precision"]), row["gflop"]
        row["share"] = work / row["seconds"] / rate if rate and work and row["seconds"] else None
    return rows


def table(rows: Rows, outcomes: list[Outcome]) -> str:
    """Markdown."""
    lines = ["| what | a second | seconds | peak GB | share | |", "|---|---|---|---|---|---|"]
    for row in rows:
        rate = "" if row["rate"] is None else f"{row['rate']:,.4g} {row['unit']}"
        seconds = _number(row["seconds"], ".3g")
        peak, share = _number(row["gigabytes"], ".2f"), _number(row["share"], ".0%")
        lines.append(f"| {row['what']} | {rate} | {seconds} | {peak} | {share} | {row['note']} |")
    for done in outcomes:
        if done.state != "done":
            lines.append(f"| **part {done.part}** | | | | | **{done.state}** |")
    return "\n".join(line.replace("\n", " ") for line in lines)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def inside(name: str, device: str, small: bool) -> None:
    """A part, in its own process: a JSON line a row."""
    import torch
    from gpu_parts import PARTS as FUNCTIONS
    from gpu_parts import Plan

    torch.set_grad_enabled(False)
    part, _ = FUNCTIONS[name]
    for row in part(Plan(device, small)):
        print(json.dumps(row.to_json()), flush=True)


def name_of(device: str) -> str:
    """The card, in words."""
    import torch
    from common import machine

    if torch.device(device).type != "cuda":
        return f"{device}: {machine()}"
    if not torch.cuda.is_available():
        sys.exit("torch sees no CUDA device; pass --device cpu --small to try the script.")
    return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="networks of the tests, small pictures")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of all parts together")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for gpu-NAME.json")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = [name for name in given.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; choose from {', '.join(PARTS)}")
    if given.inside:
        inside(given.parts[0], given.device, given.small)
        return 0
    card = name_of(given.device)
    from gpu_parts import PARTS as FUNCTIONS

    words = ["--device", given.device, *(["--small"] if given.small else [])]
    budgets = {name: seconds for name, (_, seconds) in FUNCTIONS.items()}
    outcomes = run_all(given.parts or list(PARTS), words, budgets, given.seconds)
    rows = with_shares(outcomes)
    said = {"card": card, "small": given.small, "rows": rows}
    said["parts"] = {done.part: {"state": done.state, "seconds": done.seconds} for done in outcomes}
    slug = re.sub(r"[^a-z0-9]+", "-", card.split(",")[0].split(":")[0].lower()).strip("-")
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / f"gpu-{slug}{'-small' if given.small else ''}.json"
    file.write_text(json.dumps(said, indent=1) + "\n")
    print(f"{card}{', small networks' if given.small else ''}\n\n{table(rows, outcomes)}")
    print(f"written: {file}", file=sys.stderr)
    return int(any(done.state != "done" for done in outcomes))


if __name__ == "__main__":
    sys.exit(main())
