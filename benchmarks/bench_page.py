"""A click on the page of `searchdet serve` until its new state is drawn, in Chromium.

    python benchmarks/bench_page.py [--images 1000] [--regions 300] [--clicks 40]

Cuts pieces out of the photographs of tools in ../shared/data, describes them once (kept under
``benchmarks/.cache/page``, some minutes), opens the page with the examples of the set, and judges what
it found, wrong and right in turn. A click is timed in the browser: from its event to the second frame
after the page knows the state that came of it. Peak memory is of the server, which is this process
(Linux).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import DATA, ROOT, machine
from common import status as memory
from loop_page import PageHand, opened_page
from PIL import Image

from searchdet.config import Examples, ProposalOptions, Settings
from searchdet.images import discover
from searchdet.index import Indexer

SIDE = (480, 360)
PLACE = ROOT / "benchmarks" / ".cache" / "page"
WATCH = """async () => {
    const { live, onLive } = await import("/assets/live.js");
    window.spent = [];
    let at = null, version = null;
    document.addEventListener("click", (event) => {
        if (event.target.closest("#right, #wrong")) [at, version] = [performance.now(), live.version];
    }, true);
    onLive(() => {
        if (at === null || live.version <= version) return;
        const since = at;
        at = null;
        const drawn = () => window.spent.push(performance.now() - since);
        requestAnimationFrame(() => requestAnimationFrame(drawn));
    });
}"""


def pieces(count: int) -> Path:
    """A folder with that many pieces of photographs."""
    folder, rng = PLACE / f"images-{count}", np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted((DATA / "tools" / "images").iterdir())
    for i in range(count):
        path = folder / f"{i:04}.jpg"
        if path.is_file():
            continue
        with Image.open(sources[i % len(sources)]) as photo:
            whole = photo.convert("RGB")
        share = rng.uniform(0.5, 0.9)
        wide, tall = (round(side * share) for side in whole.size)
        left, top = rng.integers(0, (whole.width - wide + 1, whole.height - tall + 1)).tolist()
        whole.crop((left, top, left + wide, top + tall)).resize(SIDE).save(path, quality=90)
    return folder


def described(images: Path, regions: int) -> Path:
    """Their index, with the best so many regions of each."""
    index = PLACE / f"index-{images.name}-{regions}"
    if not (index / "index.json").is_file():
        settings = Settings(proposals=ProposalOptions(scored_masks=regions))
        Indexer(settings).write(index, discover([str(images)]))
    return index


def detections(hand: PageHand) -> Iterator[tuple[int, int]]:
    """Detections of the moment, of another picture each time."""
    seen: set[int] = set()
    while True:
        left = [(i, row) for i, row, _ in hand.found() if i not in seen]
        if not left:
            return
        seen.add(left[len(left) // 2][0])
        yield left[len(left) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--regions", type=int, default=300)
    parser.add_argument("--clicks", type=int, default=40)
    chosen = parser.parse_args()
    if not (DATA / "tools").is_dir():
        sys.exit(f"{DATA / 'tools'} is not here.")
    logging.disable(logging.WARNING)
    print(machine())
    images = pieces(chosen.images)
    index = described(images, chosen.regions)
    given = Examples(positive=DATA / "tools" / "positive", negative=DATA / "tools" / "negative")
    started = time.perf_counter()
    with opened_page(images, index, given) as hand:
        print(f"open after {time.perf_counter() - started:.1f} s, {len(hand.found())} detections")
        hand.page.evaluate(WATCH)
        for number, (i, row) in zip(range(chosen.clicks), detections(hand), strict=False):
            hand.judge(i, row, ("wrong", "right")[number % 2], None)
        spent = np.asarray(hand.page.evaluate("() => window.spent"))
        own, mapped = memory("RssAnon") / 1e6, memory("RssFile") / 1e6
    print(f"{len(spent)} clicks: median {np.median(spent):.0f} ms, worst {spent.max():.0f} ms")
    print(f"{len(spent)} clicks, sorted: {np.sort(spent).round().astype(int).tolist()}")
    print(
        f"peak memory of the server {memory('VmHWM') / 1e6:.2f} GB, {os.cpu_count()} cores; at the end "
        f"{own:.2f} GB of its own and {mapped:.2f} GB of mapped files, which the system may take back"
    )


if __name__ == "__main__":
    main()
