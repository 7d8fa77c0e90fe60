"""Each miniature runs from the layout in which its set is downloaded to the table, and the figures in
it are those of independent references over the records."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minisets import FSOD, MAKERS, SIZE
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from typer.testing import CliRunner

from searchdet.cli import app
from searchdet.output import read_records
from searchdet.records import ImageRecord

DEFECTS = ("--shots-of", "defects")
RUN = {
    "coco-fsod": ["--shots", "2", "--seeds", "0,1", "--classes", "all", "--min-score", "-1"],
    "lvis-minival": ["--shots", "2", "--seeds", "0"],
    "cdfsod-artaxor": ["--shots", "1", "--seeds", "0-1"],
    "cdfsod-dior": ["--shots", "1"],
    "perseg": [],
    "mvtec-ad": [*DEFECTS, "--shots", "2", "--seeds", "0", "--classes", "bottle", "--part", "both"],
    "visa": [*DEFECTS, "--shots", "1", "--seeds", "0"],
}
"""How each miniature is run; those that are read alike stand for each other."""


@dataclass(frozen=True)
class Ran:
    """A miniature that was run: its folder, its output, and what was printed."""

    root: Path
    out: Path
    printed: str

    @property
    def table(self) -> dict[str, Any]:
        return json.loads((self.out / "table.json").read_text())

    def records(self, task: str, part: str = "detections") -> list[ImageRecord]:
        return list(read_records(self.out / task / part))

    def line(self, group: str, part: str = "detections") -> dict[str, dict[str, Any]]:
        lines = [*self.table["lines"], *self.table["classes"]]
        return next(x["figures"] for x in lines if x["group"] == group and x["part"] == part)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """Run a miniature, once."""
    known: dict[str, Ran] = {}

    def run(name: str) -> Ran:
        if name not in known:
            top = tmp_path_factory.mktemp(name)
            root, out = MAKERS[name](top / "root"), top / "out"
            words = ["benchmark", name, "--root", str(root), "-o", str(out), *RUN[name]]
            done = CliRunner().invoke(app, [*words, "--cache-dir", str(top / "cache")])
            assert done.exit_code == 0, done.output
            known[name] = Ran(root, out, done.stdout)
        return known[name]

    return run


def results(records: list[ImageRecord], ids: dict[str, int], categories: dict[str, int]) -> list[Any]:
    found = []
    for record in records:
        for item in record.candidates:
            if item.label is None or item.score is None or item.reason == "suppressed":
                continue
            x0, y0, x1, y1 = item.bbox
            row = {"image_id": ids[record.image], "category_id": categories[item.label]}
            row |= {"score": item.score, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            found.append(row)
    return found


def reference(file: Path, records: list[ImageRecord], folder: str, labels: list[str]) -> list[float]:
    """What pycocotools prints for some classes of the set's own file."""
    with redirect_stdout(io.StringIO()):
        coco = COCO(str(file))
        ids = {f"{folder}/{item['file_name']}": number for number, item in coco.imgs.items()}
        categories = {item["name"]: number for number, item in coco.cats.items()}
        judge = COCOeval(coco, coco.loadRes(results(records, ids, categories)), "bbox")
        judge.params.catIds = [categories[label] for label in labels]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [float(v) for v in judge.stats[:6]]


COCO_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def require_equal(line: dict[str, dict[str, Any]], seed: int, expected: list[float]) -> None:
    for name, value in zip(COCO_NAMES, expected, strict=True):
        ours = line[name]["by_seed"][seed]
        assert ours == (None if value == -1 else pytest.approx(value, abs=1e-9)), name


def test_coco_fsod_is_judged_as_pycocotools_does(ran: Callable[[str], Ran]) -> None:
    done = ran("coco-fsod")
    file = done.root / "cocosplit/datasplit/5k.json"
    groups = {"novel (nAP)": ["person", "dog"], "base (bAP)": ["zebra"], "all": list(FSOD)}
    for seed in (0, 1):
        records = done.records(f"2-shot/seed-{seed}")
        assert len(records) == 5
        for group, labels in groups.items():
            expected = reference(file, records, "coco/val2014", labels)
            assert expected[0] > 0.3, "nothing is found, so nothing is shown"
            require_equal(done.line(group), seed, expected)


