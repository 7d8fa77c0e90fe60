"""What a batch survives: kills, several processes at once, many images. Prints a line for each.

    python benchmarks/reliability.py kills [--kills 200] [--images 200]
    python benchmarks/reliability.py together [--processes 8] [--images 50]
    python benchmarks/reliability.py memory [--images 2000]
    python benchmarks/reliability.py serve [--kills 200] [--requests 10000]

``kills`` ends a run with SIGKILL at random moments, looks at every file it left, runs again, and at
last compares with a run that nobody disturbed. ``together`` runs several processes on the same images,
one cache and one output folder, and, apart from that, one shard each. ``memory`` searches many images
with a fake backbone and proposer and fits a line to the memory of the process. ``serve`` clicks on the
page's addresses and kills the server at random moments, then sends it requests that chance has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from PIL import Image
from worlds import BLUE, RED, draw, make_world

WARM = 500
"""Images after which memory is expected to stay."""


def world(root: Path, images: int) -> None:
    make_world(root / "in")
    for number in range(images - 3):
        colours = [RED, BLUE] if number % 2 else [BLUE, RED]
        Image.fromarray(draw(colours, 1000 + number)).save(root / f"in/images/{number}.png")


def words(root: Path, out: str, *more: str) -> list[str]:
    return [
        *("detect", str(root / "in/images"), "-r", "-o", str(root / out)),
        *("--positive", str(root / "in/positive"), "--negative", str(root / "in/negative")),
        *("--proposals", "regions", "--cache-dir", str(root / "cache"), *more),
    ]


def forked(arguments: list[str]) -> int:
    """The program in a child that has everything imported already; its process number."""
    child = os.fork()
    if child:
        return child
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    from searchdet.cli import app

    try:
        app(arguments)
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(99)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def digest(folder: Path) -> str:
    """Of all results; ``run.json`` holds times, and temporary files are swept by the next run."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "run.json" and not path.name.endswith(".tmp"):
            found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


def broken(folder: Path) -> int:
    """Visible files that are not whole."""
    count = 0
    for path in folder.rglob("*"):
        if not path.is_file() or path.name.endswith(".tmp"):
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_bytes())
            elif path.suffix in (".jpg", ".png"):
                with Image.open(path) as picture:
                    picture.load()
        except (OSError, ValueError):
            count += 1
    return count


def preload() -> None:
    """Import what a run needs, so that a child starts at once."""


def kills(wanted: int, images: int) -> None:
    preload()
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        world(root, images)
        inputs = digest(root / "in")
        started = time.monotonic()
        code = ended(forked(words(root, "clean")))
        whole = time.monotonic() - started
        clean = digest(root / "clean")
        print(f"{images} images undisturbed: {whole:.0f} s, exit {code}")
        done = finished = bad = rounds = 0
        for path in sorted((root / "cache").rglob("*.safetensors")):
            path.unlink()  # so that entries of the cache are written under fire as well
        while done < wanted:
            child = forked(words(root, "out"))
            time.sleep(rng.uniform(0, min(whole, 3.0)))
            os.kill(child, signal.SIGKILL)
            if ended(child) == -signal.SIGKILL:
                done += 1
            else:  # it was ready before: begin anew
                finished += digest(root / "out") == clean
                rounds += 1
                for path in sorted((root / "out").rglob("*"), reverse=True):
                    path.rmdir() if path.is_dir() else path.unlink()
            bad += broken(root / "out")
        code = ended(forked(words(root, "out")))
        records = len(list((root / "out/records").rglob("*.json")))
        left = len(list((root / "out").rglob("*.tmp"))) + len(list((root / "cache").rglob("*.tmp")))
        print(
            f"{done} kills, {rounds} runs that ended before theirs (of these equal: {finished}): "
            f"{bad} broken files, {images - records} records lost, exit {code}, output equal to the "
            f"undisturbed run: {digest(root / 'out') == clean}, inputs untouched: "
            f"{digest(root / 'in') == inputs}, temporary files left: {left}"
        )


