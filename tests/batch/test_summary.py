"""Figures of a run against NumPy's of the same masks and scores; stages of two threads kept apart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np
import pytest
from exported import record

from searchdet.batch.summary import Summary
from searchdet.storage.stages import EMBEDDING, PROPOSALS, SCORING, gathered, stage, together


def test_figures_are_those_of_the_masks_and_the_scores() -> None:
    rng = np.random.default_rng(4)
    summary, every, covered, pixels = Summary(), {"a": [], "b": []}, 0, 0
    for number in range(7):
        masks = rng.random((number, 40, 60)) < 0.2
        labels = [str(name) for name in rng.choice(["a", "b"], number)]
        scores = [float(x) for x in rng.uniform(1.1, 1.6, number).round(6)]
        one = record(
            f"{number}", list(zip(labels, masks, scores, strict=True)), classes=["a", "b", "c"]
        )
        summary.add(one)
        covered, pixels = covered + int(masks.any(axis=0).sum()), pixels + 2400
        for label, mask, score in zip(labels, masks, scores, strict=True):
            every[label].append((score, int(mask.sum()), number))
    told = summary.to_json()
    assert told["area_share"] == pytest.approx(covered / pixels, abs=1e-6)
    assert told["images"] == 7
    assert told["detections"] == 21
    for name, rows in every.items():
        scores, areas, images = (np.asarray(column) for column in zip(*rows, strict=True))
        mine = told["classes"][name]
        assert mine["detections"] == len(rows)
        assert mine["images"] == len(set(images.tolist()))
        assert mine["mean_area"] == pytest.approx(areas.mean(), abs=0.06)
        wanted = {"least": scores.min(), "mean": scores.mean(), "best": scores.max()}
        assert mine["scores"] == pytest.approx(wanted | {"deviation": scores.std()}, abs=2e-6)
    assert told["classes"]["c"] == {"detections": 0, "images": 0}
    assert [line.split(":")[0] for line in summary.lines()] == ["7 images", "a", "b", "c"]


def test_nothing_searched_tells_nothing() -> None:
    assert Summary().lines() == []
    assert Summary().to_json()["area_share"] == 0.0


def test_stages_are_gathered_where_they_are_asked_for_and_nowhere_else() -> None:
    with stage(SCORING):
        pass
    with gathered() as outer:
        with gathered() as inner, stage(SCORING):
            pass
        assert set(inner) == {SCORING}
        assert outer == {}
        with ThreadPoolExecutor(1) as worker, stage(PROPOSALS):
            worker.submit(copy_context().run, _embed).result()
            worker.submit(_embed).result()
        with pytest.raises(ZeroDivisionError), stage(SCORING):
            print(1 / 0)
    assert set(outer) == {PROPOSALS, EMBEDDING, SCORING}
    assert together({SCORING: 1.0}, {PROPOSALS: 2.0, SCORING: 3.0}) == {PROPOSALS: 2.0, SCORING: 4.0}
    assert list(together({SCORING: 1.0}, {PROPOSALS: 2.0})) == [PROPOSALS, SCORING]


def _embed() -> None:
    with stage(EMBEDDING):
        pass
