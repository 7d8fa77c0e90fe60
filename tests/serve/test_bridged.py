"""The bridges beside the page: one session, one token."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import served as serving
from asking import Asker

from searchdet.bank import Enrolment
from searchdet.commands.serve import _sources
from searchdet.config import ScoringOptions
from searchdet.errors import UsageError
from searchdet.integrations.sources import Sources
from searchdet.serve.bridged import _models

pytestmark = pytest.mark.model
CONFIG = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="red"/><Label value="blue"/></RectangleLabels>
</View>"""
BOX = (18 / 1.4, 28 / 1.2, 44 / 1.4, 64 / 1.2)
"""Around the red patch of a.png, in percent: x, y, width, height."""


@pytest.fixture
def served(cold_world: Path) -> Iterator[tuple[Asker, Any]]:
    images = cold_world / "in/images"
    with serving.serving(
        serving.job(images, cold_world / "out"), sources=Sources(folders=(images,))
    ) as made:
        yield made.asker, made.desk


def post(asker: Asker, path: str, body: object, **headers: str) -> tuple[int, Any]:
    data = json.dumps(body).encode()
    status, _, answer = asker.ask(path, data, Content_Type="application/json", **headers)
    return status, json.loads(answer)


def drawn(label: str, box: tuple[float, ...], number: int) -> dict[str, object]:
    """An annotation of a box, in percent of a.png, as Label Studio tells it."""
    value = dict(zip(("x", "y", "width", "height"), box, strict=True))
    region = {
        "id": f"r{number}",
        "type": "rectanglelabels",
        "from_name": "box",
        "to_name": "image",
        "original_width": 140,
        "original_height": 120,
        "value": {**value, "rotation": 0, "rectanglelabels": [label]},
    }
    return {
        "action": "ANNOTATION_CREATED",
        "annotation": {"id": number, "result": [region]},
        "task": {"id": 1, "data": {"image": "/data/local-files/?d=a.png"}},
        "project": {"id": 1, "label_config": CONFIG},
    }


def test_what_is_drawn_in_label_studio_is_found_on_the_page_and_in_x_anylabeling(
    served: tuple[Asker, Any], cold_world: Path
) -> None:
    asker, desk = served
    assert asker.get("/v1/models")["data"]["searchdet"]["classes"] == []
    before = asker.get("/api/state")["version"]
    status, said = post(asker, "/webhook", drawn("red", BOX, 5))
    assert (status, said["learned"]) == (201, 1), said
    state = asker.get("/api/state")
    assert state["version"] > before
    assert [(item["name"], item["exemplars"]) for item in state["classes"]] == [("red", 1)]
    assert [item["name"] for item in state["exemplars"]] == ["pasted/labelstudio-5#r5"]
    assert state["undo"]
    assert desk.session.record(0).detections
    assert asker.get("/v1/models")["data"]["searchdet"]["classes"] == ["red"]

    image = base64.b64encode((cold_world / "in/images/a.png").read_bytes()).decode("ascii")
    status, said = post(asker, "/v1/predict", {"model": "searchdet", "image": image, "params": {}})
    assert status == 200
    shown = {(item.label, item.probability) for item in desk.session.record(0).detections}
    assert {(item["label"], item["score"]) for item in said["data"]["shapes"]} == shown

    # a second word on the same annotation takes the place of the first
    post(asker, "/webhook", {**drawn("blue", BOX, 5), "action": "ANNOTATION_UPDATED"})
    assert [item["name"] for item in asker.get("/api/state")["classes"]] == ["blue"]
    gone = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 5}]}
    assert post(asker, "/webhook", gone)[1]["forgotten"] == 1
    assert asker.get("/api/state")["exemplars"] == []


