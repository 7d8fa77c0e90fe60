"""Anomaly sets by good parts alone: from the layout that is downloaded to the table, whose figures are
those of other programs over the maps that are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from minisets import MAKERS, SIZE, mvtec
from PIL import Image
from places import QUICK
from safetensors.numpy import load_file
from skimage.measure import label, regionprops
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score
from typer.testing import CliRunner

from searchdet.benchmark import Request, spec_of
from searchdet.benchmark.maps import Maps, Scored, stepped
from searchdet.benchmark.run import Plan, Step, run
from searchdet.cli import app
from searchdet.config import settings_from
from searchdet.errors import OutputError, UsageError
from searchdet.output import Output, read_records
from searchdet.records import ImageRecord

SEEDS = (0, 1)
CASES = {"mvtec-ad": "bottle", "visa": "candle"}
SPOILED = {
    "mvtec-ad": ("bottle/test/scratch/000.png", "bottle/test/good/000.png"),
    "visa": ("candle/Data/Images/Anomaly/000.JPG", "candle/Data/Images/Normal/0004.JPG"),
}
"""A test image that shows nothing of its defect, and what it shows."""


@dataclass(frozen=True)
class Ran:
    """A miniature that was run: its folder, its output, and what was printed."""

    root: Path
    out: Path
    printed: str

    def records(self, task: str) -> list[ImageRecord]:
        return list(read_records(self.out / task / "map"))

    def line(self, shots: int) -> dict[str, dict[str, Any]]:
        lines = json.loads((self.out / "table.json").read_text())["lines"]
        (found,) = (x["figures"] for x in lines if (x["part"], x["shots"]) == ("map", shots))
        return dict(found)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """Run a miniature, once. A good part has the mask of a defect, so that no figure is perfect."""
    known: dict[str, Ran] = {}

    def run(name: str) -> Ran:
        if name not in known:
            top = tmp_path_factory.mktemp(name)
            root, out = MAKERS[name](top / "root"), top / "out"
            (good,) = (
                p for p in root.rglob("0004.JPG" if name == "visa" else "bottle/test/good/000.png")
            )
            bad = "**/Anomaly/000.JPG" if name == "visa" else "bottle/test/scratch/000.png"
            next(root.glob(bad)).write_bytes(good.read_bytes())
            words = ["benchmark", name, "--root", str(root), "-o", str(out), "--shots", "1,2"]
            words += ["--seeds", "0,1", "--classes", CASES[name], "--no-cache"]
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, done.output
            known[name] = Ran(root, out, done.stdout)
        return known[name]

    return run


def mask_beside(image: Path) -> np.ndarray:
    """The mask of a test image, in the layout of MVTec AD or VisA; empty for a good one."""
    if image.suffix == ".JPG":
        place = image.parents[2] / "Masks" / image.parent.name / f"{image.stem}.png"
    else:
        top = image.parents[2] / "ground_truth" / image.parent.name
        place = top / f"{image.stem}_mask.png"
    return np.asarray(Image.open(place)) > 0 if place.exists() else np.zeros(SIZE, bool)


def drawn(cells: np.ndarray) -> np.ndarray:
    """Cells (h, w) at the size of the image, in the steps in which maps are judged: those of half
    precision, where nothing is too small for it."""
    fine = cv2.resize(cells, SIZE[::-1], interpolation=cv2.INTER_LINEAR).astype(float)
    scale = 2.0 ** (15 - np.ceil(np.log2(np.abs(fine).max())))
    made = (fine * scale).astype(np.float16).astype(float) / scale
    field = torch.from_numpy(cells)[None, None]
    other = torch.nn.functional.interpolate(field, SIZE, mode="bilinear", align_corners=False)[0, 0]
    assert made == pytest.approx(other.numpy(), rel=1e-3, abs=1e-3)
    return made


def f1(truth: np.ndarray, scores: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(truth, scores)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def aupro(scores: np.ndarray, masks: np.ndarray, limit: float = 0.3) -> float:
    """Swept over the scores of normal pixels, between which only the overlap changes."""
    parts = []
    for image, mask in zip(scores, masks, strict=True):
        parts += [np.sort(image[tuple(p.coords.T)]) for p in regionprops(label(mask, connectivity=2))]
    steps = np.unique(scores)[::-1]
    normal = np.sort(scores[~masks])
    rate = 1 - np.searchsorted(normal, steps) / len(normal)
    overlap = np.mean([1 - np.searchsorted(part, steps) / len(part) for part in parts], axis=0)
    x, y = np.append(0.0, rate), np.append(0.0, overlap)
    kept = x < limit
    return float(auc(np.append(x[kept], limit), np.append(y[kept], np.interp(limit, x, y)))) / limit


@pytest.mark.parametrize("shots", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_the_figures_are_those_of_scikit_learn_over_the_written_maps(
    ran: Callable[[str], Ran], name: str, shots: int
) -> None:
    done = ran(name)
    for seed in SEEDS:
        task = f"{shots}-shot/seed-{seed}/{CASES[name]}"
        maps, images, masks = [], [], []
        for record in done.records(task):
            cells = load_file(done.out / task / "map/maps" / f"{record.image}.safetensors")["map"]
            maps.append(drawn(cells))
            ranked = np.sort(cells.ravel())[::-1]
            images.append(ranked[: max(1, ranked.size // 100)].mean())
            masks.append(mask_beside(done.root / record.image))
        truth, scores = np.asarray(masks), np.asarray(maps)
        bad = truth.any(axis=(1, 2))
        assert 0 < bad.sum() < len(bad)
        expected = {
            "image AUROC": roc_auc_score(bad, images),
            "image AP": average_precision_score(bad, images),
            "image F1-max": f1(bad, np.asarray(images)),
            "pixel AUROC": roc_auc_score(truth.ravel(), scores.ravel()),
            "pixel AP": average_precision_score(truth.ravel(), scores.ravel()),
            "pixel F1-max": f1(truth.ravel(), scores.ravel()),
            "AUPRO": aupro(scores, truth),
        }
        line = done.line(shots)
        assert 0.3 < expected["image AUROC"] < 1, "one defect is not to be seen"
        for key, value in expected.items():
            assert line[key]["by_seed"][seed] == pytest.approx(value, abs=1e-9), key


def test_false_detections_are_counted_on_good_parts_where_there_is_a_limit(
    ran: Callable[[str], Ran],
) -> None:
    done = ran("mvtec-ad")
    assert done.line(1)["false/absent"]["mean"] is None
    for record in done.records("1-shot/seed-0/bottle"):
        assert record.run is not None
        assert record.run.thresholds["defect"].source == "given"
        assert not record.detections
    alarms = done.line(2)["false/absent"]
    for seed in SEEDS:
        records = done.records(f"2-shot/seed-{seed}/bottle")
        counts = [len(record.detections) for record in records if "/good/" in record.image]
        assert alarms["by_seed"][seed] == np.mean(counts)
        assert sum(len(record.detections) for record in records) > 0, "nothing is found at all"


def test_the_shots_are_good_training_images_and_fewer_are_among_more(ran: Callable[[str], Ran]) -> None:
    done = ran("mvtec-ad")
    source = {path.read_bytes(): path for path in (done.root / "bottle/train/good").iterdir()}
    chosen = {}
    for shots in (1, 2):
        for seed in SEEDS:
            folder = done.out / f"{shots}-shot/seed-{seed}/bottle/normal"
            chosen[shots, seed] = [source[path.read_bytes()] for path in sorted(folder.iterdir())]
            assert len(chosen[shots, seed]) == shots
    assert all(chosen[2, seed][:1] == chosen[1, seed] for seed in SEEDS)
    assert chosen[2, 0] != chosen[2, 1]
    tested = {record.image for record in done.records("1-shot/seed-0/bottle")}
    assert len(tested) == 8  # none of them is shown
    assert "| map | 1 |" in done.printed
    assert "8 of 8 images" in done.printed


def asked(root: Path, out: Path, shots: int = 2, **settings: Any) -> Plan:
    request = Request(spec_of("mvtec-ad"), root, (shots,), (0,), ("tile",))
    given = settings_from({"backbone": QUICK, "scored_masks": 60, **settings})
    return Plan(request, replace(given, cache=out.parent / "cache"), out)


def searched(steps: list[Step]) -> int:
    return sum(step.result is not None and not step.result.known for step in steps)


def test_a_run_goes_on_and_makes_maps_again_that_are_not_its_own(tmp_path: Path) -> None:
    plan = asked(mvtec(tmp_path / "root"), tmp_path / "out")
    first = list(run(plan))
    figures = first[-1].figures
    assert searched(first) == 8
    assert figures is not None
    assert [step.known for step in run(plan)] == [True]
    one, two, *_ = sorted(plan.folder.rglob("*.safetensors"))
    (place,) = plan.folder.rglob("figures.json")
    place.unlink()
    one.unlink()  # as where a run was killed
    two.write_bytes(two.read_bytes()[:-1])
    again = list(run(plan))
    assert searched(again) == 2
    assert again[-1].figures is not None
    assert again[-1].figures.rows == figures.rows
    other = asked(plan.request.root, tmp_path / "other", normal_method="subspace")
    changed = list(run(other))[-1].figures
    assert changed is not None
    assert changed.rows != figures.rows
    place.unlink()
    (theirs,) = other.folder.rglob(f"{one.parent.name}/{one.name}")
    one.write_bytes(theirs.read_bytes())  # as where another run was killed between map and record
    assert searched(list(run(plan))) == 1


def test_the_score_of_an_image_is_the_mean_of_its_most_unusual_hundredth(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).normal(0, 3, (20, 30)).astype(np.float32)
    detector: Any = SimpleNamespace(
        judge=SimpleNamespace(fingerprint="settings"),
        unusual=SimpleNamespace(map_of=lambda _: cells),
    )
    maps = Maps(detector, Output(tmp_path))
    seen: Any = SimpleNamespace(name="a/b.png", image=SimpleNamespace(sha256="own"), feature_map="its")
    maps.note(seen)
    record: Any = SimpleNamespace(image="a/b.png", sha256="own", width=96, height=72)
    found = maps.scored(record)
    assert found.image == pytest.approx(np.sort(cells.ravel())[-6:].mean())
    assert found.pixels.shape == SIZE
    assert found.pixels == pytest.approx(drawn(cells), abs=1e-9)


def test_a_map_of_another_image_is_refused(tmp_path: Path) -> None:
    plan = asked(mvtec(tmp_path / "root"), tmp_path / "out")
    list(run(plan))
    good, bad = (next(plan.folder.rglob(f"{kind}/000.png.safetensors")) for kind in ("good", "hole"))
    good.write_bytes(bad.read_bytes())
    next(plan.folder.rglob("figures.json")).unlink()
    with pytest.raises(OutputError, match="is not the map of its image"):
        list(run(plan))


def test_an_image_that_fails_is_the_least_unusual(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "root")
    plain = list(run(asked(root, tmp_path / "out")))[-1].figures
    (root / "tile/test/scratch/000.png").write_bytes(b"no image")
    failed = list(run(asked(root, tmp_path / "other")))[-1].figures
    assert plain is not None
    assert failed is not None
    assert failed.failed == 1
    assert (plain.rows["tile"]["image AUROC"], failed.rows["tile"]["image AUROC"]) == (1.0, 5 / 6)


def test_records_and_maps_go_when_the_figures_are_there(tmp_path: Path) -> None:
    plan = replace(asked(mvtec(tmp_path / "root"), tmp_path / "out"), drop_records=True)
    list(run(plan))
    assert not list(plan.folder.rglob("*.safetensors"))
    assert [step.known for step in run(plan)] == [True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mvtec-ad", "--negatives", "2"], "--negatives cannot act here. Good parts alone are shown"),
        (["visa", "--part", "oracle"], "--part cannot act here."),
        (["visa", "--boxes"], "--boxes cannot act here."),
        (["perseg", "--shots-of", "good"], "--shots-of cannot act here. PerSeg has no good parts."),
        (["coco-fsod", "--negatives", "4"], "--negatives cannot act here."),
        (["visa", "--shots-of", "goods"], "'goods' is unknown; choose good or defects."),
        (["visa", "--tile", "128"], "maps of whole images, and --tile cuts these"),
    ],
)
def test_options_that_cannot_act_are_refused(words: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["benchmark", *words, "--root", str(tmp_path)])
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_single_good_part_takes_no_threshold(tmp_path: Path) -> None:
    plan = asked(mvtec(tmp_path / "root"), tmp_path / "out", shots=1, min_score=0.4)
    with pytest.raises(UsageError, match="does not say in which unit"):
        list(run(plan))


def test_more_good_parts_than_there_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 4 good images, of which 5 are asked"):
        list(run(asked(mvtec(tmp_path / "root"), tmp_path / "out", shots=5)))


def test_steps_keep_order_and_are_few() -> None:
    values = np.random.default_rng(0).normal(3, 40, 200_000).astype(np.float32)
    made = stepped(values)
    order = np.argsort(values)
    assert (np.diff(made[order]) >= 0).all()
    assert np.abs(made - values).max() <= (np.abs(values) / 2048).max()
    assert len(np.unique(made)) < 30_000
    large = stepped(np.float32([1e30, -1e30, 0.0]))
    assert np.isfinite(large).all()
    assert isinstance(Scored(made.reshape(400, 500), 1.0).pixels, np.ndarray)
