from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from bridged import BOLT, NUT, RING, SIZE, TWO, Given, block, found
from exported import drawn, iou
from PIL import Image

from searchdet.errors import UsageError
from searchdet.integrations import cvat, cvat_interaction
from searchdet.integrations.cvatshapes import mask_points, points_of
from searchdet.integrations.predictor import Marks


@dataclass
class Shape:
    """As CVAT's SDK holds one."""

    label_id: int
    type: str
    points: list[float]
    more: dict[str, object] = field(default_factory=dict)


def sdk() -> SimpleNamespace:
    return SimpleNamespace(
        label_spec=lambda name, number, **more: (name, number, more),
        DetectionFunctionSpec=lambda labels: labels,
        InteractionFunctionSpec=lambda **least: least,
        InteractionResultShape=lambda type, points: (type, points),
        shape=lambda number, type, points, **more: Shape(number, type, points, more),
    )


def context(least: float | None = None, poly: bool = False) -> SimpleNamespace:
    return SimpleNamespace(frame_name="a.png", conf_threshold=least, conv_mask_to_poly=poly)


PICTURE = Image.fromarray(np.zeros((*SIZE, 3), np.uint8))


def test_a_mask_is_runs_along_the_rows_of_its_box() -> None:
    assert mask_points(found("a", 1, block(3, 2, 5, 4))) == [0, 4, 3, 2, 4, 3]
    hollow = block(1, 1, 4, 4) & ~block(2, 2, 3, 3)
    assert mask_points(found("a", 1, hollow)) == [0, 4, 1, 4, 1, 1, 3, 3]
    corner = np.zeros(SIZE, bool)
    corner[0, 1] = corner[1, 0] = True
    assert mask_points(found("a", 1, corner)) == [1, 2, 1, 0, 0, 1, 1]
    assert all(isinstance(value, float) for value in mask_points(BOLT))


def test_a_mask_as_polygons_and_as_its_box() -> None:
    assert points_of(BOLT, "rectangle") == [[10, 5, 30, 25]]
    for item, mask in ((BOLT, RING), (NUT, TWO)):
        assert iou(drawn(points_of(item, "polygon"), SIZE), mask) > 0.99
    assert [len(points_of(item, "polygon")) for item in (BOLT, NUT)] == [1, 2]


def test_frames_get_masks_with_scores() -> None:
    by = Given()
    made = cvat.Detection(by, "mask", sdk())
    assert made.spec == [("bolt", 0, {"type": "mask"}), ("nut", 1, {"type": "mask"})]
    first, second = made.detect(context(0.3), PICTURE)
    assert first == Shape(0, "mask", mask_points(BOLT), {"score": 0.9})
    assert (second.label_id, second.more) == (1, {"score": 0.4})
    assert by.asked == [("a.png", (*SIZE, 3), 0.3)]
    assert [item.label_id for item in made.detect(context(0.5), PICTURE)] == [0]


def test_masks_become_polygons_where_cvat_asks_for_them() -> None:
    made = cvat.Detection(Given(), "mask", sdk()).detect(context(poly=True), PICTURE)
    assert [(item.type, item.label_id, item.more) for item in made] == [
        ("polygon", 0, {"score": 0.9}),
        ("polygon", 1, {"score": 0.4, "group": 1}),
        ("polygon", 1, {"score": 0.4, "group": 1}),
    ]
    boxes = cvat.Detection(Given(), "rectangle", sdk()).detect(context(poly=True), PICTURE)
    assert [item.type for item in boxes] == ["rectangle"] * 2


def test_the_object_that_a_person_points_at() -> None:
    by = Given()
    made = cvat.Interaction(by, sdk())
    assert made.spec == {"min_pos_points": 0, "min_neg_points": 0, "min_bounding_boxes": 0}
    image = made.preprocess_image(None, PICTURE)
    prompts = SimpleNamespace(pos_points=[(1, 2)], neg_points=[(3, 4)], bounding_box=((5, 6), (7, 8)))
    assert made.detect(None, image, prompts) == [("mask", mask_points(BOLT))]
    assert by.asked[0][2] == Marks(((1, 2),), ((3, 4),), ((5, 6, 7, 8),))
    by.answers = []
    prompts.bounding_box = None
    assert made.detect(None, image, prompts) == []


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="mask, polygon, rectangle"):
        cvat.create(shapes="circle")
    monkeypatch.setitem(sys.modules, "cvat_sdk.auto_annotation", None)
    with pytest.raises(UsageError, match="CVAT's SDK is not installed"):
        cvat.create("positive")


def test_it_is_made_of_folders_as_the_command_line_is(
    world: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("cvat_sdk.auto_annotation")
    vars(module).update(vars(sdk()))
    monkeypatch.setitem(sys.modules, "cvat_sdk", ModuleType("cvat_sdk"))
    monkeypatch.setitem(sys.modules, "cvat_sdk.auto_annotation", module)
    made = cvat.create(
        "in/positive", "in/negative", shapes="polygon", backbone="filterbank", proposals="regions"
    )
    assert made.spec == [("red", 0, {"type": "polygon"})]
    with pytest.raises(UsageError, match="nonsense"):
        cvat.create("in/positive", nonsense=1)
    point = cvat_interaction.create(backbone="filterbank", proposals="regions")
    assert point.spec["min_bounding_boxes"] == 0
