"""X-AnyLabeling's protocol of remote models: what it asks and how it is answered. Pure.

GET /health, GET /v1/models, GET /v1/models/{id}/info, POST /v1/predict
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ImageError
from ..storage.values import Fields, JsonObject, JsonValue
from .answers import apart, only, rings
from .pictures import decoded
from .predictor import Found, Marks

MODEL = "searchdet"
UNNAMED = "AUTOLABEL_OBJECT"
"""The label of a shape for which the user is asked one."""
NOT_FOUND, BAD_IMAGE, BAD_REQUEST = "MODEL_NOT_FOUND", "INVALID_IMAGE", "INVALID_REQUEST"
FAILED, UNAUTHORIZED = "INFERENCE_ERROR", "UNAUTHORIZED"
WIDGETS: tuple[tuple[str, JsonValue], ...] = (
    ("button_run", None),
    ("input_conf", None),
    ("edit_conf", 0.0),
    ("button_classes_filter", None),
    ("button_add_point", None),
    ("button_remove_point", None),
    ("button_add_rect", None),
    ("button_clear", None),
    ("button_finish_object", None),
    ("mask_fineness_slider", 1),
    ("mask_fineness_value_label", None),
    ("toggle_preserve_existing_annotations", False),
)
"""What the program shows beside the picture, and at which value."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. least: score from which on an object counts, None: as the classes' thresholds say.
    overlap: mask IoU from which on the worse of two of a class goes, None: as they are. fineness: as
    ``answers.rings``. wanted: classes, empty: all. marks: where the user points, empty: everywhere."""

    image: bytes
    least: float | None = None
    overlap: float | None = None
    fineness: float = 0.0
    wanted: tuple[str, ...] = ()
    marks: Marks = Marks()


def asked(body: object) -> Asked:
    """What a body of ``/v1/predict`` asks for. Raises LookupError for another model, ImageError for a
    picture that is none, and ValueError for another form."""
    values = Fields.of(body, "the request")
    if values.text("model") != MODEL:
        raise LookupError(f"there is no model {values.text('model')!r:.60}; there is {MODEL!r}.")
    given = values.optional_child("params") if "params" in values else None
    params = given or Fields({}, "params")
    return Asked(
        decoded(values.text("image")),
        _share(params, "conf_threshold") or None,
        _share(params, "iou_threshold") or None,
        _share(params, "epsilon_factor") or 0.0,
        params.texts("filter_classes") if params.values.get("filter_classes") else (),
        _marks(params),
    )


def models_json(classes: Sequence[str], version: str) -> JsonObject:
    """The answer of ``/v1/models``."""
    return {"success": True, "data": {MODEL: _model(classes, version)}}


def info_json(model: str, classes: Sequence[str], version: str) -> JsonObject:
    """The answer of ``/v1/models/{id}/info``. Raises LookupError for another model."""
    if model != MODEL:
        raise LookupError(f"there is no model {model!r:.60}; there is {MODEL!r}.")
    return {"success": True, "data": {"model_id": MODEL, **_model(classes, version)}}


def shapes_json(found: Sequence[Found], request: Asked) -> JsonObject:
    """The answer of ``/v1/predict``: a polygon for each part of a mask, those of one mask share a
    ``group_id``. What lies under marks is added to what is drawn already; else the user's own switch
    says what becomes of that."""
    kept = list(found)
    if not request.marks.given:
        kept = only(kept, request.wanted)
        kept = kept if request.overlap is None else apart(kept, request.overlap)
    shapes: list[JsonObject] = []
    group = 0
    for item in kept:
        outlines = [ring.round(4).tolist() for ring in rings(item, request.fineness)]
        group += len(outlines) > 1
        shapes += [_shape(item, ring, group if len(outlines) > 1 else None) for ring in outlines]
    replace = False if request.marks.given else None
    return {"success": True, "data": {"shapes": shapes, "description": "", "replace": replace}}


def error_json(code: str, message: str) -> JsonObject:
    """An error in the protocol's form."""
    return {"success": False, "error": {"code": code, "message": message}}


def code_of(error: Exception) -> tuple[str, int]:
    """The protocol's word for an error, and its HTTP status: a client that is told of an error by its
    status says so, and one with a good status shows nothing at all."""
    if isinstance(error, LookupError):
        return NOT_FOUND, 404
    if isinstance(error, ImageError):
        return BAD_IMAGE, 400
    return (BAD_REQUEST, 400) if isinstance(error, ValueError) else (FAILED, 500)


def _model(classes: Sequence[str], version: str) -> JsonObject:
    return {
        "display_name": f"searchdet: {', '.join(classes)}" if classes else "searchdet",
        "widgets": [{"name": name, "value": value} for name, value in WIDGETS],
        "params": {"version": version},
        "batch_processing_mode": "default",
        "classes": list(classes),
    }


def _shape(item: Found, points: list[list[float]], group: int | None) -> JsonObject:
    return {
        "label": UNNAMED if item.label is None else item.label,
        "shape_type": "polygon",
        "points": points,
        "score": item.score,
        "attributes": {},
        "description": None,
        "difficult": False,
        "direction": 0,
        "flags": None,
        "group_id": group,
        "kie_linking": [],
    }


def _share(params: Fields, name: str) -> float:
    """A number from 0 to 1; 0 where there is none."""
    value = params.optional_number(name) if name in params else None
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"{params.name}.{name} is {value}, not a number from 0 to 1")
    return value or 0.0


def _marks(params: Fields) -> Marks:
    """Points and rectangles with their labels: 1 is the object, 0 is not."""
    sides: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    boxes = []
    for mark in params.children("marks") if params.values.get("marks") else ():
        kind, mine = mark.text("type"), mark.whole("label") == 1 if "label" in mark else True
        if kind == "point":
            x, y = mark.numbers("data", 2)
            sides[mine].append((x, y))
        elif kind == "rectangle" and mine:
            boxes.append(corners(mark.numbers("data", 4)))
        else:
            raise ValueError(f"{mark.name} is a {kind!r:.40} that is not of the object; send points")
    return Marks(tuple(sides[True]), tuple(sides[False]), tuple(boxes))


def corners(values: tuple[float, ...]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of a box that was drawn from any corner. Raises ValueError for one without
    area."""
    x0, y0, x1, y1 = values
    if x0 == x1 or y0 == y1:
        raise ValueError(f"a rectangle has no area: {list(values)}")
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