@pytest.mark.parametrize(
    ("name", "part", "folder"), [("artaxor", "ArTaxOr", "test"), ("dior", "DIOR", "test/new_test")]
)
def test_cdfsod_is_judged_as_pycocotools_does(
    ran: Callable[[str], Ran], name: str, part: str, folder: str
) -> None:
    done = ran(f"cdfsod-{name}")
    file = done.root / part / "annotations/test.json"
    records = done.records("1-shot/seed-0")
    expected = reference(file, records, f"{part}/{folder}", ["beetle", "moth"])
    assert expected[0] > 0.3
    require_equal(done.line("all"), 0, expected)


def test_lvis_has_a_line_for_each_frequency_and_figures_of_masks(ran: Callable[[str], Ran]) -> None:
    done = ran("lvis-minival")
    groups = {"rare (APr)": "marble", "common (APc)": "brick", "frequent (APf)": "bagel"}
    for group, label in groups.items():
        assert done.line(group) == done.line(label)
        assert done.line(label)["AP50"]["mean"] == 1.0
    for name in ("AP", "mask AP"):
        each = [done.line(label)[name]["mean"] for label in groups.values()]
        assert done.line("all")[name]["mean"] == pytest.approx(np.mean(each))
    assert done.line("all")["mask AP"]["mean"] != done.line("all")["AP"]["mean"]


def test_perseg_is_judged_as_its_script_does(ran: Callable[[str], Ran]) -> None:
    """Intersections and unions of the best mask of each image, summed; by hand from the files."""
    done = ran("perseg")
    assert [line["group"] for line in done.table["classes"]] == ["can", "toy"]  # without the clock
    every = []
    for name in ("can", "toy"):
        both = either = 0
        for record in done.records(f"1-shot/seed-0/{name}"):
            best = max(record.candidates, key=lambda item: item.score or -9)
            ours = rle.decode(dict(best.segmentation)).astype(bool)
            number = Path(record.image).stem
            shown = np.asarray(Image.open(done.root / "Annotations" / name / f"{number}.png"))
            theirs = shown.max(axis=2) > 0
            assert number in ("01", "02")  # 00 is the shot
            both, either = both + (ours & theirs).sum(), either + (ours | theirs).sum()
        every.append(both / either)
        assert done.line(name)["mIoU"]["mean"] == pytest.approx(every[-1])
    assert done.line("all")["mIoU"]["mean"] == pytest.approx(np.mean(every))
    assert 0 < done.line("all")["bIoU"]["mean"] < done.line("all")["mIoU"]["mean"]


def painted(record: ImageRecord) -> np.ndarray:
    made = np.full(SIZE, -1.0)
    for item in record.candidates:
        if item.score is not None:
            mask = rle.decode(dict(item.segmentation)).astype(bool)
            made[mask] = np.maximum(made[mask], item.score)
    return made


@pytest.mark.parametrize(
    ("name", "task"), [("mvtec-ad", "2-shot/seed-0/bottle"), ("visa", "1-shot/seed-0/candle")]
)
def test_anomaly_sets_are_judged_as_scikit_learn_does(
    ran: Callable[[str], Ran], name: str, task: str
) -> None:
    done = ran(name)
    maps, masks = [], []
    for record in done.records(task):
        maps.append(painted(record))
        masks.append(mask_beside(done.root / record.image))
    defects, scores = np.asarray(masks), np.asarray(maps)
    bad, best = defects.any(axis=(1, 2)), scores.max(axis=(1, 2))
    assert 0 < bad.sum() < len(bad)
    expected = {
        "image AUROC": roc_auc_score(bad, best),
        "image AP": average_precision_score(bad, best),
        "pixel AP": average_precision_score(defects.ravel(), scores.ravel()),
        "pixel AUROC": roc_auc_score(defects.ravel(), scores.ravel()),
        "image F1-max": f1(bad, best),
        "pixel F1-max": f1(defects.ravel(), scores.ravel()),
    }
    line = done.line("all")
    assert {key: line[key]["mean"] for key in expected} == pytest.approx(expected)
    assert 0 < line["AUPRO"]["mean"] <= 1


