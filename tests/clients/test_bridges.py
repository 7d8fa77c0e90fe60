"""The bridges as the programs themselves use them: their client code, their checks, their drivers."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
CONFIG = """<View>
  <Image name="image" value="$image"/>
  <{kind} name="label" toName="image"><Label value="tomato"/><Label value="leaf"/></{kind}>
</View>"""


@pytest.fixture(autouse=True)
def _settings_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")


def learned() -> Any:
    from lessons import learning, lesson, picture

    by = learning()
    by.learn("start/1", picture(), [lesson("red", "tomato"), lesson("green", "leaf")])
    return by


@pytest.fixture
def image(tmp_path: Path) -> Path:
    from lessons import picture

    path = tmp_path / "картина 1.png"
    Image.fromarray(picture().pixels).save(path)
    return path


@contextlib.contextmanager
def served(predictor: Any) -> Iterator[tuple[str, list[str | None]]]:
    """The address of a server of the bridges, and the tokens that it was sent."""
    import uvicorn
    from starlette.applications import Starlette

    from searchdet.integrations.routes import routes
    from searchdet.serve.body import read

    app, tokens = Starlette(routes=routes(predictor, read)), []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        tokens.append(dict(scope["headers"]).get(b"token", b"").decode() or None)
        await app(scope, receive, send)

    config = uvicorn.Config(noting, port=0, lifespan="off", log_config=None, loop="asyncio", http="h11")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", tokens
    finally:
        server.should_exit = True
        thread.join(10)


def test_x_anylabeling_finds_the_model_and_draws_what_it_answers(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = pytest.importorskip("anylabeling.config")
    from anylabeling.services.auto_labeling.remote_server import RemoteServer

    said: list[str] = []
    with served(learned()) as (address, tokens):
        settings = {"server_url": address, "api_key": "secret"}
        (tmp_path / "rc").write_text(json.dumps({"remote_server_settings": settings}))
        monkeypatch.setattr(program, "current_config_file", str(tmp_path / "rc"))
        config = {"type": "remote_server", "name": "remote", "display_name": "Remote"}
        remote = RemoteServer(config, said.append)
        assert list(remote.get_available_models()) == ["searchdet"]
        remote.set_model_id("searchdet")
        assert sorted(remote.classes) == ["leaf", "tomato"]
        assert remote.get_batch_processing_mode() == "default"
        found = remote.predict_shapes(object(), str(image))
        assert found.replace is True
        assert sorted(shape.label for shape in found.shapes) == ["leaf", "tomato", "tomato"]
        assert all(0 < shape.score <= 1 for shape in found.shapes)
        corners = [sorted((p.x(), p.y()) for p in s.points) for s in found.shapes if s.label == "leaf"]
        assert corners == [[(56, 8), (56, 40), (88, 8), (88, 40)]]
        remote.set_auto_labeling_filter_classes(["leaf"])
        assert [s.label for s in remote.predict_shapes(object(), str(image)).shapes] == ["leaf"]
        remote.set_auto_labeling_marks([{"type": "point", "data": [60, 20], "label": 1}])
        under = remote.predict_shapes(object(), str(image))
        assert (len(under.shapes), under.replace) == (1, False)
        assert said == []
        remote.set_auto_labeling_marks([{"type": "circle", "data": [60, 20]}])
        assert remote.predict_shapes(object(), str(image)).shapes == []
        assert "400" in said[0]
    assert set(tokens) == {"secret"}


@pytest.mark.parametrize("kind", ["PolygonLabels", "BrushLabels", "RectangleLabels"])
def test_label_studio_finds_no_fault_in_predictions(kind: str, image: Path) -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    from label_studio_sdk.converter.brush import decode_rle

    from searchdet.integrations.bridges import Bridges
    from searchdet.integrations.sources import Sources

    config = CONFIG.format(kind=kind)
    address = "data:image/png;base64," + base64.b64encode(image.read_bytes()).decode("ascii")
    task = {"id": 7, "data": {"image": address}}
    bridges = Bridges(learned(), Sources())
    (made,) = bridges.predictions({"tasks": [task], "label_config": config, "project": "1.7"})[
        "results"
    ]
    assert len(made["result"]) == 3
    checks = interface.LabelInterface(config)
    assert checks.validate_prediction(json.loads(json.dumps(made)), return_errors=True) == []
    if kind == "BrushLabels":
        sizes = []
        for item in made["result"]:
            flat = decode_rle(item["value"]["rle"])
            mask = np.reshape(flat, (item["original_height"], item["original_width"], 4))[..., 3] > 0
            sizes.append(int(mask.sum()))
        assert sorted(sizes) == [24 * 32, 32 * 32, 32 * 32]


def test_strokes_as_label_studio_writes_them_are_read() -> None:
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    from searchdet.integrations.brush import decode

    rng = np.random.default_rng(0)
    for mask in (rng.random((31, 17)) < 0.5, np.ones((200, 300), bool), np.zeros((4, 4), bool)):
        assert (decode(brush.mask2rle((mask * 255).astype(np.uint8)), mask.shape) == mask).all()
    colours = np.zeros((20, 30, 4), np.uint8)
    colours[5:9, 3:20] = (12, 34, 56, 255)
    assert (decode(brush.encode_rle(colours.ravel()), (20, 30)) == (colours[..., 3] > 0)).all()


@pytest.mark.parametrize(("shapes", "poly"), [("mask", False), ("mask", True), ("rectangle", False)])
def test_the_driver_of_cvat_takes_what_is_found(
    shapes: str, poly: bool, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk = pytest.importorskip("cvat_sdk.auto_annotation")
    from cvat_sdk import models
    from cvat_sdk.auto_annotation import driver
    from cvat_sdk.masks import decode_mask
    from lessons import AT, SIZE

    from searchdet.integrations.cvat import Detection

    kind = "polygon" if poly else shapes
    labels = [
        models.Label(id=40 + n, name=name, type=kind, attributes=[], sublabels=[])
        for n, name in enumerate(("tomato", "leaf"))
    ]
    sample = SimpleNamespace(
        frame_index=3,
        frame_name="картина 1.png",
        media=SimpleNamespace(load_image=lambda: Image.open(image)),
    )
    task = SimpleNamespace(labels=labels, samples=[sample])
    monkeypatch.setattr(driver, "TaskDataset", lambda *_, **__: task)
    sent: list[Any] = []
    api = SimpleNamespace(
        partial_update_annotations=lambda action, number, patched_labeled_data_request: sent.append(
            (action, number, patched_labeled_data_request)
        )
    )
    client = SimpleNamespace(logger=logging.getLogger("cvat"), tasks=SimpleNamespace(api=api))
    function = Detection(learned(), shapes, sdk)
    sdk.annotate_task(client, 12, function, conf_threshold=0.01, conv_mask_to_poly=poly)
    ((action, number, data),) = sent
    assert (action, number, data.tags) == ("create", 12, [])
    assert sorted(item.label_id for item in data.shapes) == [40, 40, 41]
    assert {(item.frame, item.type.value, item.source) for item in data.shapes} == {(3, kind, "auto")}
    assert all(0 < item.score <= 1 for item in data.shapes)
    (leaf,) = (item for item in data.shapes if item.label_id == 41)
    x0, y0, x1, y1 = AT["green"]
    if kind == "mask":
        mask = decode_mask(leaf.points, image_width=SIZE[1], image_height=SIZE[0])
        assert mask.sum() == mask[y0:y1, x0:x1].sum() == 32 * 32
    else:
        corners = np.reshape(leaf.points, (-1, 2))
        assert [*corners.min(axis=0), *corners.max(axis=0)] == [x0, y0, x1, y1]


def test_cvat_gets_the_object_at_a_point(image: Path) -> None:
    sdk = pytest.importorskip("cvat_sdk.auto_annotation")
    from cvat_sdk.masks import decode_mask
    from lessons import SIZE, learning

    from searchdet.integrations.cvat import Interaction

    function = Interaction(learning(), sdk)
    seen = function.preprocess_image(None, Image.open(image))
    prompts = SimpleNamespace(pos_points=[(60.5, 20.5)], neg_points=[], bounding_box=None)
    (shape,) = function.detect(None, seen, prompts)
    assert isinstance(shape, sdk.InteractionResultShape)
    mask = decode_mask(shape.points, image_width=SIZE[1], image_height=SIZE[0])
    assert mask.sum() == 32 * 32
