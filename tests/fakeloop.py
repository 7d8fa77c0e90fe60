"""A session of ``searchdet serve`` without a model, for the tests of its page: the same answers.

What it finds follows from the list of events alone.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from fakeshots import Shot, Thing, box_of
from runs import run_info

from searchdet.config import ScoringOptions
from searchdet.masks import rle
from searchdet.records.candidate import Candidate, Evidence
from searchdet.records.record import ImageRecord
from searchdet.records.rule import Standing, reason_of
from searchdet.records.thresholds import limits_of
from searchdet.report.contents import Contents
from searchdet.report.outlines import fineness, scale_of, text_of

LEAST = 0.45


@dataclass
class Fake:
    """The program. start: what the page begins with, classes and their first exemplars."""

    shots: list[Shot]
    start: dict[str, list[str]] = field(
        default_factory=lambda: {"bolt": ["good/bolt.jpg"], "nut": ["good/nut.jpg"]}
    )
    failed: list[dict[str, str]] = field(default_factory=list)
    total: int = 0
    run: str = "aa"
    events: list[dict[str, object]] = field(default_factory=list)
    undone: list[dict[str, object]] = field(default_factory=list)
    posted: list[dict[str, object]] = field(default_factory=list)
    version: int = 1
    lock: threading.RLock = field(default_factory=threading.RLock)
    touched: dict[int, int] = field(default_factory=dict)
    woken: threading.Condition = field(default_factory=threading.Condition)
    closed: bool = False

    # what follows from the events

    def renamed(self, label: str | None) -> str | None:
        for event in self.events:
            if event["kind"] == "rename_class" and label == event["label"]:
                label = str(event["to"])
        return label

    def classes(self) -> list[str]:
        made = [*self.start, *(str(e["label"]) for e in self.events if e["kind"] == "add_class")]
        return list(dict.fromkeys(str(self.renamed(name)) for name in made))

    def verdicts(self, name: str) -> dict[int, tuple[str, str | None]]:
        found: dict[int, tuple[str, str | None]] = {}
        for event in self.events:
            if event["kind"] == "judge" and event["image"] == name:
                found[int(event["row"])] = (str(event["verdict"]), self.renamed(event.get("label")))
        return found

    def exemplars(self) -> list[dict[str, object]]:
        rows: list[tuple[str, str | None, str]] = [
            (name, label, "file") for label, names in self.start.items() for name in names
        ]
        for number, event in enumerate(self.events):
            kind, label = event["kind"], event.get("label")
            if kind == "judge" and event["verdict"] == "right":
                label = self.things(str(event["image"]))[int(event["row"])].label
            if kind in ("judge", "pick"):
                rows.append((f"{event['image']}#{event['row']}", label, "region"))
            elif kind == "draw":
                rows.append((f"{event['image']}#box-{number:08x}", label, "box"))
            elif kind == "paste":
                rows.append((f"pasted/{number}", label, "paste"))
        gone = {str(e["exemplar"]) for e in self.events if e["kind"] == "remove"}
        made = {name: (self.renamed(label), source) for name, label, source in rows if name not in gone}
        if self.second_pass():
            made["shelf/0002.jpg#0"] = ("bolt", "pseudo")
        return [
            {
                "id": f"{abs(hash(name)) % 16**8:08x}", "name": name, "label": label, "source": source,
                "help": None if label is None or source == "pseudo" else 0.031,
                "picture": f"/api/exemplars/{name.encode().hex()}.jpg",
            }
            for name, (label, source) in made.items()
        ]  # fmt: skip

    def second_pass(self) -> bool:
        said = [bool(e["on"]) for e in self.events if e["kind"] == "second_pass"]
        return bool(said) and said[-1]

    def things(self, name: str) -> list[Thing]:
        return next(shot for shot in self.shots if shot.name == name).things

    def score(self, shot: Shot, row: int) -> tuple[str, float]:
        """A wrong verdict on a region takes the regions with nearly its score with it; a pick brings
        those of its class that come near."""
        item = shot.things[row]
        label, score = str(self.renamed(item.label)), item.score
        for event in self.events:
            kind = event["kind"]
            here = event.get("image") == shot.name and event.get("row") == row
            if here and kind == "judge" and event["verdict"] == "other":
                label, score = str(self.renamed(str(event["label"]))), 0.9
            elif here and (kind == "pick" or (kind == "judge" and event["verdict"] == "right")):
                named = event.get("label") if kind == "pick" else label
                label, score = (label, 0.05) if named is None else (str(self.renamed(str(named))), 0.9)
            elif here and kind == "judge":
                score = 0.05
            elif kind == "judge" and event["verdict"] == "wrong" and not item.inner:
                other = self.things(str(event["image"]))[int(event["row"])]
                score -= (
                    0.3 if abs(other.score - item.score) < 0.02 and other.label == item.label else 0
                )
            elif (
                kind in ("draw", "paste")
                and not item.inner
                and event.get("label") == label
                and 0.4 < score < 0.45
            ):
                score += 0.1
        return label, round(score, 6)

    def record(self, i: int) -> ImageRecord | None:
        if not any(item["label"] for item in self.exemplars()):
            return None
        shot, classes = self.shots[i], tuple(self.classes())
        scoring = ScoringOptions(min_margin=-1.0, second_look=0)
        rule = run_info(classes, LEAST, scoring)
        limits = limits_of(classes, scoring, rule.thresholds)
        made = []
        for row in range(len(shot.things)):
            label, score = self.score(shot, row)
            if label not in limits:  # of no class that there is
                continue
            standing = Standing(score, score, 1.0, 0.2, 0.1)
            code = shot.code(row)
            x, y, w, h = box_of(shot.mask(row))
            made.append(
                Candidate(
                    row, label, reason_of(standing, limits[label]), (x, y, x + w, y + h),
                    rle.area(code),
                    0.9,
                    score, 0.5, score, 1.0, score, 0.1, 0.8, None, 0.2, 0.1,
                    Evidence(self.start.get(label, ["good/bolt.jpg"])[0], 0.9), None, None, code,
                )
            )  # fmt: skip
        made.sort(key=lambda item: (not item.accepted, -item.score))
        status = "ok" if made and made[0].accepted else "empty"
        return ImageRecord(shot.name, status, *shot.size, "ab" * 32, tuple(made), classes, rule)

    def counts(self) -> dict[int, dict[str, int]]:
        made = {}
        known = any(item["label"] for item in self.exemplars())
        for i, shot in enumerate(self.shots if known else []):
            counts: dict[str, int] = {}
            for row in range(len(shot.things)):
                label, score = self.score(shot, row)
                if score >= LEAST:
                    counts[label] = counts.get(label, 0) + 1
            made[i] = counts
        return made

    # answers

    def progress(self) -> dict[str, int]:
        return {"done": len(self.shots), "total": max(self.total, len(self.shots))}

    def state(self) -> dict[str, object]:
        exemplars, counts = self.exemplars(), self.counts()
        judged = sum(len(self.verdicts(shot.name)) for shot in self.shots)
        classes = [
            {
                "name": name, "exemplars": sum(item["label"] == name for item in exemplars),
                "count": sum(each.get(name, 0) for each in counts.values()),
                "min_score": LEAST if any(item["label"] == name for item in exemplars) else None,
                "separates": name != "nut",
            }
            for name in self.classes()
        ]  # fmt: skip
        return {
            "version": self.version, "run": self.run, **self.progress(),
            "failed": self.failed, "classes": classes,
            "negatives": sum(item["label"] is None for item in exemplars), "exemplars": exemplars,
            "undo": f"take back: {self.events[-1]['kind']}" if self.events else None,
            "redo": f"do again: {self.undone[-1]['kind']}" if self.undone else None,
            "review": {
                "judged": judged, "left": max(0, 60 - judged), "quiet": judged, "stop": judged >= 4
            },
            "second_pass": {
                "on": self.second_pass(), "exemplars": int(self.second_pass()), "gained": 3, "lost": 1
            },
            "command": "searchdet detect shelf --bank searchdet-serve/bank.safetensors -o out",
        }  # fmt: skip

    def images(self, since: int | None) -> dict[str, object]:
        counts = self.counts()
        rows = [
            {
                "i": i, "name": shot.name, "width": shot.size[0], "height": shot.size[1],
                "status": "ok" if counts.get(i) else "empty", "counts": counts.get(i, {}),
                "judged": len(self.verdicts(shot.name)),
            }
            for i, shot in enumerate(self.shots)
            if since is None or self.touched.get(i, 0) > since
        ]  # fmt: skip
        return {"version": self.version, "images": rows}

    def image(self, i: int) -> dict[str, object]:
        record, contents = self.record(i), Contents()
        said = self.verdicts(self.shots[i].name)
        if record is not None:
            contents.add(record)
        return {
            "version": self.version, "i": i, "head": None if record is None else contents.head(),
            "detail": None if record is None else contents.details[0],
            "verdicts": [{"row": row, "verdict": a, "label": b} for row, (a, b) in said.items()],
        }  # fmt: skip

    def at(self, i: int, x: float, y: float) -> dict[str, object]:
        shot, found = self.shots[i], []
        for row in range(len(shot.things)):
            mask = shot.mask(row)
            if not mask[int(y), int(x)]:
                continue
            left, top, width, height = box_of(mask)
            label, score = self.score(shot, row)
            code = shot.code(row)
            outline = text_of(code, scale_of(*shot.size), fineness(*shot.size))
            box = [left, top, left + width, top + height]
            found.append(
                {
                    "row": row,
                    "box": box,
                    "area": rle.area(code),
                    "outline": outline,
                    "label": label,
                    "score": score,
                }
            )
        return {"regions": sorted(found, key=lambda item: item["area"])}

    def review(self, label: str | None, count: int) -> dict[str, object]:
        items = []
        for i, shot in enumerate(self.shots):
            for row, item in enumerate(shot.things):
                name, score = self.score(shot, row)
                if item.inner or row in self.verdicts(shot.name) or (label and name != label):
                    continue
                why = ("near", "between", "unlike")[row % 3]
                items.append(
                    {
                        "i": i,
                        "image": shot.name,
                        "row": row,
                        "label": name,
                        "score": score,
                        "min_score": LEAST,
                        "why": why,
                    }
                )
        return {"items": sorted(items, key=lambda item: abs(item["score"] - LEAST))[:count]}

    def done(self, event: dict[str, object], since: int) -> dict[str, object]:
        with self.lock:
            return {**self.apply(event), "now": {"state": self.state(), **self.images(since)}}

    def apply(self, event: dict[str, object]) -> dict[str, object]:
        with self.lock:
            self.posted.append(event)
            before = self.counts()
            if event["kind"] == "undo":
                self.undone.append(self.events.pop())
            elif event["kind"] == "redo":
                self.events.append(self.undone.pop())
            else:
                self.events.append(event)
                self.undone.clear()
            after, self.version = self.counts(), self.version + 1
            changed = [i for i in range(len(self.shots)) if before.get(i, {}) != after.get(i, {})]
            own = [i for i, shot in enumerate(self.shots) if shot.name == event.get("image")]
            every = range(len(self.shots)) if event["kind"] in ("undo", "redo", "rename_class") else own
            self.touched |= dict.fromkeys([*changed, *every], self.version)
            names = sorted(
                {name for side in (before, after) for each in side.values() for name in each}
            )
            sums = [
                [sum(each.get(name, 0) for each in side.values()) for side in (before, after)]
                for name in names
            ]
            made = {
                "version": self.version, "milliseconds": 1,
                "counts": dict(zip(names, sums, strict=True)),
                "changed": [
                    {"i": i, "before": before.get(i, {}), "after": after.get(i, {})} for i in changed
                ],
            }  # fmt: skip
        with self.woken:
            self.woken.notify_all()
        return made
