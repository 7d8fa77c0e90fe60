"""What the page asks and what persons do, against a session in memory."""

from __future__ import annotations

import http.client
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import served as serving
from asking import Asker
from PIL import Image

from searchdet.live.pointing import pointed

pytestmark = pytest.mark.model


@pytest.fixture
def served(cold_world: Path) -> Iterator[tuple[Asker, Any]]:
    with serving.serving(serving.job(cold_world / "in/images", cold_world / "out")) as made:
        yield made.asker, made.desk


def first_row(asker: Asker, i: int, x: float, y: float) -> int:
    return int(asker.get(f"/api/images/{i}/at?x={x}&y={y}")["regions"][0]["row"])


def test_a_folder_is_judged_from_nothing_by_two_clicks(served: tuple[Asker, Any]) -> None:
    asker, desk = served
    state = asker.get("/api/state")
    assert (state["done"], state["total"], state["failed"], state["classes"]) == (3, 3, [], [])
    images = asker.get("/api/images")["images"]
    assert [item["name"] for item in images] == ["a.png", "deep/a.png", "none.png"]
    assert {item["status"] for item in images} == {"described"}
    assert asker.get("/api/images/0")["head"] is None

    row = first_row(asker, 0, 40, 60)
    status, said = asker.send({"kind": "pick", "image": "a.png", "row": row, "label": "red"})
    assert status == 200
    assert said["counts"]["red"][0] == 0 < said["counts"]["red"][1]
    (mine,) = (item for item in said["changed"] if item["i"] == 0)
    assert (mine["before"], set(mine["after"])) == ({}, {"red"})
    blue = first_row(asker, 0, 100, 60)
    status, said = asker.send({"kind": "pick", "image": "a.png", "row": blue, "label": None})
    assert status == 200

    state = asker.get("/api/state")
    assert [item["name"] for item in state["classes"]] == ["red"]
    assert state["negatives"] == 1
    assert state["undo"]
    shown = asker.get("/api/images/1")
    assert shown["head"]["images"][0]["name"] == "deep/a.png"
    assert len(shown["detail"]["area"]) == len(shown["head"]["images"][0]["id"])
    assert desk.session.record(1).detections


