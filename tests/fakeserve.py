"""A small stand-in for the program behind the page of ``searchdet serve``: the same answers, no model.

Its pictures hold hexagons (bolts) and discs (nuts). What it finds follows from the list of events alone.
"""

from __future__ import annotations

import io
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image, ImageDraw
from runs import run_info

from searchdet.config import ScoringOptions
from searchdet.masks import rle
from searchdet.records.candidate import Candidate, Evidence
from searchdet.records.record import ImageRecord
from searchdet.records.rule import Standing, reason_of
from searchdet.records.thresholds import limits_of
from searchdet.report.contents import Contents
from searchdet.report.outlines import fineness, scale_of, text_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
KINDS = {"js": "text/javascript", "css": "text/css", "html": "text/html; charset=utf-8"}
LEAST = 0.45


@dataclass(frozen=True)
class Thing:
    """An object of a picture: its class, its middle and radius, and its first score."""

    label: str
    x: float
    y: float
    radius: float
    score: float
    inner: bool = False


@dataclass
class Shot:
    """A picture and its regions, an outer and an inner one of each object."""

    name: str
    size: tuple[int, int]
    things: list[Thing]
    masks: dict[int, np.ndarray] = field(default_factory=dict)
    codes: dict[int, rle.Rle] = field(default_factory=dict)
    pictures: dict[int, bytes] = field(default_factory=dict)

    def polygon(self, row: int) -> list[tuple[float, float]]:
        item = self.things[row]
        count = 6 if item.label == "bolt" and not item.inner else 32
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
        return [
            (item.x + item.radius * float(np.cos(a)), item.y + item.radius * float(np.sin(a)))
            for a in angles
        ]

    def mask(self, row: int) -> np.ndarray:
        if row not in self.masks:
            self.masks[row] = self.drawn(row)
        return self.masks[row]

    def drawn(self, row: int) -> np.ndarray:
        image = Image.new("1", self.size)
        ImageDraw.Draw(image).polygon(self.polygon(row), fill=1)
        return np.asarray(image)

    def code(self, row: int) -> rle.Rle:
        if row not in self.codes:
            self.codes[row] = rle.encode(self.mask(row))
        return self.codes[row]

    def picture(self, side: int) -> bytes:
        """The picture as a JPEG."""
        if side not in self.pictures:
            self.pictures[side] = self.painted(side)
        return self.pictures[side]

    def painted(self, side: int) -> bytes:
        width, height = self.size
        y, x = np.mgrid[0:height, 0:width]
        ground = np.stack([96 + x * 40 / width, 100 + y * 30 / height, 108 - x * 20 / width], axis=2)
        image = Image.fromarray(ground.astype(np.uint8))
        pen = ImageDraw.Draw(image)
        for row, item in enumerate(self.things):
            shade = (56, 58, 62) if item.inner else (176, 172, 160) if item.label == "bolt" else (148, 152, 160)
            pen.polygon(self.polygon(row), fill=shade, outline=(50, 50, 54))
        if side and max(self.size) > side:
            image.thumbnail((side, side))
        return jpeg(image)


def jpeg(image: Image.Image) -> bytes:
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=88)
    return kept.getvalue()


