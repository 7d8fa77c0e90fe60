from __future__ import annotations

import base64

import numpy as np
import pytest
from bridged import BOLT, NUT, RING, TWO, block, found, png, uri
from exported import drawn, iou

from searchdet.errors import ImageError
from searchdet.integrations import anylabeling
from searchdet.integrations.anylabeling import Asked, asked, shapes_json
from searchdet.integrations.predictor import Marks


def body(**params: object) -> dict[str, object]:
    return {"model": "searchdet", "image": uri(), "params": params}


def test_what_the_program_sends_is_understood() -> None:
    sent = body(
        conf_threshold=0.3, iou_threshold=0.5, epsilon_factor=0.001, filter_classes=["nut"], marks=[]
    )
    assert asked(sent) == Asked(png(), 0.3, 0.5, 0.001, ("nut",))


def test_what_it_sends_where_nothing_is_set_asks_for_nothing() -> None:
    sent = body(conf_threshold=0.0, iou_threshold=0.0, epsilon_factor=0.0, filter_classes=[])
    assert asked(sent) == Asked(png())
    assert asked({"model": "searchdet", "image": uri()}) == Asked(png())
    assert asked({"model": "searchdet", "image": uri(), "params": None}) == Asked(png())


def test_a_picture_may_come_without_a_head() -> None:
    bare = base64.b64encode(png()).decode("ascii")
    assert asked({"model": "searchdet", "image": bare}).image == png()


def test_marks_are_points_on_the_object_and_beside_it_and_boxes() -> None:
    marks = [
        {"type": "point", "data": [12, 7], "label": 1},
        {"type": "point", "data": [1, 2], "label": 0},
        {"type": "rectangle", "data": [30, 25, 10, 5], "label": 1},
    ]
    assert asked(body(marks=marks)).marks == Marks(((12, 7),), ((1, 2),), ((10, 5, 30, 25),))


@pytest.mark.parametrize(
    ("sent", "error", "says"),
    [
        ([], ValueError, "not an object"),
        ({"model": "sam"}, LookupError, "no model 'sam'"),
        ({"model": "searchdet"}, ValueError, "the request.image is missing"),
        ({"model": "searchdet", "image": "%%"}, ImageError, "base64"),
        ({"model": "searchdet", "image": ""}, ImageError, "is empty"),
        ({"model": "searchdet", "image": "data:image/png,abc"}, ImageError, "without base64"),
        (body(conf_threshold=2), ValueError, "from 0 to 1"),
        (body(conf_threshold="0.5"), ValueError, "not a number"),
        (body(filter_classes="nut"), ValueError, "not a list"),
        (body(marks=[{"type": "circle", "data": [1, 2]}]), ValueError, "circle"),
        (body(marks=[{"type": "rectangle", "data": [1, 2, 3, 4], "label": 0}]), ValueError, "rect"),
        (body(marks=[{"type": "rectangle", "data": [1, 2, 1, 4], "label": 1}]), ValueError, "area"),
    ],
)
def test_another_form_is_refused(sent: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        asked(sent)


def test_a_mask_is_a_polygon_and_its_parts_share_a_group() -> None:
    answer = shapes_json([BOLT, NUT], Asked(b""))
    assert answer["success"] is True
    data = answer["data"]
    assert {key: data[key] for key in ("description", "replace")} == {
        "description": "",
        "replace": None,
    }
    first, *rest = data["shapes"]
    assert (first["label"], first["shape_type"], first["score"]) == ("bolt", "polygon", 0.9)
    assert first["group_id"] is None
    assert [(item["label"], item["group_id"]) for item in rest] == [("nut", 1), ("nut", 1)]
    assert set(first) == {
        *("label", "shape_type", "points", "score", "attributes", "description", "difficult"),
        *("direction", "flags", "group_id", "kie_linking"),
    }
    for mask, shapes in ((RING, [first]), (TWO, rest)):
        painted = drawn([np.ravel(item["points"]) for item in shapes], mask.shape)
        assert iou(painted, mask) > 0.99


def test_only_the_wanted_classes_and_not_what_lies_on_a_better_one() -> None:
    near = found("bolt", 0.5, block(10, 5, 30, 24) & ~block(15, 10, 25, 20))
    every = [near, BOLT, NUT]

    def labels(request: Asked) -> list[tuple[str, float]]:
        return [
            (item["label"], item["score"]) for item in shapes_json(every, request)["data"]["shapes"]
        ]

    assert [score for _, score in labels(Asked(b""))] == [0.5, 0.9, 0.4, 0.4]
    assert labels(Asked(b"", overlap=0.5)) == [("bolt", 0.9), ("nut", 0.4), ("nut", 0.4)]
    assert labels(Asked(b"", overlap=0.99))[0] == ("bolt", 0.9)
    assert len(labels(Asked(b"", overlap=0.99))) == 4
    assert labels(Asked(b"", wanted=("bolt",))) == [("bolt", 0.5), ("bolt", 0.9)]


def test_what_lies_under_marks_is_added_and_named_by_the_user() -> None:
    request = Asked(b"", overlap=0.1, wanted=("nut",), marks=Marks(((12, 7),)))
    data = shapes_json([found(None, None, RING)], request)["data"]
    assert data["replace"] is False
    assert [(item["label"], item["score"]) for item in data["shapes"]] == [("AUTOLABEL_OBJECT", None)]


def test_a_coarser_outline_has_fewer_corners() -> None:
    y, x = np.indices((200, 200))
    disc = found("bolt", 1.0, np.hypot(y - 100, x - 100) < 80)
    corners = [
        len(shapes_json([disc], Asked(b"", fineness=value))["data"]["shapes"][0]["points"])
        for value in (0.0, 0.001, 0.01)
    ]
    assert corners[0] >= corners[1] > corners[2] >= 3
    tiny = found("bolt", 1.0, block(3, 3, 4, 4))
    assert len(shapes_json([tiny], Asked(b"", fineness=1.0))["data"]["shapes"][0]["points"]) == 4


def test_the_models_and_what_is_shown_beside_the_picture() -> None:
    data = anylabeling.models_json(("bolt",), "v1")["data"]
    assert list(data) == ["searchdet"]
    assert data["searchdet"]["classes"] == ["bolt"]
    assert data["searchdet"]["batch_processing_mode"] == "default"
    assert {"name": "edit_conf", "value": 0.0} in data["searchdet"]["widgets"]
    info = anylabeling.info_json("searchdet", ("bolt",), "v1")["data"]
    assert info == {"model_id": "searchdet", **data["searchdet"]}
    with pytest.raises(LookupError, match="there is 'searchdet'"):
        anylabeling.info_json("yolo", (), "v1")


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (LookupError("x"), "MODEL_NOT_FOUND", 404),
        (ImageError("decode", "x"), "INVALID_IMAGE", 400),
        (ValueError("x"), "INVALID_REQUEST", 400),
        (MemoryError(), "INFERENCE_ERROR", 500),
    ],
)
def test_errors_have_the_words_of_the_protocol(error: Exception, code: str, status: int) -> None:
    assert anylabeling.code_of(error) == (code, status)
    said = anylabeling.error_json(code, "what")
    assert said == {"success": False, "error": {"code": code, "message": "what"}}