def f1(truth: np.ndarray, scores: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(truth, scores)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def mask_beside(image: Path) -> np.ndarray:
    """The mask of a test image, in the layout of MVTec AD or VisA; empty for a good one."""
    if image.suffix == ".JPG":
        place = image.parents[2] / "Masks" / image.parent.name / f"{image.stem}.png"
    else:
        top = image.parents[2] / "ground_truth" / image.parent.name
        place = top / f"{image.stem}_mask.png"
    return np.asarray(Image.open(place)) > 0 if place.exists() else np.zeros(SIZE, bool)


def test_images_with_the_defects_that_are_shown_are_not_judged(ran: Callable[[str], Ran]) -> None:
    done = ran("mvtec-ad")
    task = done.out / "2-shot/seed-0/bottle"
    shown = json.loads((task / "exemplars.json").read_text())
    files = {item["file_name"] for item in shown["images"]}
    kinds = {Path(name).parent.name for name in files}
    assert kinds == {"scratch", "hole"}  # one of each kind in turn
    assert len(shown["annotations"]) == 2  # the largest part of each
    tested = {record.image for record in done.records("2-shot/seed-0/bottle")}
    assert len(tested) == 6
    assert not files & tested
    assert len(list((task / "negative").iterdir())) == 4
    assert max(item["area"] for item in shown["annotations"]) >= 100


def test_the_table_is_printed_and_kept(ran: Callable[[str], Ran]) -> None:
    done = ran("coco-fsod")
    assert done.printed.strip() == (done.out / "table.md").read_text().strip()
    assert done.printed.startswith("# COCO-FSOD")
    row = next(text for text in done.printed.splitlines() if "novel (nAP) (2)" in text)
    figures = done.line("novel (nAP)")["AP50"]
    assert f"{100 * figures['mean']:.1f} ± {100 * figures['deviation']:.1f}" in row
    assert figures["mean"] == pytest.approx(np.mean(figures["by_seed"]))
    assert figures["deviation"] == pytest.approx(np.std(figures["by_seed"], ddof=1))


def test_the_table_says_on_what_it_ran_and_for_how_long(ran: Callable[[str], Ran]) -> None:
    done = ran("cdfsod-artaxor")
    assert [run["task"] for run in done.table["runs"]] == ["1-shot/seed-0", "1-shot/seed-1"]
    for run in done.table["runs"]:
        assert (run["images"], run["of"], run["failed"], run["timed"]) == (2, 2, 0, 2)
        assert run["seconds"] > 0
        assert run["hardware"]["cores"] >= 1
        assert run["hardware"]["processor"]
    assert "2 of 2 images" in done.printed


def test_false_detections_are_those_on_images_without_the_class(ran: Callable[[str], Ran]) -> None:
    done = ran("coco-fsod")
    shown = {"person": {0, 2}, "dog": {0, 1}, "zebra": {3}}
    assert max(done.line("all")["false/absent"]["by_seed"]) > 0
    for seed in (0, 1):
        for label, images in shown.items():
            alarms = [
                sum(item.label == label for item in record.detections)
                for record in done.records(f"2-shot/seed-{seed}")
                if int(Path(record.image).stem[-12:]) not in images
            ]
            assert done.line(label)["false/absent"]["by_seed"][seed] == np.mean(alarms)


def test_what_is_rejected_is_no_false_detection(ran: Callable[[str], Ran]) -> None:
    """With the thresholds of the exemplars, under which most candidates are none."""
    done = ran("cdfsod-artaxor")
    (without,) = (r for r in done.records("1-shot/seed-0") if r.image.endswith("/1.jpg"))
    assert sum(item.label == "beetle" for item in without.candidates) > 0
    alarms = sum(item.label == "beetle" for item in without.detections)
    assert done.line("beetle")["false/absent"]["by_seed"][0] == alarms
    assert alarms < sum(item.label == "beetle" for item in without.candidates)


def test_each_output_is_one_of_detect(ran: Callable[[str], Ran]) -> None:
    """So that its report can be looked through."""
    done = ran("perseg")
    out = done.out / "1-shot/seed-0/can/detections"
    made = CliRunner().invoke(app, ["report", str(out), "--images", str(done.root)])
    assert made.exit_code == 0, made.output
