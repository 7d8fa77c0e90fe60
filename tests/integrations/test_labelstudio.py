from __future__ import annotations

import copy

import numpy as np
import pytest
from bridged import BOLT, CONFIG, NUT, RING, SIZE, TWO, block, config, found
from exported import drawn, iou

from searchdet.annotations.shapes import paint
from searchdet.integrations import brush, labelstudio
from searchdet.integrations.labelconfig import Control, control_of
from searchdet.integrations.labelstudio import Asked, Task, asked, change_of, prediction_json
from searchdet.integrations.predictor import Marks

CONTROL = Control("PolygonLabels", "outline", "picture", ("bolt", "nut"), "photo")
TASK = {"id": 7, "data": {"photo": "/data/local-files/?d=a.png", "text": "x"}}
SENT = {"tasks": [TASK], "label_config": CONFIG, "model_version": "v", "project": "1.1700000000"}


def region(kind: str, **value: object) -> dict[str, object]:
    return {
        "id": "r1",
        "type": kind,
        "from_name": "outline",
        "to_name": "picture",
        "original_width": SIZE[1],
        "original_height": SIZE[0],
        "image_rotation": 0,
        "origin": "manual",
        "value": {kind: ["bolt"], **value},
    }


SQUARE = region("polygonlabels", points=[[50, 25], [100, 25], [100, 75], [50, 75]], closed=True)
BOX = region("rectanglelabels", x=10, y=20, width=30, height=40, rotation=0)
STROKE = region("brushlabels", format="rle", rle=brush.encode(RING))


def event(*regions: object, action: str = "ANNOTATION_CREATED") -> dict[str, object]:
    return {
        "action": action,
        "annotation": {"id": 31, "result": list(regions), "was_cancelled": False},
        "task": TASK,
        "project": {"id": 1, "label_config": CONFIG},
    }


