"""A session as the server needs it, slow and in memory: for tests of the server alone.

``python tests/livefake.py`` serves it, for whoever works on the page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from searchdet.bank import Bank, Gathered
from searchdet.bank.types import Origin, Rows, indexed, join
from searchdet.config import ScoringOptions, SuppressionOptions
from searchdet.decision import make_judge
from searchdet.errors import UsageError
from searchdet.index.file import Indexed
from searchdet.proposals.rendering import rendered
from searchdet.records import ImageInfo, ImageRecord, ModelInfo
from searchdet.regions import Packed, Regions, unpack
from searchdet.storage.values import Fields


class FakeShelf:
    """Images in memory."""

    def __init__(self) -> None:
        self.images: list[Indexed] = []
        self._packed: list[Packed] = []

    def add(self, image: ImageInfo, packed: Packed) -> int:
        start = sum(item.count for item in self.images)
        self.images.append(Indexed(image, start, len(packed.arrays["quality"]), packed.facts))
        self._packed.append(packed)
        return len(self.images) - 1

    def regions(self, image: int) -> Regions:
        return unpack(self._packed[image])

    def close(self) -> None:
        pass


@dataclass
class FakeBoard:
    shelf: FakeShelf

    def under(self, image: int, x: float, y: float) -> list[int]:
        masks = rendered(self.shelf.regions(image).proposals).dense()
        rows = np.flatnonzero(masks[:, int(y), int(x)])
        return sorted(rows.tolist(), key=lambda row: int(masks[row].sum()))


class Said(dict):
    """A JSON object that says itself, and whose fields are attributes too."""

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def to_json(self) -> dict[str, Any]:
        return dict(self)


@dataclass
class FakeSession:
    """Judges all images anew after each event. Knows judge, pick, remove, undo and redo."""

    shelf: FakeShelf
    models: ModelInfo
    start: Bank | None = None
    version: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    undone: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    _made: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def read_event(values: Fields) -> dict[str, Any]:
        kind = values.text("kind")
        if kind in ("judge", "pick"):
            found = {"kind": kind, "image": values.text("image"), "row": values.whole("row")}
            label = values.optional_text("label")
            wrong = label is None if kind == "pick" else values.text("verdict") == "wrong"
            return {**found, "wrong": wrong, "label": label}
        if kind == "draw":
            return {"kind": kind, "drawn": values.text("drawn"), "label": values.optional_text("label")}
        if kind == "paste":
            return {"kind": kind, "name": values.text("name"), "label": values.optional_text("label")}
        if kind == "remove":
            return {"kind": kind, "exemplar": values.text("exemplar")}
        if kind in ("undo", "redo"):
            return {"kind": kind}
        raise ValueError(f"kind is {kind!r:.40}, which is no event")

    def apply(self, event: dict[str, Any]) -> Said:
        before = [item["counts"] for item in self.images()]
        self._apply(event)
        after = [item["counts"] for item in self.images()]
        changed = [
            {"i": i, "before": before[i], "after": after[i]}
            for i in range(len(after))
            if before[i] != after[i]
        ]
        names = {name for counts in (*before, *after) for name in counts}
        counts = {n: [sum(c.get(n, 0) for c in side) for side in (before, after)] for n in names}
        return Said(version=self.version, changed=changed, counts=counts)

    def images(self, since: int | None = None) -> list[Said]:
        """All images where one was judged since, as all may have another status."""
        if since is not None and since >= self.version:
            return []
        view, bank, made = self.view, self.bank, []
        for i, item in enumerate(self.shelf.images):
            counts: dict[str, int] = {}
            if view is not None and bank is not None:
                for c in view.found.label[view.found.image == i].tolist():
                    counts[bank.classes[c]] = counts.get(bank.classes[c], 0) + 1
            status = "described" if view is None else "ok" if counts else "empty"
            info, judged = item.image, len(self.verdicts(i))
            made.append(
                Said(
                    i=i,
                    name=info.name,
                    width=info.width,
                    height=info.height,
                    status=status,
                    counts=counts,
                    judged=judged,
                )
            )
        return made

    def expect(self, total: int) -> None:
        self.total, self.version = total, self.version + 1

    def fail(self, name: str, code: str, message: str) -> None:
        self.failed.append({"name": name, "code": code, "message": message})
        self.version += 1

    def exemplar(self, exemplar: str) -> tuple[Any, Any]:
        for item in self.state()["exemplars"]:
            if exemplar in (item["id"], item["name"]):
                return SimpleNamespace(key=item["name"]), None
        raise UsageError(f"there is no exemplar {exemplar!r}.")

    def close(self) -> None:
        pass

    def _apply(self, event: dict[str, Any]) -> None:
        if event["kind"] == "undo":
            if self.events:
                self.undone.append(self.events.pop())
        elif event["kind"] == "redo":
            if self.undone:
                self.events.append(self.undone.pop())
        else:
            if "image" in event:
                self._row(event)
            self.events.append(event)
        self.version += 1

    def added(self) -> None:
        self.version += 1

    def _row(self, event: dict[str, Any]) -> Rows:
        number = next(
            (i for i, item in enumerate(self.shelf.images) if item.image.name == event["image"]), None
        )
        if number is None or event["row"] >= self.shelf.images[number].count:
            raise ValueError("there is no such region")
        item, row = self.shelf.regions(number).described, event["row"]
        origin = Origin(f"{event['image']}#{row}", self.shelf.images[number].image.sha256)
        vectors, contexts = item.embedded.vectors[[row]], item.contexts[[row]]
        return Rows(vectors, contexts, item.outlines[[row]], (origin,))

    def _verdicts(self) -> dict[str, tuple[dict[str, Any], str | None]]:
        found: dict[str, tuple[dict[str, Any], str | None]] = {}
        for event in self.events:
            if event["kind"] == "remove":
                found.pop(event["exemplar"], None)
            elif "row" in event:
                label = event["label"] or (self.start.classes[0] if self.start else "thing")
                name = f"{event['image']}#{event['row']}"
                found[name] = (event, None if event["wrong"] else label)
        return found

    def verdicts(self, image: int) -> list[tuple[int, str, str | None]]:
        name = self.shelf.images[image].image.name
        return [
            (event["row"], "wrong" if label is None else "right", label)
            for event, label in self._verdicts().values()
            if event["image"] == name
        ]

    @property
    def bank(self) -> Bank | None:
        return self._now()["bank"]

    @property
    def view(self) -> Any:
        return self._now()["view"]

    def record(self, image: int) -> ImageRecord | None:
        judge = self._now()["judge"]
        item = self.shelf.images[image]
        return None if judge is None else judge.record(item.image, self.shelf.regions(image))

    def _now(self) -> dict[str, Any]:
        if self._made.get("version") != self.version:
            bank = self._bank()
            judge = None if bank is None else self._judge(bank)
            self._made = {"version": self.version, "bank": bank, "judge": judge}
            self._made["view"] = None if judge is None else self._view(judge)
        return self._made

    def _judge(self, bank: Bank) -> Any:
        scoring = ScoringOptions(second_look=0)
        return make_judge(Gathered(bank), scoring, SuppressionOptions(), self.models)

    def _bank(self) -> Bank | None:
        rows = [(self._row(event), label) for event, label in self._verdicts().values()]
        start = self.start
        mine = [row for row, label in rows if label is not None]
        labels = [label for _, label in rows if label is not None]
        theirs = [row for row, label in rows if label is None]
        if start is not None:
            mine = [start.positives, *mine]
            theirs = [start.negatives, *theirs]
            labels = [start.classes[c] for c in start.labels] + labels
        if not labels:
            return None
        classes, numbers = indexed(labels)
        positives = join(mine)
        negatives = join(theirs) if theirs else positives.take([])
        return Bank(classes, positives, numbers, negatives, start.space if start else None)

    def _view(self, judge: Any) -> Any:
        count = sum(item.count for item in self.shelf.images)
        label, score = np.full(count, -1), np.full(count, np.nan)
        image, row, of, best = [], [], [], []
        classes = list(judge.bank.classes)
        for i, item in enumerate(self.shelf.images):
            for found in judge.record(item.image, self.shelf.regions(i)).candidates:
                if found.label is None:
                    continue
                label[item.start + found.id] = classes.index(found.label)
                score[item.start + found.id] = found.score_before_suppression
                if found.accepted:
                    image.append(i)
                    row.append(found.id)
                    of.append(classes.index(found.label))
                    best.append(found.score)
        made = (np.asarray(each) for each in (image, row, of, best))
        found = SimpleNamespace(**dict(zip(("image", "row", "label", "score"), made, strict=True)))
        return SimpleNamespace(label=label, score=score, found=found)

    def state(self) -> Said:
        bank, view = self.bank, self.view
        classes = [] if bank is None else list(bank.classes)
        exemplars = []
        if bank is not None:
            for rows, labels in (
                (bank.positives, [classes[c] for c in bank.labels]),
                (bank.negatives, [None] * len(bank.negatives)),
            ):
                for name, label in zip(rows.names, labels, strict=True):
                    number = f"{abs(hash(name)) % (1 << 32):08x}"
                    source = "region" if "#" in name else "file"
                    exemplars.append(
                        {"id": number, "name": name, "label": label, "source": source, "help": None}
                    )
        return Said(
            version=self.version,
            done=len(self.shelf.images),
            total=self.total,
            failed=list(self.failed),
            classes=[
                {
                    "name": name,
                    "exemplars": bank.counts()[name],
                    "count": int((view.found.label == c).sum()),
                    "min_score": 0.5,
                    "separates": True,
                }
                for c, name in enumerate(classes)
            ],
            negatives=0 if bank is None else len(bank.negatives),
            exemplars=exemplars,
            undo="Take back the last verdict." if self.events else None,
            redo="Do it again." if self.undone else None,
            review={"judged": len(self._verdicts()), "left": 5, "quiet": 0, "stop": False},
            second_pass={"on": False, "exemplars": 0, "gained": 0, "lost": 0},
            command="searchdet detect in/images --bank searchdet-serve/bank.safetensors",
        )

    def review(self, label: str | None, count: int) -> list[Said]:
        view, bank = self.view, self.bank
        if view is None or bank is None:
            return []
        offers = []
        for i, item in enumerate(self.shelf.images):
            rows = slice(item.start, item.start + item.count)
            for row in np.flatnonzero(view.label[rows] >= 0).tolist():
                name = bank.classes[view.label[item.start + row]]
                score = float(view.score[item.start + row])
                if label in (None, name):
                    offers.append((abs(score - 0.5), i, row, name, score))
        return [
            Said(
                i=i,
                image=self.shelf.images[i].image.name,
                row=row,
                label=name,
                score=round(score, 6),
                min_score=0.5,
                why="near",
            )
            for _, i, row, name, score in sorted(offers)[:count]
        ]

    def write_records(self, images: Iterable[int]) -> None:
        self.records += list(images)


class FakeDescribes:
    """Says that it has described something."""

    def box(self, image: ImageInfo, box: tuple[float, ...]) -> dict[str, Any]:
        return {"drawn": "0" * 64}

    def picture(self, data: bytes) -> dict[str, Any]:
        from searchdet.images import decode

        decode(Path("the picture"), data)
        return {"drawn": "0" * 64, "name": "picture-1"}


def described(folder: Path, models: Any = None) -> tuple[list[tuple[ImageInfo, Packed, Path]], Any]:
    """Images of a folder, described by the quick models, and what records say of these."""
    from searchdet.config import BackboneOptions, ProposalOptions, Settings
    from searchdet.images import Scan, discover
    from searchdet.index import Indexer

    quick = Settings(
        backbone=BackboneOptions("filterbank"), proposals=ProposalOptions("regions", scored_masks=300)
    )
    indexer = Indexer(quick)
    found = []
    for query in discover([str(folder)], Scan(recursive=True)):
        info, packed = indexer.describe(query)
        found.append((info, packed, query.path))
    return found, indexer


def make_desk(folder: Path, start: Bank | None = None) -> Any:
    """A desk over the images of a folder."""
    from searchdet.serve.desk import Desk
    from searchdet.serve.pictures import Pictures

    shelf = FakeShelf()
    images, indexer = described(folder)
    session = FakeSession(shelf, indexer.models_info, start)
    pictures = Pictures({i.name: p for i, _, p in images})
    desk = Desk(session, shelf, FakeBoard(shelf), pictures, len(images))
    for info, packed, _ in images:
        desk.add(info, packed)
    return desk


def bank_of(desk: Any, picks: list[tuple[int, int, str | None]]) -> Bank:
    """A bank of regions of a desk: (image, row, class)."""
    session = replace(desk.session, start=None, events=[], _made={})
    for image, row, label in picks:
        name = desk.shelf.images[image].image.name
        event = {"kind": "pick", "image": name, "row": row, "wrong": label is None, "label": label}
        session.events.append(event)
    bank = session.bank
    if bank is None:
        raise ValueError("no positive")
    return bank


def serve(folder: Path, port: int = 0) -> tuple[Any, Any, Any]:
    """A server over the images of a folder: the server, its desk and its address."""
    from searchdet.serve.address import listen
    from searchdet.serve.app import make_app
    from searchdet.serve.changes import Changes
    from searchdet.serve.server import Server

    desk = make_desk(folder)
    listening, address = listen("127.0.0.1", port, "a-token-for-the-tests")
    app = make_app(desk, Changes(desk, desk.session.read_event, FakeDescribes()), address)
    server = Server(app, listening, desk.broadcast)
    server.start()
    return server, desk, address


if __name__ == "__main__":
    import sys
    import time

    from worlds import make_world

    root = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/livefake")
    make_world(root / "in")
    _, _, where = serve(root / "in" / "images", int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(where.url, flush=True)
    while True:
        time.sleep(60)
