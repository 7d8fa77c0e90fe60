from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from bridged import CONFIG, Given, uri
from starlette.applications import Starlette
from starlette.testclient import TestClient
from test_labelstudio import SENT, SQUARE, event

from searchdet.errors import ImageError
from searchdet.integrations import routes
from searchdet.integrations.bridges import Bridges
from searchdet.integrations.sources import Sources
from searchdet.serve import body


def client(predictor: Given | None = None) -> TestClient:
    app = Starlette(routes=routes.routes(predictor or Given(), body.read))
    return TestClient(app, raise_server_exceptions=False)


def test_both_protocols_ask_for_health_at_one_address() -> None:
    answer = client().get("/health")
    said = answer.json()
    assert (answer.status_code, said["status"], said["models_loaded"]) == (200, "UP", 1)
    assert said["model_class"] == "searchdet"
    assert "T" in said["timestamp"]


def test_x_anylabeling_sees_the_model_and_gets_shapes() -> None:
    by = Given()
    web = client(by)
    assert list(web.get("/v1/models").json()["data"]) == ["searchdet"]
    assert web.get("/v1/models/searchdet/info").json()["data"]["model_id"] == "searchdet"
    sent = {"model": "searchdet", "image": uri(), "params": {"conf_threshold": 0.5}}
    answer = web.post("/v1/predict", json=sent)
    assert answer.status_code == 200
    assert [item["label"] for item in answer.json()["data"]["shapes"]] == ["bolt"]
    assert by.asked == [("image", (40, 60, 3), 0.5)]
    sent["params"] = {"marks": [{"type": "point", "data": [12, 7], "label": 1}]}
    assert len(web.post("/v1/predict", json=sent).json()["data"]["shapes"]) == 1


@pytest.mark.parametrize(
    ("sent", "code", "status"),
    [
        ({"model": "yolo", "image": uri()}, "MODEL_NOT_FOUND", 404),
        ({"model": "searchdet", "image": "AAAA"}, "INVALID_IMAGE", 400),
        ({"model": "searchdet"}, "INVALID_REQUEST", 400),
    ],
)
def test_errors_have_the_form_of_x_anylabeling(sent: object, code: str, status: int) -> None:
    answer = client().post("/v1/predict", json=sent)
    assert answer.status_code == status
    said = answer.json()
    assert (said["success"], said["error"]["code"]) == (False, code)
    assert said["error"]["message"]


def test_what_is_no_json_is_refused() -> None:
    answer = client().post("/v1/predict", content=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    answer = client().post("/predict", content=b"\xff", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "error" in answer.json()


@pytest.mark.parametrize(
    ("body", "says"), [(b"\xff\xfe{", "no text in UTF-8"), (b"[" * 200_000, "nested too deeply")]
)
def test_what_is_no_json_is_said_in_words(body: bytes, says: str) -> None:
    for path in ("/predict", "/webhook"):
        answer = client().post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert says in answer.json()["error"]


def test_a_request_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MOST_BYTES", 10)
    answer = client().post("/v1/predict", json={"model": "searchdet", "image": uri()})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "said"), [("/v1/predict", ("error", "message")), ("/webhook", ("error",))]
)
def test_a_body_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, path: str, said: tuple[str, ...]
) -> None:
    monkeypatch.setattr(body, "SECONDS", 0.01)
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
    told: list[dict[str, Any]] = []
    sent = iter([{"type": "http.request", "body": b'{"model"', "more_body": True}])

    async def receive() -> dict[str, Any]:
        for part in sent:
            return part
        await asyncio.sleep(60)  # nothing more comes
        raise AssertionError("it was waited for")

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    asyncio.run(Starlette(routes=routes.routes(Given(), body.read))(scope, receive, send))
    assert told[0]["status"] == 408
    assert (b"connection", b"close") in told[0]["headers"]
    answer = json.loads(told[1]["body"])
    for name in said:
        answer = answer[name]
    assert "was not whole after 0.06 s" in answer