def shots(count: int, names: tuple[str, str] = ("bolt", "nut"), title: str = "shelf/{:04d}.jpg") -> list[Shot]:
    """Pictures with five to nine objects each, the first one larger than a screen."""
    made = []
    for i in range(count):
        rng = np.random.default_rng(i)
        size = (2400, 1600) if i == 0 else (640, 480)
        things = []
        for k in range(int(rng.integers(5, 10))):
            x = size[0] * (0.12 + 0.19 * (k % 5))
            y = size[1] * (0.25 + 0.45 * (k // 5)) + float(rng.uniform(-20, 20))
            radius = size[0] * float(rng.uniform(0.05, 0.075))
            label = names[int(rng.integers(2))]
            things.append(Thing(label, x, y, radius, round(float(rng.uniform(0.3, 0.8)), 6)))
            things.append(Thing(label, x, y, radius * 0.4, 0.12, True))
        made.append(Shot(title.format(i), size, things))
    return made


@dataclass
class Fake:
    """The program. start: what the page begins with, classes and their first exemplars."""

    shots: list[Shot]
    start: dict[str, list[str]] = field(default_factory=lambda: {"bolt": ["good/bolt.jpg"], "nut": ["good/nut.jpg"]})
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
                score -= 0.3 if abs(other.score - item.score) < 0.02 and other.label == item.label else 0
            elif kind in ("draw", "paste") and not item.inner and event.get("label") == label and 0.4 < score < 0.45:
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
            standing = Standing(score, score, 1.0, 0.2, 0.1)
            code = shot.code(row)
            x, y, w, h = _box(shot.mask(row))
            made.append(
                Candidate(
                    row, label, reason_of(standing, limits[label]), (x, y, x + w, y + h), rle.area(code), 0.9,
                    score, 0.5, score, 1.0, score, 0.1, 0.8, None, 0.2, 0.1,
                    Evidence(self.start.get(label, ["good/bolt.jpg"])[0], 0.9), None, None, code,
                )
            )  # fmt: skip
        made.sort(key=lambda item: (not item.accepted, -item.score))
        status = "ok" if made[0].accepted else "empty"
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
            "version": self.version, "run": self.run, "done": len(self.shots), "total": max(self.total, len(self.shots)),
            "failed": self.failed, "classes": classes,
            "negatives": sum(item["label"] is None for item in exemplars), "exemplars": exemplars,
            "undo": f"take back: {self.events[-1]['kind']}" if self.events else None,
            "redo": f"do again: {self.undone[-1]['kind']}" if self.undone else None,
            "review": {"judged": judged, "left": max(0, 60 - judged), "quiet": judged, "stop": judged >= 4},
            "second_pass": {"on": self.second_pass(), "exemplars": int(self.second_pass()), "gained": 3, "lost": 1},
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
            "verdicts": [{"row": row, "verdict": verdict, "label": label} for row, (verdict, label) in said.items()],
        }  # fmt: skip

    def at(self, i: int, x: float, y: float) -> dict[str, object]:
        shot, found = self.shots[i], []
        for row in range(len(shot.things)):
            mask = shot.mask(row)
            if not mask[int(y), int(x)]:
                continue
            left, top, width, height = _box(mask)
            label, score = self.score(shot, row)
            code = shot.code(row)
            outline = text_of(code, scale_of(*shot.size), fineness(*shot.size))
            box = [left, top, left + width, top + height]
            found.append(
                {"row": row, "box": box, "area": rle.area(code), "outline": outline, "label": label, "score": score}
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
                    {"i": i, "image": shot.name, "row": row, "label": name, "score": score, "min_score": LEAST, "why": why}
                )
        return {"items": sorted(items, key=lambda item: abs(item["score"] - LEAST))[:count]}

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
            names = sorted({name for side in (before, after) for each in side.values() for name in each})
            sums = [[sum(each.get(name, 0) for each in side.values()) for side in (before, after)] for name in names]
            made = {
                "version": self.version, "counts": dict(zip(names, sums, strict=True)), "milliseconds": 1,
                "changed": [{"i": i, "before": before.get(i, {}), "after": after.get(i, {})} for i in changed],
            }  # fmt: skip
        with self.woken:
            self.woken.notify_all()
        return made


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


class Refusal(Exception):
    """An answer that says no."""


class Handler(BaseHTTPRequestHandler):
    fake: Fake
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def answer(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))), ("Content-Security-Policy", POLICY)):
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def json(self, value: object, status: int = 200) -> None:
        self.answer(json.dumps(value).encode(), "application/json", status)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        parts = address.path.strip("/").split("/")
        if parts == ["api", "stream"]:
            self.stream()
        elif parts[0] == "api":
            self.api(parts[1:], query)
        elif address.path == "/" or parts[0] == "assets":
            self.asset(parts[1] if len(parts) > 1 else "serve.html")
        else:
            self.json({"error": "there is no such file."}, 404)

    def asset(self, name: str) -> None:
        for room in ("serve", "report"):
            path = resources.files("searchdet") / room / "assets" / name
            if path.is_file():
                self.answer(path.read_bytes(), KINDS[name.rpartition(".")[2]])
                return
        self.json({"error": "there is no such file."}, 404)

    def api(self, parts: list[str], query: dict[str, str]) -> None:
        fake = self.fake
        with fake.lock:
            if parts == ["state"]:
                self.json(fake.state())
            elif parts == ["images"]:
                self.json(fake.images(int(query["since"]) if "since" in query else None))
            elif parts == ["review"]:
                self.json(fake.review(query.get("label"), int(query["count"])))
            elif parts[0] == "exemplars":
                self.answer(fake.shots[1].picture(256), "image/jpeg")
            elif parts[2:] == ["picture"]:
                self.answer(fake.shots[int(parts[1])].picture(int(query["side"])), "image/jpeg")
            elif parts[2:] == ["at"]:
                self.json(fake.at(int(parts[1]), float(query["x"]), float(query["y"])))
            else:
                self.json(fake.image(int(parts[1])))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/api/pictures"):
            label = parse_qs(urlsplit(self.path).query).get("label", [None])[0]
            self.json(self.fake.apply({"kind": "paste", "label": label, "bytes": len(body)}))
            return
        event = json.loads(body)["event"]
        if event["kind"] == "add_class" and event["label"] == "bad":
            self.json({"error": "bad is no name for a class; choose another."}, 400)
            return
        self.json(self.fake.apply(event))

    def stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        fake, seen = self.fake, -1
        try:
            self.wfile.write(b"retry: 200\n\n")
            while not fake.closed:
                if seen != fake.version:
                    seen = fake.version
                    done = {"done": len(fake.shots), "total": max(fake.total, len(fake.shots)), "run": fake.run}
                    lines = f"event: state\ndata: {json.dumps({'version': seen})}\n\nevent: progress\ndata: {json.dumps(done)}\n\n"
                    self.wfile.write(lines.encode())
                    self.wfile.flush()
                with fake.woken:
                    fake.woken.wait(0.1)
        except OSError:
            return


class Server(ThreadingHTTPServer):
    """On a free port of this machine; streams end with ``close``."""

    daemon_threads = True

    def __init__(self, fake: Fake, port: int = 0) -> None:
        self.fake = fake
        handler = type("Own", (Handler,), {"fake": fake})
        super().__init__(("127.0.0.1", port), handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, *_: object) -> None:
        """A page that goes away is no error."""

    def close(self) -> None:
        self.fake.closed = True
        with self.fake.woken:
            self.fake.woken.notify_all()
        self.shutdown()
        self.server_close()
        self.thread.join()