def test_an_event_brings_all_that_differs_from_what_the_page_knew(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    before = asker.get("/api/state")["version"]
    row = first_row(asker, 0, 40, 60)
    event = {"kind": "pick", "image": "a.png", "row": row, "label": "red"}
    status, said = asker.send(event, f"/api/events?since={before}")
    assert status == 200
    now = said.pop("now")
    assert now.pop("state") == asker.get("/api/state")
    assert now == asker.get(f"/api/images?since={before}")
    assert now["version"] == said["version"] > before
    status, said = asker.send({"kind": "undo"}, "/api/events?since=0")
    assert len(said["now"]["images"]) == 3, "of a version that is none of ours, all"
    assert "now" not in asker.send({"kind": "redo"})[1]
    assert asker.send({"kind": "undo"}, "/api/events?since=x")[0] == 400


def test_regions_under_a_pixel_are_at_image_size_and_likeliest_first(served: tuple[Asker, Any]) -> None:
    asker, desk = served
    regions = asker.get("/api/images/0/at?x=40&y=60")["regions"]
    assert [item["row"] for item in regions] == pointed(desk.board, 0, 40, 60)
    for item in regions:
        x0, y0, x1, y1 = item["box"]
        assert x0 <= 40 < x1
        assert y0 <= 60 < y1
        assert item["outline"]
        assert item["label"] is None
        assert item["score"] is None
    assert asker.get("/api/images/0/at?x=4000&y=60")["regions"] == []
    asker.send({"kind": "pick", "image": "a.png", "row": regions[0]["row"], "label": "red"})
    known = asker.get("/api/images/0/at?x=40&y=60")["regions"][0]
    assert (known["row"], known["label"], known["score"]) == (regions[0]["row"], "red", 1.0)


def test_a_box_takes_the_region_that_fills_it_unless_that_is_wrong(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    first = asker.get("/api/images/0/at?x=40&y=60")["regions"][0]
    event = {"kind": "draw", "image": "a.png", "box": first["box"], "label": "red"}
    assert asker.send(event)[0] == 200
    assert [item["name"] for item in asker.get("/api/state")["exemplars"]] == [f"a.png#{first['row']}"]
    asker.send(
        {"kind": "judge", "image": "a.png", "row": first["row"], "verdict": "wrong", "label": None}
    )
    assert asker.send(event)[0] == 200
    names = [item["name"] for item in asker.get("/api/state")["exemplars"]]
    assert f"a.png#{first['row']}" in names, "it stays a negative"
    assert len(names) == 2


def test_only_images_that_changed_since_a_version_come_again(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    every = asker.get("/api/images")
    version = every["version"]
    assert asker.get(f"/api/images?since={version}")["images"] == []
    row = first_row(asker, 0, 40, 60)
    said = {"kind": "judge", "image": "a.png", "row": row, "verdict": "other", "label": "red"}
    assert asker.send(said)[0] == 200
    now = asker.get(f"/api/images?since={version}")
    assert now["version"] > version
    known = {item["i"]: item for item in every["images"]}
    known |= {item["i"]: item for item in now["images"]}
    assert list(known.values()) == asker.get("/api/images")["images"]
    assert known[0]["judged"] == 1
    assert asker.get("/api/images/0")["verdicts"] == [{"row": row, "verdict": "other", "label": "red"}]
    assert len(asker.get("/api/images?since=999999")["images"]) == 3


def test_undo_takes_a_verdict_back_and_says_what_changed(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    before = asker.get("/api/images")["images"]
    row = first_row(asker, 0, 40, 60)
    asker.send({"kind": "pick", "image": "a.png", "row": row, "label": "red"})
    version = asker.get("/api/state")["version"]
    assert asker.send({"kind": "undo"})[1]["counts"]["red"][1] == 0
    changed = {item["i"]: item for item in asker.get(f"/api/images?since={version}")["images"]}
    assert changed[0] == before[0]
    assert asker.get("/api/images")["images"] == before


def test_pictures_are_jpegs_of_three_sizes(served: tuple[Asker, Any], cold_world: Path) -> None:
    asker, _ = served
    for side in (256, 1024, 0):
        status, told, body = asker.ask(f"/api/images/0/picture?side={side}")
        assert (status, told["content-type"]) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(body)).size == (140, 120)
    assert asker.error("/api/images/0/picture?side=77")[0] == 400
    assert asker.error("/api/images/3/picture")[0] == 404


def test_a_file_that_changed_has_no_picture(served: tuple[Asker, Any], cold_world: Path) -> None:
    asker, _ = served
    path = cold_world / "in/images/none.png"
    Image.new("RGB", (200, 140), "red").save(path)
    status, sentence = asker.error("/api/images/2/picture?side=1024")
    assert status == 422
    assert "none.png: its file has changed" in sentence
    path.unlink()
    assert asker.error("/api/images/2/picture?side=1024")[0] == 422


def test_exemplars_that_are_regions_have_pictures(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    row = first_row(asker, 0, 40, 60)
    asker.send({"kind": "pick", "image": "a.png", "row": row, "label": "red"})
    (exemplar,) = asker.get("/api/state")["exemplars"]
    assert exemplar["name"] == f"a.png#{row}"
    status, _, body = asker.ask(exemplar["picture"])
    assert status == 200
    assert max(Image.open(io.BytesIO(body)).size) <= 192
    for path in ("/api/exemplars/0000000000.jpg", "/api/exemplars/x.jpg", "/api/exemplars/..jpg"):
        assert asker.error(path)[0] == 404


def test_what_to_look_at_next_names_images_by_number(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    assert asker.get("/api/review")["items"] == []
    row = first_row(asker, 0, 40, 60)
    asker.send({"kind": "pick", "image": "a.png", "row": row, "label": "red"})
    items = asker.get("/api/review?label=red&count=4")["items"]
    assert len(items) == 4
    assert {item["label"] for item in items} == {"red"}
    assert all(asker.get(f"/api/images/{item['i']}")["head"] for item in items)


def test_boxes_are_cut_to_the_image_and_pictures_are_read(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    drawn = {"kind": "draw", "image": "a.png", "box": [-5, 3, 900, 80.5], "label": "red"}
    assert asker.send(drawn)[0] == 200
    status, said = asker.send({**drawn, "box": [500, 3, 900, 80]})
    assert status == 400
    assert "holds no pixel" in said["error"]
    assert asker.send({**drawn, "image": "absent.png"})[0] == 400
    assert asker.send({**drawn, "box": [1, 2, 3]})[0] == 400
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(buffer, "PNG")
    path = "/api/pictures?label=red"
    assert asker.ask(path, buffer.getvalue(), Content_Type="image/png")[0] == 200
    assert asker.error(path, body=b"no picture", Content_Type="image/png")[0] == 422
    assert asker.error(path, body=b"{}", Content_Type="application/json")[0] == 415
    assert asker.send({"kind": "paste", "label": "red", "name": "x"})[0] == 400


def lines_of(asker: Asker, until: int, started: threading.Event, found: list[dict[str, Any]]) -> None:
    """Listen until a version is told."""
    connection = http.client.HTTPConnection("127.0.0.1", asker.port, timeout=60)
    connection.request("GET", "/api/stream", headers={"X-Searchdet-Token": str(asker.token)})
    answer = connection.getresponse()
    event = ""
    while line := answer.readline().decode().strip("\n"):
        pass
    started.set()
    while True:
        line = answer.readline().decode().strip("\n")
        event = line.removeprefix("event: ") if line.startswith("event: ") else event
        if line.startswith("data: "):
            found.append({"event": event, **json.loads(line.removeprefix("data: "))})
            if found[-1].get("version", -1) >= until:
                break
    connection.close()


def test_every_open_page_hears_of_a_change(served: tuple[Asker, Any]) -> None:
    asker, desk = served
    row = first_row(asker, 0, 40, 60)
    until = desk.session.version + 1
    pages = [(threading.Event(), list[dict[str, Any]]()) for _ in range(3)]
    threads = [threading.Thread(target=lines_of, args=(asker, until, *page)) for page in pages]
    for thread in threads:
        thread.start()
    for started, _ in pages:
        assert started.wait(30)
    asker.send({"kind": "pick", "image": "a.png", "row": row, "label": "red"})
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for _, found in pages:
        assert {
            name: next(item for item in found if item["event"] == "progress")[name]
            for name in ("done", "total")
        } == {"done": 3, "total": 3}
        assert found[-1] == {"event": "state", "version": until}


def test_the_headers_of_a_stream_are_answered_at_once(served: tuple[Asker, Any]) -> None:
    asker, _ = served
    for _ in range(40):  # more than there may be streams: none is begun
        status, told, body = asker.ask("/api/stream", method="HEAD")
        assert (status, body) == (200, b"")
        assert told["content-type"].startswith("text/event-stream")
    # the connection is free for the next request, which it is not after an answer without an end
    connection = http.client.HTTPConnection("127.0.0.1", asker.port, timeout=60)
    for method, path in (("HEAD", "/api/stream"), ("GET", "/api/state")):
        connection.request(method, path, headers={"X-Searchdet-Token": str(asker.token)})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()


def test_streams_end_with_the_server(cold_world: Path) -> None:
    ended, started = threading.Event(), threading.Event()

    def listen(asker: Asker) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", asker.port, timeout=60)
        connection.request("GET", "/api/stream", headers={"X-Searchdet-Token": str(asker.token)})
        answer = connection.getresponse()
        answer.readline()
        started.set()
        answer.read()  # to a clean end: else it raises IncompleteRead
        connection.close()
        ended.set()

    with serving.serving(serving.job(cold_world / "in/images", cold_world / "out")) as made:
        thread = threading.Thread(target=listen, args=(made.asker,))
        thread.start()
        assert started.wait(30)
    thread.join(30)
    assert ended.is_set()
    with pytest.raises(OSError, match="refused"):
        made.asker.get("/api/state")
