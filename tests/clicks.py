"""What `searchdet serve` keeps of verdicts when it is killed at random moments.

``python tests/clicks.py FOLDER KILLS SEED`` draws images into an empty folder, clicks, kills, starts
again, and prints as JSON how many verdicts were confirmed and what of them was lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from asking import Asker
from worlds import make_world

Key = tuple[str, int]
Said = tuple[str, str | None]
IMAGES = ("a.png", "deep/a.png", "none.png")
MOST_ROW, LONGEST = 25, 3.0


@dataclass
class Clicks:
    """Clicks on one folder. kept: what was confirmed of each region; unsure: what was sent last, and
    whether it was confirmed nobody knows."""

    root: Path
    rng: random.Random
    kept: dict[Key, Said] = field(default_factory=dict)
    unsure: dict[Key, Said] = field(default_factory=dict)
    confirmed: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        world = self.root / "in"
        return [
            *("serve", str(world / "images"), "-r", "--positive", str(world / "positive")),
            *("-o", str(self.root / "out"), "--cache-dir", str(self.root / "cache")),
            *("--port", "0", "--no-open", "--backbone", "filterbank", "--proposals", "regions"),
        ]

    def run(self, kills: int) -> dict[str, Any]:
        """So many kills, and a look after each of them; then a clean end."""
        before = 0
        for number in range(kills + 1):
            last = number == kills
            child, stdout = forked(self.words)
            if not last and self.rng.random() < 0.2:  # while it starts
                time.sleep(self.rng.uniform(0, 1.5))
                before += 1
            else:
                asker = address_of(stdout)
                self.look(asker)
                if not last:
                    self.click(asker, child)
            os.kill(child, signal.SIGTERM if last else signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(stdout)
        return {
            "kills": kills,
            "while it started": before,
            "confirmed": self.confirmed,
            "refused": self.refused,
            "lost": self.lost,
            "left over": sorted(path.name for path in (self.root / "out").glob(".searchdet-*")),
        }

    def look(self, asker: Asker) -> None:
        """Hold what is there against what was confirmed."""
        while asker.get("/api/state")["done"] < len(IMAGES):
            time.sleep(0.02)
        found: dict[Key, Said] = {}
        for item in asker.get("/api/images")["images"]:
            for said in asker.get(f"/api/images/{item['i']}")["verdicts"]:
                found[item["name"], said["row"]] = (said["verdict"], said["label"])
        for key, said in self.unsure.items():
            if found.get(key) == said:
                self.kept[key] = said
        self.unsure.clear()
        if found != self.kept:
            self.lost.append(f"{sorted(self.kept.items())} became {sorted(found.items())}")
            self.kept = found

    def click(self, asker: Asker, child: int) -> None:
        """Click until a kill at a random moment."""
        killer = threading.Timer(self.rng.uniform(0, LONGEST), os.kill, (child, signal.SIGKILL))
        warm = self.rng.random() < 0.8
        if not warm:
            killer.start()
        with contextlib.suppress(OSError, HTTPException, ValueError):
            while True:
                self._click(asker)
                if warm:  # the first one takes longest, on a busy machine longer than the rest of it
                    killer.start()
                    warm = False
        killer.join()

    def _click(self, asker: Asker) -> None:
        key = (self.rng.choice(IMAGES), self.rng.randrange(MOST_ROW))
        said: Said = self.rng.choice((("wrong", None), ("other", "red"), ("other", "blue")))
        self.unsure = {key: said}
        event = {"kind": "judge", "image": key[0], "row": key[1]}
        status, _ = asker.send({**event, "verdict": said[0], "label": said[1]})
        self.unsure = {}
        if status == 200:
            self.kept[key] = said
            self.confirmed += 1
        else:
            self.refused += 1


def forked(words: list[str]) -> tuple[int, int]:
    """The program in a child that has everything imported already: its number, and its stdout."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.dup2(writing, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    from searchdet.cli import app

    try:
        app(words)
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(99)


def address_of(stdout: int) -> Asker:
    text = b""
    while b"\n" not in text:
        part = os.read(stdout, 4096)
        if not part:
            raise ValueError(f"it did not start: {text!r}")
        text += part
    found = re.match(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)\n", text.decode())
    if found is None:
        raise ValueError(f"it did not start: {text!r}")
    return Asker(int(found[1]), found[2])


def clicked(root: Path, kills: int, seed: int) -> dict[str, Any]:
    """Draw images into a folder and click on them through so many kills."""
    make_world(root / "in")
    import searchdet.serve.app
    import searchdet.serve.opening
    import searchdet.serve.server  # noqa: F401  # so that each child begins with all of it

    return Clicks(root, random.Random(seed)).run(kills)


if __name__ == "__main__":
    print(json.dumps(clicked(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
