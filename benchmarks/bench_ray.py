"""``--engine ray`` beside local processes: the same photographs, the same work, start to end.

    python benchmarks/bench_ray.py          # PHOTOS=24 for a sample, ROUNDS=1

Two actors against two shards side by side (``--shard 1/2`` and ``2/2``), each with a fresh output
folder and no cache, a thread each. Prints the ratio of wall times, and whether the records are the
same bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import DATA, ROOT, SETS, machine

PHOTOS = int(os.environ.get("PHOTOS", "200"))
ROUNDS = int(os.environ.get("ROUNDS", "2"))
EXAMPLES = "tools"
RUN = [sys.executable, "-m", "searchdet", "detect"]


def photographs(count: int) -> list[Path]:
    """As many of each set, in turn."""
    folders = [DATA / name / "images" for name in SETS]
    left = [sorted(folder.iterdir()) for folder in folders if folder.is_dir()]
    found: list[Path] = []
    while len(found) < count and any(left):
        for paths in left:
            if paths and len(found) < count:
                found.append(paths.pop(0))
    return found


def words(listed: Path, out: Path) -> list[str]:
    examples = ["--positive", str(DATA / EXAMPLES / "positive")]
    examples += ["--negative", str(DATA / EXAMPLES / "negative")]
    return [*RUN, f"@{listed}", "--root", str(DATA), *examples, "-o", str(out), "--no-cache"]


def run_all(commands: list[list[str]]) -> None:
    """Side by side. Some photographs of some sets may fail, which is exit code 3."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            one, env=variables, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for one in commands
    ]
    codes = [one.wait() for one in started]
    if not set(codes) <= {0, 3}:
        raise RuntimeError(f"searchdet ended with {codes}")


def ray(listed: Path, out: Path) -> None:
    run_all([[*words(listed, out), "--engine", "ray", "--actors", "2"]])


def shards(listed: Path, out: Path) -> None:
    run_all([[*words(listed, out), "--shard", f"{part}/2"] for part in (1, 2)])


def records(out: Path) -> dict[str, bytes]:
    folder = out / "records"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}


def main() -> None:
    print(machine())
    found = photographs(PHOTOS)
    ways: dict[str, Callable[[Path, Path], None]] = {"ray": ray, "shards": shards}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        listed = root / "photographs.txt"
        listed.write_text("\n".join(map(str, found)))
        for turn in range(ROUNDS):
            made = {}
            for name, way in ways.items():
                out = root / f"{name}-{turn}"
                started = time.perf_counter()
                way(listed, out)
                spent[name].append(time.perf_counter() - started)
                made[name] = records(out)
            same = made["ray"] == made["shards"] and len(made["ray"]) == len(found)
            seconds = ", ".join(f"{name} {spent[name][-1]:.1f} s" for name in ways)
            print(f"{len(found)} photographs: {seconds}; same bytes: {same}")
    ratios = [a / b for a, b in zip(spent["ray"], spent["shards"], strict=True)]
    print("ray / two processes: " + ", ".join(f"{ratio:.2f}x" for ratio in ratios))


if __name__ == "__main__":
    main()