def test_limits_of_classes_are_those_of_the_page(cold_world: Path) -> None:
    images = cold_world / "in/images"
    scoring = ScoringOptions(class_min_score=(("red", 0.999), ("green", 0.5)))
    job = serving.job(images, cold_world / "out")
    job = replace(job, settings=replace(job.settings, scoring=scoring))
    image = base64.b64encode((images / "a.png").read_bytes()).decode("ascii")
    asked = {"model": "searchdet", "image": image, "params": {}}

    def shapes() -> int:
        status, said = post(made.asker, "/v1/predict", asked)
        assert status == 200, said
        assert len(made.desk.session.record(0).detections) == len(said["data"]["shapes"])
        return len(said["data"]["shapes"])

    with serving.serving(job, sources=Sources(folders=(images,))) as made:
        assert post(made.asker, "/webhook", drawn("blue", BOX, 5))[0] == 201
        assert shapes() > 0  # limits of classes without an exemplar wait
        assert made.asker.send({"kind": "rename_class", "label": "blue", "to": "red"})[0] == 200
        assert shapes() == 0
        assert made.asker.send({"kind": "rename_class", "label": "red", "to": "other"})[0] == 200
        assert shapes() == 0
        assert made.asker.send({"kind": "undo"})[0] == 200
        assert shapes() == 0


def test_bridges_ask_for_the_token_as_the_programs_show_it(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    for path in ("/health", "/v1/models"):
        assert Asker(asker.port).ask(path)[0] == 401
    basic = base64.b64encode(f"anyone:{serving.TOKEN}".encode()).decode("ascii")
    for shown in (
        {"Token": serving.TOKEN},
        {"Authorization": f"Token {serving.TOKEN}"},
        {"Authorization": f"Bearer {serving.TOKEN}"},
        {"Authorization": f"Basic {basic}"},
    ):
        assert Asker(asker.port, headers=shown).ask("/health")[0] == 200
    wrong = base64.b64encode(b"anyone:other").decode("ascii")
    for refused in (f"Basic {wrong}", "Basic %%", "Basic", f"Other {serving.TOKEN}"):
        assert Asker(asker.port, headers={"Authorization": refused}).ask("/health")[0] == 401
    assert post(Asker(asker.port), "/webhook", {"action": "PROJECT_UPDATED"})[0] == 401


def test_a_class_without_a_name_is_refused(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    status, said = post(asker, "/webhook", drawn(" red\n", BOX, 5))
    assert status == 400
    assert "no name of a class" in said["error"]
    assert asker.get("/api/state")["exemplars"] == []


def test_label_studio_says_where_its_pictures_are(
    cold_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("URL", "API_KEY", "LOCAL_FILES_DOCUMENT_ROOT"):
        monkeypatch.delenv(f"LABEL_STUDIO_{name}", raising=False)
    images = ["in/images", "in/images/a.png", "*.jpg"]
    assert _sources(images) == Sources(folders=(Path("in/images"),))
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://studio:8080")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "key")
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", "in")
    assert _sources(images) == Sources("http://studio:8080", "key", (Path("in"),))
    monkeypatch.setenv("LABEL_STUDIO_URL", "studio")
    with pytest.raises(UsageError, match="no address of a Label Studio"):
        _sources(images)


def test_beside_an_index_the_models_are_loaded_for_other_pictures() -> None:
    made = _models(None, serving.QUICK)
    assert (made.backbone.name, made.proposer.name) == ("filterbank", "regions")
    by = Enrolment.of(made.backbone, serving.QUICK, made.proposer)
    assert _models(by, serving.QUICK).proposer is made.proposer


def test_without_bridges_their_addresses_are_none(cold_world: Path) -> None:
    with serving.serving(serving.job(cold_world / "in/images", cold_world / "out")) as made:
        for path in ("/v1/models", "/v1/anything", "/predict"):
            status, said = made.asker.error(path)
            assert status == 404
            assert "with --bridges" in said
        assert "--bridges" not in made.asker.error("/elsewhere")[1]


def test_who_asks_by_hand_is_told_which_paths_there_are(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    for path in ("/v1", "/v1/", "/v1/other", "/v1/models/searchdet", "/health/", "/predict/1", "/ml"):
        status, told, body = asker.ask(path)
        assert (status, told["content-type"]) == (404, "application/json")
        said = json.loads(body)
        assert repr(path) in said["error"]
        assert "GET /v1/models, GET /v1/models/{model}/info, POST /v1/predict" in said["error"]
        assert len(said["paths"]) == 7
        for known in said["paths"]:
            method, _, place = known.partition(" ")
            sent = b"{}" if method == "POST" else None
            status, told, _ = asker.ask(place, sent, Content_Type="application/json")
            assert status != 405
            assert told["content-type"] == "application/json"
    status, said = asker.error("/predict")
    assert (status, said) == (405, "this address takes POST.")
