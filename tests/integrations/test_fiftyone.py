from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from bridged import BOLT, NUT, SIZE, Given
from places import ROOT

from searchdet.errors import UsageError
from searchdet.integrations import fiftyone

SOURCE = ROOT / "integrations" / "fiftyone"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two modules of FiftyOne that are asked for."""
    core = ModuleType("fiftyone.core")
    models, labels = ModuleType("fiftyone.core.models"), ModuleType("fiftyone.core.labels")
    models.Model = type("Model", (), {})
    labels.Detection = lambda **fields: SimpleNamespace(**fields)
    labels.Detections = lambda detections: SimpleNamespace(detections=detections)
    for module in (ModuleType("fiftyone"), core, models, labels):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_detection_is_in_shares_of_the_image() -> None:
    made = fiftyone.detection(BOLT, SIZE)
    assert made["bounding_box"] == pytest.approx([10 / 60, 5 / 40, 20 / 60, 20 / 40])
    assert (made["label"], made["confidence"]) == ("bolt", 0.9)
    assert made["mask"].shape == (20, 20)
    assert made["mask"].sum() == 300


@pytest.mark.usefixtures("program")
def test_the_model_finds_the_objects_of_an_array() -> None:
    model = fiftyone.model_of(Given([BOLT, NUT]))
    found = model.predict(np.zeros((*SIZE, 3), np.uint8)).detections
    assert [(item.label, item.confidence) for item in found] == [("bolt", 0.9), ("nut", 0.4)]
    assert (model.media_type, model.transforms, model.preprocess) == ("image", None, False)


def test_the_source_of_the_zoo_names_the_model_and_leads_to_it(tmp_path: Path) -> None:
    manifest = json.loads((SOURCE / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["name"], "a source without a name is skipped without a word"
    (model,) = manifest["models"]
    assert model["base_name"] == fiftyone.NAME
    spec = importlib.util.spec_from_file_location("zoo_source", SOURCE / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path / model["base_filename"]
    module.download_model(model["base_name"], str(path))
    assert path.is_file()
    with pytest.raises(UsageError, match="there is no model 'other'"):
        module.load_model("other", str(path), "positive")
