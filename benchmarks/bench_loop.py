"""The loop of `searchdet serve` from an empty bank: F1 after so many clicks of one who knows the truth,
against as many exemplars drawn at random and given at once.

    python benchmarks/bench_loop.py [session] [browser] [picture]

session: the labeller acts on the session itself; browser: on the page in Chromium. The labeller drags
a box around one object of each class; from then on it looks at the picture that the page asks about and
mends what is wrong there: a box around an object that was missed, a verdict on a false detection. Where
nothing is wrong the question is answered. A click is each verdict and each box, whose sides are off by
4 % of its size (standard deviation); moving from picture to picture and choosing the class is none.
A region is an object where their boxes overlap by half. F1 is of all detections in all pictures of a
set of ../shared/data, at the threshold that the exemplars give. Against it stand as many objects drawn
at random, given at once as files would give them, by the regions that fit them best.
picture: draws docs/loop.svg from what session wrote. SEEDS=3 repeats both sides with other
objects; SETS=tools names sets.
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
from searchdet.bank import Bank, Rows, join
from searchdet.bank.types import Origin, indexed, rows_of
from searchdet.config import Settings
from searchdet.images import discover
from searchdet.index import Indexer
from searchdet.index.file import load
from searchdet.live import Board, LiveSettings, Session, Shelf
from searchdet.live.events import Box, Judge, Pick
from searchdet.live.hands import ModelHands
from searchdet.live.pointing import filled
from searchdet.proposals.nms import iou
from searchdet.regions import Space

SETS = tuple(os.environ.get("SETS", "tools,fruits_nuts").split(","))
SEEDS = int(os.environ.get("SEEDS", "3"))
CLICKS = (10, 20, 50, 100)
SAME = 0.5
AWAY = 0.04
CACHE = ROOT / "benchmarks" / ".cache" / "loop"


@dataclass(frozen=True, eq=False)
class Object:
    """An annotated object: number of its image, box xyxy in pixels, and class; drawn: the box that a
    person drags around it."""

    image: int
    box: np.ndarray
    label: str
    drawn: Box


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

    def draw(self, item: Object) -> None:
        """Drag a box around an object, which becomes an exemplar of its class."""
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
    objects, rng = [], np.random.default_rng(0)
    for item in truth.annotations():
        if item.get("iscrowd") or item["image_id"] not in numbers:
            continue
        x, y, width, height = item["bbox"]
        box = np.asarray([x, y, x + width, y + height], np.float32)
        label = labels[item["category_id"]]
        info = shelf.images[numbers[item["image_id"]]].image
        drawn = hand_drawn(box, (info.height, info.width), rng)
        objects.append(Object(numbers[item["image_id"]], box, label, drawn))
    return Folder(name, shelf, Board(shelf), tuple(objects))


def hand_drawn(box: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> Box:
    """The box that a person drags around an object in an image of a size (height, width)."""
    sides = np.tile(box[2:] - box[:2], 2)
    made = np.clip(box + AWAY * sides * rng.normal(size=4), 0, np.tile(size[::-1], 2))
    return float(made[0]), float(made[1]), float(made[2]), float(made[3])


class SessionHand:
    """Clicks on a session."""

    def __init__(self, given: Folder, session: Session) -> None:
        self.given, self.session = given, session

    def draw(self, item: Object) -> None:
        said = self.session.verdicts(item.image)
        wrong = [row for row, verdict, _ in said if verdict == "wrong"]
        row = filled(self.given.board, item.image, item.drawn, wrong)
        name = name_of(self.given, item.image)
        if row is None:
            self.session.draw(name, item.drawn, item.label)
        else:
            self.session.apply(Pick(name, row, item.label))

    def next(self) -> tuple[int, int, str] | None:
        offers = self.session.review(count=1)
        return None if not offers else (offers[0].i, offers[0].row, offers[0].label)

    def judge(self, image: int, row: int, verdict: str, label: str | None) -> None:
        self.session.apply(Judge(name_of(self.given, image), row, verdict, label))

    def found(self) -> list[tuple[int, int, str]]:
        return detections(self.session)


def name_of(given: Folder, image: int) -> str:
    return given.shelf.images[image].image.name


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
    _, missed = errors(given, found)
    return 2 * (len(given.objects) - len(missed)) / max(1, len(found) + len(given.objects))


def answer(given: Folder, image: int, row: int, label: str) -> tuple[str, str | None]:
    """What one who knows the truth says of a region."""
    objects = given.of(image)
    if objects:
        overlap = iou(given.boxes(image)[row], np.stack([item.box for item in objects]))
        if overlap.max() >= SAME:
            own = objects[int(overlap.argmax())].label
            return ("right", None) if own == label else ("other", own)
    return "wrong", None


class Labeller:
    """One who knows the truth. clicks: so far; done: regions that were judged or taken."""

    def __init__(self, given: Folder, hand: Hand, seed: int) -> None:
        self._given, self._hand = given, hand
        self._order = np.random.default_rng(seed).permutation(len(given.objects)).tolist()
        self._drawn: set[int] = set()
        self.clicks = 0
        self._done: set[tuple[int, int]] = set()

    def work(self) -> Iterator[int]:
        """Yields the clicks so far after each thing done: of each class one object is pointed at; then
        the picture of what the page asks about is put right, or else that question answered."""
        for label in self._given.labels:
            mine = [i for i in self._order if self._given.objects[i].label == label]
            if any(self._draw(i) for i in mine):
                yield self.clicks
        while self._once():
            yield self.clicks

    def _once(self) -> bool:
        asked = self._hand.next()
        found = self._hand.found()
        wrong, missed = errors(self._given, found)
        here = [asked[0]] if asked else []
        for image in [
            *here,
            *sorted({*(i for i, _ in wrong), *(self._given.objects[k].image for k in missed)}),
        ]:
            for k in self._order:
                if k in missed and self._given.objects[k].image == image and self._draw(k):
                    return True
            for of, row in wrong:
                if of == image and (image, row) not in self._done:
                    self._judge(image, row, next(c for i, r, c in found if (i, r) == (of, row)))
                    return True
            if asked and image == asked[0]:
                self._judge(*asked)
                return True
        return False

    def _judge(self, image: int, row: int, label: str) -> None:
        self.clicks += 1
        self._done.add((image, row))
        self._hand.judge(image, row, *answer(self._given, image, row, label))

    def _draw(self, k: int) -> bool:
        """Drag a box around an object; not twice around one."""
        if k in self._drawn:
            return False
        self._drawn.add(k)
        self.clicks += 1
        self._hand.draw(self._given.objects[k])
        return True


def errors(given: Folder, found: list[tuple[int, int, str]]) -> tuple[list[tuple[int, int]], set[int]]:
    """Detections that are on no free object of their class, and objects without a detection."""
    wrong, missed = [], set(range(len(given.objects)))
    for image, row, label in found:
        mine = [k for k in missed if (o := given.objects[k]).image == image and o.label == label]
        overlap = [float(iou(given.objects[k].box, given.boxes(image)[[row]])[0]) for k in mine]
        if mine and max(overlap) >= SAME:
            missed.remove(mine[int(np.argmax(overlap))])
        else:
            wrong.append((image, row))
    return wrong, missed


def loop(given: Folder, seed: int) -> dict[int, float]:
    """F1 after so many clicks: of the last state that took no more."""
    with (
        tempfile.TemporaryDirectory() as out,
        Session.open(Path(out), given.board, None, drawing(given)) as session,
    ):
        return curve(given, SessionHand(given, session), seed)


def drawing(given: Folder) -> LiveSettings:
    """Settings of a session with models for what is drawn."""
    paths = {
        item.image.name: DATA / given.name / "images" / item.image.name for item in given.shelf.images
    }
    settings = Settings(cache=CACHE / "regions")
    return LiveSettings(settings, paths, hands=ModelHands(settings, given.shelf.space, paths))


def curve(given: Folder, hand: Hand, seed: int) -> dict[int, float]:
    """F1 after so many clicks of a labeller."""
    made = dict.fromkeys(CLICKS, 0.0)
    for clicks in Labeller(given, hand, seed).work():
        now = f1(given, hand.found())
        made.update({count: now for count in CLICKS if clicks <= count})
        if clicks >= CLICKS[-1]:
            break
    return made


def at_once(given: Folder, count: int, seed: int) -> float:
    """F1 with so many objects drawn at random, of each class at least one where they suffice, as files
    would give them: they say nothing of the regions that they are."""
    order = np.random.default_rng(1000 + seed).permutation(len(given.objects)).tolist()
    drawn = [given.objects[i] for i in order]
    first = {item.label: k for k, item in reversed(list(enumerate(drawn)))}
    drawn = [drawn[k] for k in first.values()] + [
        item for k, item in enumerate(drawn) if k not in first.values()
    ]
    rows: list[Rows] = []
    labels: list[str | None] = []
    for item in drawn:
        row = best_on(given, item)
        if row is None or len(rows) == count:
            continue
        regions = given.shelf.regions(item.image, np.asarray([row]))
        origin = Origin(f"{len(rows)}.png", mask_source="mask")
        rows.append(rows_of(regions.described, [origin]))
        labels.append(item.label)
    bank = banked(rows, labels, given.shelf.space)
    with (
        tempfile.TemporaryDirectory() as out,
        Session.open(Path(out), given.board, bank, LiveSettings()) as session,
    ):
        return f1(given, SessionHand(given, session).found())


def best_on(given: Folder, item: Object) -> int | None:
    """The region that is most like an object."""
    overlap = iou(item.box, given.boxes(item.image))
    return int(overlap.argmax()) if overlap.max(initial=0) >= SAME else None


def banked(rows: list[Rows], labels: list[str | None], space: Space) -> Bank:
    """A bank of exemplars alone."""
    classes, numbers = indexed([str(label) for label in labels])
    return Bank(classes, join(rows), numbers, rows[0].take([]), space)


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


def browser() -> None:
    """The loop's curve, by the page."""
    from loop_page import opened_page

    for name in SETS:
        if not (DATA / name).is_dir():
            print(f"{name}: {DATA / name} is not here, skipped.")
            continue
        given, loops = folder(name), []
        for seed in range(SEEDS):
            with opened_page(DATA / name / "images", CACHE / name) as hand:
                hand.name_classes(given.labels)
                loops.append(curve(given, hand, seed))
                said = f"a click to the page {1000 * float(np.median(hand.spent)):.0f} ms (median)"
            print(f"{name}, seed {seed}: {told(loops[-1])}; {said}", flush=True)
            kept = CACHE / f"{name}-browser.json"
            kept.write_text(json.dumps({"set": name, "loop": loops}))


def picture() -> None:
    """docs/loop.svg."""
    from loop_picture import draw

    draw(ROOT / "docs" / "loop.svg", CACHE, SETS, CLICKS)


def told(made: dict[int, float]) -> str:
    return " ".join(f"{count}: {value:.3f}" for count, value in made.items())


def main() -> None:
    run_parts(__doc__, {"session": session, "browser": browser, "picture": picture})


if __name__ == "__main__":
    main()
