from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from fakes import GivenProposer, GridBackbone, LookingBackbone
from lessons import AT, RED, SIZE, learning, lesson, masks, picture, settings

from searchdet.annotations.shapes import Drawn
from searchdet.bank.build import Gathered
from searchdet.bank.describe import build_bank
from searchdet.config import EmbeddingOptions
from searchdet.detector import Detector
from searchdet.errors import ExemplarError, ImageError
from searchdet.exemplars import Exemplar
from searchdet.integrations.exemplars import Growing
from searchdet.integrations.learning import Learning
from searchdet.integrations.predictor import Lesson, Marks
from searchdet.masks import rle
from searchdet.regions import Models


def labels(by: Learning) -> list[tuple[str | None, tuple[float, ...]]]:
    return sorted((item.label, item.box) for item in by.predict(picture(), "a"))


def test_nothing_is_found_before_the_first_exemplar() -> None:
    by = learning()
    assert by.predict(picture(), "a") == []
    assert by.classes == ()
    assert by.version == "searchdet-grid-given"


def test_what_is_learned_is_found_and_what_is_taken_back_is_not() -> None:
    by = learning()
    assert by.learn("k/1", picture(), [lesson("red", "tomato")]) == 1
    first = by.version
    assert labels(by) == [("tomato", AT["red"]), ("tomato", AT["red too"])]
    assert by.learn("k/2", picture(), [lesson("green", "leaf")]) == 1
    assert by.classes == ("leaf", "tomato")
    assert len(labels(by)) == 3
    assert by.version != first
    assert by.forget("k/2") == 1
    assert by.version == first
    assert labels(by) == [("tomato", AT["red"]), ("tomato", AT["red too"])]
    assert by.forget("k/1") == 1
    assert by.forget("k/1") == 0
    assert labels(by) == []


def test_a_second_lesson_of_a_key_takes_the_place_of_the_first() -> None:
    by = learning()
    by.learn("k/1", picture(), [lesson("red", "tomato"), lesson("green", "leaf")])
    by.learn("k/1", picture(), [lesson("green", "leaf")])
    assert labels(by) == [("leaf", AT["green"])]
    by.learn("k/1", picture(), [])
    assert by.classes == ()
    # another key that begins alike is another one
    by.learn("k/11", picture(), [lesson("green", "leaf")])
    assert by.forget("k/1") == 0
    assert by.classes == ("leaf",)


def test_a_negative_is_learned_too() -> None:
    by = learning(min_score=-1.0, negative_weight=1.0)
    by.learn("k/1", picture(), [lesson("red", "tomato")])
    assert len(labels(by)) == 3
    by.learn("k/2", picture(), [lesson("green", None)])
    assert ("tomato", AT["green"]) not in labels(by)
    assert by.classes == ("tomato",)


def test_what_cannot_be_used_changes_nothing() -> None:
    by = learning()
    by.learn("k/1", picture(), [lesson("red", "tomato")])
    small = Lesson("x", "leaf", Drawn((32, 64), "labelstudio", polygons=((1, 1, 9, 1, 9, 9),)))
    with pytest.raises(ExemplarError, match="k/1#x: its annotation is for 64x32"):
        by.learn("k/1", picture(), [lesson("green", "leaf"), small])
    nothing = Lesson("y", "leaf", Drawn(SIZE, "labelstudio", polygons=((200, 1, 209, 1, 209, 9),)))
    with pytest.raises(ExemplarError, match="k/1#y: covers no pixel"):
        by.learn("k/1", picture(), [nothing])
    assert by.classes == ("tomato",)
    with pytest.raises(ImageError, match=r"x\.jpg"):
        by.load(b"no image", "x.jpg")


def test_the_exemplars_of_a_detector_stay_beside_what_is_learned() -> None:
    pixels = np.full((32, 32, 3), RED, np.uint8)
    red = Exemplar("pos/tomato/1.png", "tomato", pixels, np.ones((32, 32), bool), "whole", "0" * 64)
    backbone = GridBackbone(16, 32)
    bank = build_bank(backbone, [red], EmbeddingOptions())
    detector = Detector(Models(backbone, GivenProposer(masks())), Gathered(bank), settings())
    by = Learning.of(detector)
    assert by.classes == ("tomato",)
    assert len(labels(by)) == 2
    record = detector.detect_loaded(picture(), "a")
    assert [item.score for item in by.predict(picture(), "a")] == [
        item.probability for item in record.detections
    ]
    by.learn("k/1", picture(), [lesson("green", "leaf")])
    by.forget("k/1")
    assert len(labels(by)) == 2
    other = replace(bank, space=replace(bank.space, backbone="other"))
    with pytest.raises(ExemplarError, match="other"):
        Learning(detector.models, detector.settings, Growing(other, None))


def test_a_second_look_is_learned_too() -> None:
    by = learning(LookingBackbone(16, 32), min_score=0.5)
    by.learn("k/1", picture(), [lesson("red", "tomato")])
    by.learn("k/2", picture(), [lesson("green", "leaf")])
    assert [label for label, _ in labels(by)] == ["leaf", "tomato", "tomato"]
    bank = by._exemplars.bank
    assert bank is not None
    assert bank.looks_closer
    assert bank.share == LookingBackbone.share


def test_least_asks_for_likelier_ones_or_for_more() -> None:
    by = learning(min_score=0.9)
    by.learn("k/1", picture(), [lesson("red", "tomato")])
    every = by.predict(picture(), "a", 0.0)
    assert len(every) == 3
    scores = [item.score for item in every]
    assert scores == sorted(scores, reverse=True)
    for least in (0.001, 0.1, scores[0]):
        kept = by.predict(picture(), "a", least)
        assert [item.score for item in kept] == [score for score in scores if score >= least]
    assert by.predict(picture(), "a", 1.0) == []


def test_the_region_under_a_point_and_the_object_in_a_box() -> None:
    by = learning()
    (under,) = by.under(picture(), "a", Marks(((60, 20),)))
    assert (under.label, under.score, under.box) == (None, None, AT["green"])
    assert by.under(picture(), "a", Marks(((2, 60),))) == []
    by.learn("k/1", picture(), [lesson("red", "tomato")])
    (red,) = by.under(picture(), "a", Marks(((10, 20),)))
    assert (red.label, red.box) == ("tomato", AT["red"])
    (green,) = by.under(picture(), "a", Marks(((60, 20),)))
    assert (green.label, green.score) == (None, None)
    (boxed,) = by.under(picture(), "a", Marks(boxes=((50, 4, 92, 44),)))
    mask = rle.decode([boxed.mask], SIZE)[0]
    assert (mask & masks()[1]).sum() / (mask | masks()[1]).sum() > 0.8


def test_calls_that_come_at_once_do_not_mix() -> None:
    by = learning()
    gate = threading.Barrier(4)

    def work(number: int) -> list[int]:
        gate.wait()
        counts = []
        for _ in range(5):
            by.learn(f"k/{number}", picture(), [lesson("red", f"class{number}")])
            counts.append(len(by.predict(picture(), "a", 0.0)))
            by.forget(f"k/{number}")
        return counts

    with ThreadPoolExecutor(4) as pool:
        for counts in pool.map(work, range(4)):
            assert set(counts) == {3}
    assert by.classes == ()