def test_the_set_up_says_the_names_of_the_tags() -> None:
    assert control_of(CONFIG) == CONTROL
    brushes = config("BrushLabels")
    assert control_of(brushes).kind == "BrushLabels"
    both = CONFIG.replace("</View>", config("RectangleLabels") + "</View>")
    assert control_of(both) == CONTROL
    assert control_of(config("RectangleLabels", ())).labels == ()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("<View", "no XML"),
        ("<View/>", "has no PolygonLabels, BrushLabels or RectangleLabels"),
        (CONFIG.replace('toName="picture"', 'toName="other"'), "has no PolygonLabels"),
        (CONFIG.replace("$photo", "photo"), "has no PolygonLabels"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + CONFIG, "entities"),
        ("<! doctype x>" + CONFIG, "entities"),
    ],
)
def test_a_set_up_that_nothing_can_be_drawn_with_is_refused(given: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        control_of(given)


def test_a_request_names_tasks_and_their_pictures() -> None:
    assert asked(SENT) == Asked(CONTROL, (Task("7", "/data/local-files/?d=a.png"),))
    empty = {**SENT, "params": {"login": None, "password": None, "context": None}}
    assert asked(empty) == asked(SENT)
    assert labelstudio.control_asked({"schema": CONFIG, "project": "1"}) == CONTROL
    with pytest.raises(ValueError, match=r"tasks\[0\]\.data\.photo is missing"):
        asked({**SENT, "tasks": [{"id": 7, "data": {}}]})


def test_what_a_person_points_at_is_in_percent() -> None:
    results = [
        {"type": "keypointlabels", "value": {"x": 50, "y": 25, "keypointlabels": ["nut"]}},
        {"type": "keypointlabels", "is_positive": 0,
         "value": {"x": 1, "y": 2, "keypointlabels": ["nut"]}},
        {"type": "rectanglelabels", "value": {"x": 10, "y": 20, "width": 30, "height": 40,
                                              "rectanglelabels": ["bolt"]}},
        {"type": "textarea", "value": {"text": ["x"]}},
    ]  # fmt: skip
    request = asked({**SENT, "params": {"context": {"result": results}}})
    assert request.marks == Marks(((50, 25),), ((1, 2),), ((10, 20, 40, 60),))
    assert request.label == "nut"
    there = labelstudio.at_size(request.marks, SIZE)
    assert there == Marks(((30, 10),), ((0.6, 0.8),), ((6, 8, 24, 24),))
    with pytest.raises(ValueError, match="of 2 tasks"):
        asked({**SENT, "tasks": [TASK, TASK], "params": {"context": {"result": results}}})


def test_a_prediction_as_a_polygon() -> None:
    made = prediction_json([BOLT, NUT], asked(SENT), Task("7", ""), SIZE, "v2")
    assert (made["model_version"], made["score"]) == ("v2", 0.9)
    first, second = made["result"]
    points = first["value"].pop("points")
    assert first == {
        "id": "7-0",
        "type": "polygonlabels",
        "from_name": "outline",
        "to_name": "picture",
        "original_width": 60,
        "original_height": 40,
        "image_rotation": 0,
        "score": 0.9,
        "value": {"closed": True, "polygonlabels": ["bolt"]},
    }
    assert second["id"] == "7-1"
    for ring, mask in ((points, RING), (second["value"]["points"], TWO)):
        pixels = np.asarray(ring) * [SIZE[1] / 100, SIZE[0] / 100]
        assert iou(drawn([pixels.ravel()], SIZE), mask) > 0.99


def test_a_prediction_as_brush_strokes_and_as_a_rectangle() -> None:
    for kind in ("BrushLabels", "RectangleLabels"):
        request = asked({**SENT, "label_config": config(kind)})
        (item,) = prediction_json([NUT], request, Task("7", ""), SIZE, "v")["result"]
        assert item["type"] == kind.lower()
        value = item["value"]
        assert value.pop(kind.lower()) == ["nut"]
        if kind == "BrushLabels":
            assert value.pop("format") == "rle"
            assert (brush.decode(value.pop("rle"), SIZE) == TWO).all()
            assert value == {}
        else:
            assert value == {
                "x": pytest.approx(100 * 40 / 60, abs=1e-6),
                "y": 12.5,
                "width": pytest.approx(100 * 16 / 60, abs=1e-6),
                "height": 62.5,
                "rotation": 0,
            }


def test_classes_that_the_set_up_does_not_know_are_left_out() -> None:
    strange = found("rivet", 0.99, block(0, 0, 5, 5))
    made = prediction_json([strange, NUT], asked(SENT), Task("7", ""), SIZE, "v")
    assert [item["value"]["polygonlabels"] for item in made["result"]] == [["nut"]]
    assert made["score"] == 0.4
    open_one = asked({**SENT, "label_config": config("BrushLabels", ())})
    assert len(prediction_json([strange], open_one, Task("7", ""), SIZE, "v")["result"]) == 1
    assert prediction_json([], asked(SENT), Task("7", ""), SIZE, "v") == {
        "model_version": "v", "score": 0.0, "result": [],
    }  # fmt: skip


def test_what_lies_under_a_point_has_the_chosen_class() -> None:
    results = [{"type": "keypointlabels", "value": {"x": 50, "y": 25, "keypointlabels": ["nut"]}}]
    request = asked({**SENT, "params": {"context": {"result": results}}})
    under = found(None, None, RING)
    (item,) = prediction_json([under], request, Task("7", ""), SIZE, "v")["result"]
    assert item["value"]["polygonlabels"] == ["nut"]
    assert "score" not in item


def test_what_a_person_drew_becomes_lessons() -> None:
    named = [{**item, "id": f"r{n}"} for n, item in enumerate((SQUARE, BOX, STROKE))]
    (taught,) = change_of(event(*named)).taught
    assert taught.key == "labelstudio/31"
    assert taught.address == "/data/local-files/?d=a.png"
    assert [item.name for item in taught.lessons] == ["r0", "r1", "r2"]
    assert [item.label for item in taught.lessons] == ["bolt"] * 3
    assert [item.drawn.kind for item in taught.lessons] == ["labelstudio", "box", "labelstudio"]
    masks = [paint(item.drawn, SIZE) for item in taught.lessons]
    assert (masks[0] == block(30, 10, 60, 30)).all()
    assert (masks[1] == block(6, 8, 24, 24)).all()
    assert (masks[2] == RING).all()


def test_a_rectangle_that_was_turned_is_a_polygon() -> None:
    turned = region("rectanglelabels", x=50, y=25, width=25, height=25, rotation=90)
    (taught,) = change_of(event(turned)).taught
    # 15 pixels wide and 10 tall at (30, 10): a quarter turn about its first corner lays it to the left
    assert (paint(taught.lessons[0].drawn, SIZE) == block(20, 10, 30, 25)).all()


def test_a_negative_and_what_teaches_nothing() -> None:
    against = region("polygonlabels", points=SQUARE["value"]["points"])
    against["value"]["polygonlabels"] = ["Negative"]
    predicted = {**SQUARE, "id": "r2", "origin": "prediction"}
    changed = {**SQUARE, "id": "r3", "origin": "prediction-changed"}
    elsewhere = {**SQUARE, "id": "r4", "to_name": "other"}
    other = {"id": "r5", "type": "choices", "from_name": "c", "to_name": "picture", "value": {}}
    link = {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right"}
    (taught,) = change_of(event(against, predicted, changed, elsewhere, other, link)).taught
    assert [(item.name, item.label) for item in taught.lessons] == [("r1", None), ("r3", "bolt")]
    skipped = event(SQUARE)
    skipped["annotation"]["was_cancelled"] = True
    assert change_of(skipped).taught[0].lessons == ()


def test_annotations_that_went_and_other_events() -> None:
    gone = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 31}, {"id": 32}]}
    assert change_of(gone).gone == ("labelstudio/31", "labelstudio/32")
    one = {"action": "ANNOTATION_DELETED", "annotation": {"id": 5}}
    assert change_of(one).gone == ("labelstudio/5",)
    for other in ("START_TRAINING", "PROJECT_UPDATED", "TASKS_CREATED"):
        assert change_of({"action": other, "project": {"id": 1}}) == labelstudio.Change()
    assert change_of({"action": "ANNOTATION_CREATED"}) == labelstudio.Change()


def test_annotations_that_come_together() -> None:
    both = event(action="ANNOTATIONS_CREATED")
    first = both.pop("annotation")
    both["annotations"] = [{**first, "result": [SQUARE]}, {**first, "id": 32, "result": [BOX]}]
    assert [item.key for item in change_of(both).taught] == ["labelstudio/31", "labelstudio/32"]
    both["tasks"] = [TASK]
    del both["task"]
    with pytest.raises(ValueError, match="2 annotations and 1 tasks"):
        change_of(both)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("original_width",), 0, "whole number from 1"),
        (("original_width",), 10**9, "more than an image"),
        (("value", "points"), [[1]], "a list of 2 numbers"),
        (("value", "points"), None, "not a list"),
        (("id",), 5, "not text"),
        (("value",), {}, "polygonlabels is missing"),
    ],
)
def test_a_broken_region_is_refused_by_its_name(
    path: tuple[str, ...], value: object, says: str
) -> None:
    broken = copy.deepcopy(SQUARE)
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=says):
        change_of(event(broken))