def together(processes: int, images: int) -> None:
    preload()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        world(root, images)
        first = ended(forked(words(root, "one", "--no-cache")))
        one = digest(root / "one")
        children = [forked(words(root, "same")) for _ in range(processes)]
        same = [ended(child) for child in children]
        children = [
            forked(words(root, "parts", "--shard", f"{i + 1}/{processes}")) for i in range(processes)
        ]
        parts = [ended(child) for child in children]
        last = ended(forked(words(root, "parts")))
        print(
            f"{processes} processes on the same {images} images, one cache, one output: exit codes "
            f"{sorted({first, *same})}, equal to one process: {digest(root / 'same') == one}; "
            f"as shards: exit codes {sorted({last, *parts})}, equal: {digest(root / 'parts') == one}"
        )


def memory(images: int) -> None:
    from fakes import GivenProposer, GridBackbone

    from searchdet.bank.build import Gathered
    from searchdet.bank.types import Bank, Origin, plain_rows
    from searchdet.batch import runner as batch
    from searchdet.config import ScoringOptions, Settings
    from searchdet.detector import Detector
    from searchdet.images.inputs import discover
    from searchdet.output.folder import Output
    from searchdet.regions import Models

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "in").mkdir()
        for number in range(images):
            pixels = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / f"in/{number}.png")
        masks = np.zeros((20, 64, 64), bool)
        for i, mask in enumerate(masks):
            mask[2 * i : 2 * i + 20, i : i + 30] = True
        rows = [plain_rows(np.eye(4, dtype=np.float32)[[i]], [Origin(f"{i}")]) for i in (0, 1)]
        bank = Bank(("a",), rows[0], np.zeros(1, np.int64), rows[1])
        settings = Settings(scoring=ScoringOptions(min_score=-2.0), cache=root / "cache")
        detector = Detector(Models(GridBackbone(), GivenProposer(masks)), Gathered(bank), settings)
        output = Output(root / "out")
        points: list[tuple[int, float, int]] = []
        for number, _ in enumerate(batch.run(detector, discover([str(root / "in")]), output), start=1):
            if number % 50 == 0:
                points.append((number, resident(), len(list(Path("/proc/self/fd").iterdir()))))
        output.finish({})
    warm = np.asarray([point for point in points if point[0] >= WARM], float)
    slope = np.polyfit(warm[:, 0], warm[:, 1], 1)[0]
    print(
        f"{images} images: {slope:.2f} kB an image after the first {WARM} "
        f"({warm[0, 1] / 1000:.0f} to {warm[-1, 1] / 1000:.0f} MB), open files "
        f"{int(warm[:, 2].min())} to {int(warm[:, 2].max())}"
    )


def serve(kills: int, requests: int) -> None:
    import clicks
    import oddrequests
    import served

    from searchdet.serve import body, protocol

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        kept = clicks.clicked(root / "clicks", kills, seed=1)
        print(
            f"{kills} kills, {kept['while it started']} of them while it started: {kept['confirmed']} "
            f"verdicts confirmed, {len(kept['lost'])} times something else was there afterwards, "
            f"temporary files left: {len(kept['left over'])}"
        )
        body.SECONDS = protocol.HEADER_SECONDS = 0.3  # many requests are never whole
        make_world(root / "in")
        inputs = digest(root / "in")
        with served.serving(served.job(root / "in/images", root / "out")) as made:
            found = oddrequests.fuzzed(made.address.port, made.address.token, requests, seed=1)
            alive = made.asker.get("/api/state")["done"] == 3
        print(
            f"{requests} mutated requests, answers by status: {sorted(found.items(), key=str)}; "
            f"answers afterwards: {alive}, inputs untouched: {digest(root / 'in') == inputs}, "
            f"elsewhere: {sorted(path.name for path in root.iterdir())}"
        )


def resident() -> float:
    """Resident memory of this process, kB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["kills", "together", "memory", "serve"])
    parser.add_argument("--images", type=int)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--requests", type=int, default=10_000)
    chosen = parser.parse_args()
    parts: dict[str, Any] = {
        "kills": lambda: kills(chosen.kills, chosen.images or 200),
        "together": lambda: together(chosen.processes, chosen.images or 50),
        "memory": lambda: memory(chosen.images or 2000),
        "serve": lambda: serve(chosen.kills, chosen.requests),
    }
    parts[chosen.what]()


if __name__ == "__main__":
    main()
