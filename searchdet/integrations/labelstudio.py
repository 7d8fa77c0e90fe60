"""Label Studio's protocol of machine learning backends: what it asks and how it is answered. Pure.

GET /health, POST /setup, POST /predict, POST /webhook
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..annotations.shapes import Drawn
from ..config import MOST_PIXELS
from ..errors import ExemplarError, ImageError
from ..masks import rle
from ..masks.polygons import outline
from ..storage.values import Fields, JsonObject, JsonValue
from . import brush
from .labelconfig import BRUSH, POLYGON, Control, control_of
from .predictor import Box, Found, Lesson, Marks, Point

NEGATIVE = "negative"
"""The label of what is not to be found, in small letters or not."""
SOURCE = "labelstudio"
"""Where the mask of such an exemplar comes from; that of a rectangle is looked for."""
MADE = ("manual", "prediction-changed", "")
"""The ``origin`` of regions that a person made; what is left as it was predicted teaches nothing."""
CREATED = ("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED")
DELETED = ("ANNOTATION_DELETED", "ANNOTATIONS_DELETED")
_SHAPES = {"polygonlabels": "polygon", "brushlabels": "brush", "rectanglelabels": "rectangle"}


@dataclass(frozen=True, slots=True)
class Task:
    """A task to predict. address: of its picture."""

    number: str
    address: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for predictions. marks: what a person points at, of the first task alone, in percent of
    its picture, empty: everywhere; label: the class that was chosen for it."""

    control: Control
    tasks: tuple[Task, ...]
    marks: Marks = Marks()
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Taught:
    """What a person drew on a picture. key: of the annotation; empty lessons: nothing that teaches."""

    key: str
    address: str
    lessons: tuple[Lesson, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What a webhook says: exemplars that came, and keys of annotations that went."""

    taught: tuple[Taught, ...] = ()
    gone: tuple[str, ...] = ()


def asked(body: object) -> Asked:
    """What a body of ``/predict`` asks for. Raises ValueError for another form."""
    values = Fields.of(body, "the request")
    control = control_of(values.text("label_config"))
    tasks = tuple(_task(item, control) for item in values.children("tasks"))
    marks, label = _context(values)
    if marks.given and len(tasks) != 1:
        raise ValueError(f"the request points at an object of {len(tasks)} tasks, not of one")
    return Asked(control, tasks, marks, label)


def control_asked(body: object) -> Control:
    """What the set-up in a body of ``/setup`` lets us draw with. Raises ValueError."""
    return control_of(Fields.of(body, "the request").text("schema"))


def status_of(error: Exception) -> int:
    """The HTTP status of an error: whose fault it is."""
    if isinstance(error, ImageError):
        return 422
    return 400 if isinstance(error, ValueError | ExemplarError) else 500


def at_size(marks: Marks, size: tuple[int, int]) -> Marks:
    """Marks in percent as marks in pixels of a picture of ``size`` (H, W)."""
    tall, wide = size[0] / 100, size[1] / 100
    points, against = (
        tuple((x * wide, y * tall) for x, y in side) for side in (marks.points, marks.against)
    )
    boxes = tuple((a * wide, b * tall, c * wide, d * tall) for a, b, c, d in marks.boxes)
    return Marks(points, against, boxes)


def prediction_json(
    found: Sequence[Found], request: Asked, task: Task, size: tuple[int, int], version: str
) -> JsonObject:
    """A prediction. size (H, W) of the picture. Only classes that the set-up knows are drawn."""
    shown = []
    for item in found:
        label = request.label if request.marks.given and item.label is None else item.label
        if label is not None and (not request.control.labels or label in request.control.labels):
            shown.append((item, label))
    regions = [
        _region(item, label, f"{task.number}-{n}", request.control, size)
        for n, (item, label) in enumerate(shown)
    ]
    best = max((item.score or 0.0 for item, _ in shown), default=0.0)
    return {"model_version": version, "score": best, "result": regions}


def nothing_json(version: str) -> JsonObject:
    """The prediction of a task whose picture cannot be used."""
    return {"model_version": version, "score": 0.0, "result": []}


def change_of(body: object) -> Change:
    """What a webhook's body changes; nothing for an action that is about something else, or without
    the annotations (``send_payload``). Raises ValueError for another form."""
    values = Fields.of(body, "the event")
    action = values.text("action")
    if action in DELETED:
        return Change(gone=tuple(_key(item) for item in _annotations(values)))
    if action not in CREATED:
        return Change()
    annotations = list(_annotations(values))
    if not annotations:
        return Change()
    control = control_of(values.child("project").text("label_config"))
    given = values.values.get("task") or values.values.get("tasks")
    tasks = given if isinstance(given, list) else [given] * len(annotations)
    if len(tasks) != len(annotations):
        raise ValueError(f"the event has {len(annotations)} annotations and {len(tasks)} tasks")
    found = []
    for item, task in zip(annotations, tasks, strict=True):
        address = _task(Fields.of(task, "the event's task"), control).address
        found.append(Taught(_key(item), address, tuple(_lessons(item, control))))
    return Change(tuple(found))


def _annotations(values: Fields) -> Iterator[Fields]:
    if values.values.get("annotation") is not None:
        yield values.child("annotation")
    elif values.values.get("annotations") is not None:
        yield from values.children("annotations")


def _key(annotation: Fields) -> str:
    return f"{SOURCE}/{annotation.whole('id')}"


def _task(task: Fields, control: Control) -> Task:
    return Task(str(task.values.get("id", "")), task.child("data").text(control.key))


def _lessons(annotation: Fields, control: Control) -> Iterator[Lesson]:
    """What of an annotation a person made on the picture. A cancelled one (skipped) teaches nothing."""
    if annotation.values.get("was_cancelled"):
        return
    for region in annotation.children("result"):
        kind = region.text("type") if "type" in region else ""
        origin = region.text("origin") if "origin" in region else ""
        if kind not in _SHAPES or origin not in MADE or region.text("to_name") != control.to:
            continue
        value = region.child("value")
        labels = value.texts(kind)
        if labels:
            label = None if labels[0].lower() == NEGATIVE else labels[0]
            yield Lesson(region.text("id"), label, _drawn(kind, region, value))


def _drawn(kind: str, region: Fields, value: Fields) -> Drawn:
    size = (region.whole("original_height", 1), region.whole("original_width", 1))
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError(f"{region.name} is of {size[1]}x{size[0]}, more than an image may have")
    tall, wide = size[0] / 100, size[1] / 100
    if kind == "brushlabels":
        mask = brush.decode(value.wholes("rle"), size)
        code = rle.encode(mask)
        return Drawn(size, SOURCE, encodings=(dict(code),))
    if kind == "polygonlabels":
        points = Fields({"points": value.items("points")}, region.name).items("points")
        flat = [v for n in range(len(points)) for v in _pair(points[n], region.name)]
        scaled = tuple(v * (tall if n % 2 else wide) for n, v in enumerate(flat))
        return Drawn(size, SOURCE, polygons=(scaled,))
    corners = _turned(_box(value), _number(value, "rotation"), (tall, wide))
    if corners is not None:
        return Drawn(size, SOURCE, polygons=(corners,))
    x0, y0, x1, y1 = _box(value)
    return Drawn(size, "box", boxes=((x0 * wide, y0 * tall, x1 * wide, y1 * tall),))


def _turned(box: Box, degrees: float, scale: tuple[float, float]) -> tuple[float, ...] | None:
    """The corners, in pixels, of a box that is turned about its first one; None where it is not."""
    if degrees % 360 == 0:
        return None
    x0, y0 = box[0] * scale[1], box[1] * scale[0]
    width, height = (box[2] - box[0]) * scale[1], (box[3] - box[1]) * scale[0]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    ends = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    return tuple(v for x, y in ends for v in (x0 + x * cos - y * sin, y0 + x * sin + y * cos))


def _context(values: Fields) -> tuple[Marks, str | None]:
    """What a person points at, in percent, and the class that was chosen for it."""
    params = values.optional_child("params") if "params" in values else None
    context = params.optional_child("context") if params is not None and "context" in params else None
    if context is None or not context.values.get("result"):
        return Marks(), None
    points: list[Point] = []
    against: list[Point] = []
    boxes: list[Box] = []
    label = None
    for region in context.children("result"):
        kind, value = region.text("type"), region.child("value")
        if kind == "keypointlabels":
            wanted = region.values.get("is_positive", value.values.get("is_positive", True))
            (points if wanted else against).append((value.number("x"), value.number("y")))
        elif kind == "rectanglelabels":
            boxes.append(_box(value))
        else:
            continue
        label = label or next(iter(value.texts(kind)), None)
    return Marks(tuple(points), tuple(against), tuple(boxes)), label


def _region(
    item: Found, label: str, number: str, control: Control, size: tuple[int, int]
) -> JsonObject:
    kind = control.kind.lower()
    value: dict[str, JsonValue]
    if control.kind == POLYGON:
        ring = outline(*rle.window(item.mask)).tolist()
        points = [[_percent(x, size[1]), _percent(y, size[0])] for x, y in ring]
        value = {"points": points, "closed": True}
    elif control.kind == BRUSH:
        value = {"format": "rle", "rle": brush.encode(rle.decode([item.mask], size)[0])}
    else:
        x0, y0, x1, y1 = item.box
        left, top = _percent(x0, size[1]), _percent(y0, size[0])
        wide, tall = _percent(x1 - x0, size[1]), _percent(y1 - y0, size[0])
        value = {"x": left, "y": top, "width": wide, "height": tall, "rotation": 0}
    return {
        "id": number,
        "type": kind,
        "from_name": control.name,
        "to_name": control.to,
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        **({} if item.score is None else {"score": item.score}),
        "value": {**value, kind: [label]},
    }


def _box(value: Fields) -> Box:
    x, y = value.number("x"), value.number("y")
    return x, y, x + value.number("width"), y + value.number("height")


def _number(value: Fields, name: str) -> float:
    return (value.optional_number(name) if name in value else None) or 0.0


def _pair(point: JsonValue, name: str) -> tuple[float, ...]:
    return Fields({"point": point}, name).numbers("point", 2)


def _percent(value: float, size: int) -> float:
    return round(min(max(100 * value / size, 0.0), 100.0), 6)
