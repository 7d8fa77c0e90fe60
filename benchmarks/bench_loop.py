"""The loop of `searchdet serve` from an empty bank: F1 after so many clicks of one who knows the truth,
against as many exemplars drawn at random and given at once.

    python benchmarks/bench_loop.py [session] [browser] [picture]

session: the labeller acts on the session itself; browser: on the page in Chromium. Only what is offered
is clicked: an annotated object is pointed at and the best of the proposals under the pointer is taken
(first one of each class, later where nothing is left to ask), else the region that the page asks about
next is judged: right, wrong, or of another class. A region is an object where their boxes overlap by
half. F1 is of all detections in all pictures of a set of ../shared/data, at the threshold that the
exemplars give. picture: draws docs/loop.svg from what session and browser wrote. SEEDS=3 repeats both
sides with other objects; SETS=tools names sets.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from common import DATA, ROOT, run_parts

from searchdet.annotations import read_truth
from searchdet.config import Settings
from searchdet.images import discover
from searchdet.index import Indexer
from searchdet.index.file import load
from searchdet.live import Board, LiveSettings, Session, Shelf
from searchdet.live.events import Judge, Pick
from searchdet.proposals.nms import iou

SETS = tuple(os.environ.get("SETS", "tools,fruits_nuts").split(","))
SEEDS = int(os.environ.get("SEEDS", "3"))
CLICKS = (10, 20, 50, 100)
SAME = 0.5
CACHE = ROOT / "benchmarks" / ".cache" / "loop"


@dataclass(frozen=True, eq=False)
class Object:
    """An annotated object: number of its image, box xyxy in pixels, and class."""

    image: int
    box: np.ndarray
    label: str


@dataclass(frozen=True)
class Folder:
    """A set with its index. by_image: objects of each image."""

    name: str
    shelf: Shelf
    board: Board
    objects: tuple[Object, ...]

    @property
    def labels(self) -> list[str]:
        return sorted({item.label for item in self.objects})

    def of(self, image: int) -> list[Object]:
        return [item for item in self.objects if item.image == image]

    def boxes(self, image: int) -> np.ndarray:
        item = self.shelf.images[image]
        return np.asarray(self.shelf.arrays["boxes"][item.start : item.start + item.count])


class Hand(Protocol):
    """What does a click."""

    def pick(self, item: Object) -> bool:
        """Point at an object and take the best proposal there; whether one was good enough."""
        ...

    def next(self) -> tuple[int, int, str] | None:
        """What the page asks about: image, row, class."""
        ...

    def judge(self, image: int, row: int, verdict: str, label: str | None) -> None: ...

    def found(self) -> list[tuple[int, int, str]]:
        """Image, row and class of all detections."""
        ...


def folder(name: str) -> Folder:
    """A set, described once; the regions stay in the cache of the benchmarks."""
    path = DATA / name / "images"
    index = CACHE / name
    if not (index / "index.json").is_file():
        Indexer(Settings(cache=CACHE / "regions")).write(index, discover([str(path)]))
    shelf = Shelf.of(load(index))
    truth = read_truth(DATA / name / "annotations.json")
    numbers = {truth.image_id(item.image.name): i for i, item in enumerate(shelf.images)}
    labels = {truth.category(name): name for name in truth.labels}
    objects = []
    for item in truth.annotations():
        if item.get("iscrowd") or item["image_id"] not in numbers:
            continue
        x, y, width, height = item["bbox"]
        box = np.asarray([x, y, x + width, y + height], np.float32)
        label = labels[item["category_id"]]
        objects.append(Object(numbers[item["image_id"]], box, label))
    return Folder(name, shelf, Board(shelf), tuple(objects))


class SessionHand:
    """Clicks on a session."""

    def __init__(self, given: Folder, session: Session) -> None:
        self.given, self.session = given, session

    def pick(self, item: Object) -> bool:
        row = best_under(self.given, item)
        if row is None:
            return False
        self.session.apply(Pick(name_of(self.given, item.image), row, item.label))
        return True

    def next(self) -> tuple[int, int, str] | None:
        offers = self.session.review(count=1)
        return None if not offers else (offers[0].i, offers[0].row, offers[0].label)

    def judge(self, image: int, row: int, verdict: str, label: str | None) -> None:
        self.session.apply(Judge(name_of(self.given, image), row, verdict, label))

    def found(self) -> list[tuple[int, int, str]]:
        return detections(self.session)


def name_of(given: Folder, image: int) -> str:
    return given.shelf.images[image].image.name


def best_under(given: Folder, item: Object) -> int | None:
    """The best of the proposals that the middle of an object lies in."""
    x, y = (item.box[:2] + item.box[2:]) / 2
    rows = given.board.under(item.image, float(x), float(y))
    if not rows:
        return None
    overlap = iou(item.box, given.boxes(item.image)[rows])
    return rows[int(overlap.argmax())] if overlap.max() >= SAME else None


def detections(session: Session) -> list[tuple[int, int, str]]:
    view, bank = session.view, session.bank
    if view is None or bank is None:
        return []
    found = view.found
    return [
        (int(i), int(row), bank.classes[c])
        for i, row, c in zip(found.image, found.row, found.label, strict=True)
    ]


def f1(given: Folder, found: list[tuple[int, int, str]]) -> float:
    """Of all classes and images together; a detection is right on an object of its class that no better
    one took."""
    right = 0
    by_image: dict[int, list[tuple[int, str]]] = {}
    for image, row, label in found:
        by_image.setdefault(image, []).append((row, label))
    for image, items in by_image.items():
        objects, boxes = given.of(image), given.boxes(image)
        free = set(range(len(objects)))
        for row, label in items:
            mine = [k for k in free if objects[k].label == label]
            if not mine:
                continue
            overlap = iou(boxes[row], np.stack([objects[k].box for k in mine]))
            if overlap.max() >= SAME:
                free.remove(mine[int(overlap.argmax())])
                right += 1
    return 2 * right / max(1, len(found) + len(given.objects))


def answer(given: Folder, image: int, row: int, label: str) -> tuple[str, str | None]:
    """What one who knows the truth says of a region."""
    objects = given.of(image)
    if objects:
        overlap = iou(given.boxes(image)[row], np.stack([item.box for item in objects]))
        if overlap.max() >= SAME:
            own = objects[int(overlap.argmax())].label
            return ("right", None) if own == label else ("other", own)
    return "wrong", None


def labelled(given: Folder, hand: Hand, seed: int) -> Iterator[int]:
    """Click after click; yields how many there were."""
    order = np.random.default_rng(seed).permutation(len(given.objects)).tolist()
    unseen = [given.objects[i] for i in order]
    clicks = 0
    for label in given.labels:  # one of each class first
        mine = [item for item in unseen if item.label == label]
        for item in mine:
            unseen.remove(item)
            if hand.pick(item):
                clicks += 1
                yield clicks
                break
    while True:
        asked = hand.next()
        if asked is not None:
            image, row, label = asked
            hand.judge(image, row, *answer(given, image, row, label))
        elif not unseen:
            return
        elif not hand.pick(unseen.pop()):
            continue
        clicks += 1
        yield clicks


def loop(given: Folder, seed: int) -> dict[int, float]:
    """F1 after so many clicks."""
    made = {}
    with (
        tempfile.TemporaryDirectory() as out,
        Session.open(Path(out), given.board, None, LiveSettings()) as session,
    ):
        hand = SessionHand(given, session)
        for clicks in labelled(given, hand, seed):
            if clicks in CLICKS:
                made[clicks] = f1(given, hand.found())
            if clicks == CLICKS[-1]:
                break
    return made


def at_once(given: Folder, count: int, seed: int) -> float:
    """F1 with so many objects drawn at random, of each class at least one where they suffice."""
    order = np.random.default_rng(1000 + seed).permutation(len(given.objects)).tolist()
    drawn = [given.objects[i] for i in order]
    first = {item.label: k for k, item in reversed(list(enumerate(drawn)))}
    drawn = [drawn[k] for k in first.values()] + [
        item for k, item in enumerate(drawn) if k not in first.values()
    ]
    with (
        tempfile.TemporaryDirectory() as out,
        Session.open(Path(out), given.board, None, LiveSettings()) as session,
    ):
        hand, taken = SessionHand(given, session), 0
        for item in drawn:
            if taken < count:
                taken += hand.pick(item)
        return f1(given, hand.found())


def session() -> None:
    """Curves of both sides, by the session itself."""
    for name in SETS:
        if not (DATA / name).is_dir():
            print(f"{name}: {DATA / name} is not here, skipped.")
            continue
        given = folder(name)
        loops = [loop(given, seed) for seed in range(SEEDS)]
        drawn = [{c: at_once(given, c, seed) for c in CLICKS} for seed in range(SEEDS)]
        told: dict[str, Any] = {"set": name, "loop": loops, "at once": drawn}
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / f"{name}-session.json").write_text(json.dumps(told))
        for clicks in CLICKS:
            ours = np.mean([one.get(clicks, np.nan) for one in loops])
            theirs = np.mean([one[clicks] for one in drawn])
            print(f"{name}: {clicks} clicks F1 {ours:.3f}, exemplars at once {theirs:.3f}", flush=True)


def main() -> None:
    run_parts(__doc__, {"session": session})


if __name__ == "__main__":
    main()