def test_a_bug_is_told_without_its_inside(caplog: pytest.LogCaptureFixture) -> None:
    broken = Given(fails=RuntimeError("secret path"))
    answer = client(broken).post("/v1/predict", json={"model": "searchdet", "image": uri()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INFERENCE_ERROR")
    assert "secret" not in answer.text
    assert "secret path" in caplog.text
    caplog.clear()
    unreadable = Given(fails=ImageError("decode", "a.png: broken.", "Replace it."))
    with caplog.at_level(logging.WARNING):
        answer = client(unreadable).post("/v1/predict", json={"model": "searchdet", "image": uri()})
    assert answer.json()["error"]["message"] == "a.png: broken. Replace it."
    assert "Traceback" not in caplog.text


def sent(address: str = uri()) -> dict[str, object]:
    return {**SENT, "tasks": [{"id": 7, "data": {"photo": address}}]}


def test_label_studio_sets_up_and_gets_predictions() -> None:
    by = Given()
    web = client(by)
    setup = web.post("/setup", json={"project": "1.17", "schema": CONFIG, "extra_params": None})
    assert setup.json() == {"model_version": "searchdet-given-1"}
    answer = web.post("/predict", json=sent()).json()
    assert answer["model_version"] == "searchdet-given-1"
    (made,) = answer["results"]
    assert [item["value"]["polygonlabels"] for item in made["result"]] == [["bolt"], ["nut"]]
    assert by.asked == [("task 7", (40, 60, 3), None)]


def test_label_studio_is_told_why_not() -> None:
    web = client()
    answer = web.post("/setup", json={"schema": "<View/>"})
    assert answer.status_code == 400
    assert "has no PolygonLabels" in answer.json()["error"]
    answer = web.post("/predict", json=sent("http://169.254.169.254/a.png"))
    assert answer.status_code == 422
    assert "is not fetched" in answer.json()["error"]


def test_a_picture_that_cannot_be_used_takes_no_other_task_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    web, away, broken = client(), "http://169.254.169.254/a.png", uri(b"no picture")

    def asked(*addresses: str) -> Any:
        tasks = [{"id": i, "data": {"photo": address}} for i, address in enumerate(addresses, 7)]
        return web.post("/predict", json={**SENT, "tasks": tasks})

    answer = asked(away, uri(), broken, uri())
    assert answer.status_code == 200
    # as many as there are tasks and in their order: they carry no number
    assert [len(item["result"]) for item in answer.json()["results"]] == [0, 2, 0, 2]
    assert {item["model_version"] for item in answer.json()["results"]} == {"searchdet-given-1"}
    warned = [item.getMessage() for item in caplog.records if item.levelname == "WARNING"]
    assert len(warned) == 2
    assert "task 7" in warned[0]
    assert "is not fetched" in warned[0]
    assert "task 9" in warned[1]
    answer = asked(away, away)  # where none can be used it is no answer that there is nothing
    assert (answer.status_code, "is not fetched" in answer.json()["error"]) == (422, True)


def test_annotations_become_exemplars_and_go_with_them() -> None:
    by = Given()
    web = client(by)
    created = {**event(SQUARE), "task": {"id": 7, "data": {"photo": uri()}}}
    answer = web.post("/webhook", json=created)
    assert answer.status_code == 201
    assert answer.json() == {"learned": 1, "forgotten": 0, "model_version": by.version}
    ((name, label, mask),) = by.held["labelstudio/31"]
    assert (name, label, int(mask.sum())) == ("r1", "bolt", 600)
    emptied = {**created, "action": "ANNOTATION_UPDATED"}
    emptied["annotation"] = {**created["annotation"], "result": []}
    assert web.post("/webhook", json=emptied).json()["forgotten"] == 1
    web.post("/webhook", json=created)
    gone = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 31}, {"id": 99}]}
    assert web.post("/webhook", json=gone).json()["forgotten"] == 1
    assert by.held == {}
    assert web.post("/webhook", json={"action": "PROJECT_UPDATED"}).status_code == 201


def test_what_a_person_points_at_in_label_studio() -> None:
    by = Given()
    results = [{"type": "keypointlabels", "value": {"x": 50, "y": 25, "keypointlabels": ["nut"]}}]
    made = Bridges(by, Sources()).predictions({**sent(), "params": {"context": {"result": results}}})
    assert len(made["results"][0]["result"]) == 1
    assert by.asked[0][2].points == ((30, 10),)
