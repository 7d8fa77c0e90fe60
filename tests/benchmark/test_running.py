"""What a set lacks is said, what is done is not done again, and options do what they say."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minisets import MAKERS, SIZE, cdfsod, fsod, mvtec, perseg
from places import QUICK
from typer.testing import CliRunner, Result

from searchdet.benchmark import SETS, Request, spec_of
from searchdet.benchmark import run as benchmark_run
from searchdet.benchmark.dataset import Dataset, dataset_of, draw
from searchdet.benchmark.judging import JUDGES, Anomaly
from searchdet.benchmark.maps import LOWEST, Scored, of_regions
from searchdet.benchmark.places import mask_of
from searchdet.benchmark.run import Plan, Step, run
from searchdet.cli import app
from searchdet.commands.console import Stopped
from searchdet.config import settings_from
from searchdet.errors import UsageError
from searchdet.output import read_records

SETTINGS = settings_from({"backbone": QUICK, "scored_masks": 60, "proposals": "regions"})


def request(name: str, root: Path, shots: int = 1, seeds: Sequence[int] = (0,), **more: Any) -> Request:
    return Request(spec_of(name), root, (shots,), tuple(seeds), **more)


def plan(name: str, root: Path, out: Path, **more: Any) -> Plan:
    return Plan(request(name, root), replace(SETTINGS, cache=out.parent / "cache"), out, **more)


def invoke(name: str, root: Path, out: Path, *words: str) -> Result:
    every = ["benchmark", name, "--root", str(root), "-o", str(out), "--no-cache", *words]
    return CliRunner().invoke(app, every)


def searched(steps: Sequence[Step]) -> int:
    """Images that were searched, not those whose record was there."""
    return sum(step.result is not None and not step.result.known for step in steps)


# what is done


def test_a_run_that_is_stopped_goes_on_with_the_next_image(tmp_path: Path) -> None:
    root, out = cdfsod(tmp_path / "root"), tmp_path / "out"
    stopped = run(plan("cdfsod-artaxor", root, out))
    first = list(itertools.islice(stopped, 1))
    stopped.close()
    assert first[0].result is not None
    assert not list(out.rglob("figures.json"))
    steps = list(run(plan("cdfsod-artaxor", root, out)))
    assert searched(steps) == 1  # of two
    figures = steps[-1].figures
    assert figures is not None
    assert (figures.images, figures.timed) == (2, 1)
    whole = list(run(plan("cdfsod-artaxor", root, tmp_path / "other")))[-1].figures
    assert whole is not None
    assert whole.rows == figures.rows


@pytest.mark.process
def test_a_run_that_is_killed_goes_on(tmp_path: Path) -> None:
    """The whole command, ended by force when the first record is there."""
    root, out = mvtec(tmp_path / "root"), tmp_path / "out"
    words = ["benchmark", "mvtec-ad", "--root", str(root), "-o", str(out), "--no-cache"]
    words += ["--shots", "2", "--seeds", "0", "--classes", "tile"]
    process = subprocess.Popen([sys.executable, "-m", "searchdet", *words], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: bool(list(out.rglob("records/**/*.json"))), process)
    finally:
        process.kill()
        process.wait()
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["runs"]
    assert told["images"] == 8
    assert told["timed"] < 8


def wait_until(there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Until something is there, or the process has ended."""
    while not there() and process.poll() is None:
        time.sleep(0.01)
    assert there(), "it ended before"


def test_a_signal_ends_the_command_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = cdfsod(tmp_path / "root"), tmp_path / "out"

    def stopped(plan: Plan) -> Iterator[Step]:
        yield next(iter(run(plan)))
        raise Stopped(2)

    with monkeypatch.context() as patch:
        patch.setattr(benchmark_run, "run", stopped)
        done = invoke("cdfsod-artaxor", root, out, "--shots", "1")
    assert done.exit_code == 130
    assert done.stderr.splitlines()[-1] == "Stopped; what is done is kept. Run again to go on."
    assert not (out / "table.md").exists()
    again = invoke("cdfsod-artaxor", root, out, "--shots", "1", "--json")
    assert json.loads(again.stdout)["runs"][0]["timed"] == 1


def test_what_is_finished_is_not_searched_again_unless_it_changed(tmp_path: Path) -> None:
    root, out = cdfsod(tmp_path / "root"), tmp_path / "out"
    first = plan("cdfsod-artaxor", root, out)
    done = list(run(first))[-1].figures
    again = list(run(first))
    assert [step.known for step in again] == [True]
    assert again[0].figures == done
    assert searched(list(run(replace(first, overwrite=True)))) == 2
    test = root / "ArTaxOr/annotations/test.json"
    data = json.loads(test.read_text())
    del data["annotations"][0]
    test.write_text(json.dumps(data))
    steps = list(run(first))  # other truth: judged again, and the one image is searched again
    assert (searched(steps), len(steps)) == (1, 3)
    assert steps[-1].figures is not None
    assert steps[-1].figures.rows != again[0].figures.rows
    other = replace(first, settings=settings_from({"backbone": QUICK, "scored_masks": 50}))
    assert searched(list(run(other))) == 2


def test_damaged_figures_are_made_again_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, out = cdfsod(tmp_path / "root"), tmp_path / "out"
    first = plan("cdfsod-artaxor", root, out)
    done = list(run(first))[-1].figures
    (place,) = out.rglob("figures.json")
    place.write_text(place.read_text()[:100])
    with caplog.at_level(logging.WARNING):
        steps = list(run(first))
    assert "is made again" in caplog.text
    assert steps[-1].figures is not None
    assert done is not None
    assert steps[-1].figures.rows == done.rows


def test_records_go_when_the_figures_of_their_task_are_there(tmp_path: Path) -> None:
    root, out = cdfsod(tmp_path / "root"), tmp_path / "out"
    first = plan("cdfsod-artaxor", root, out, drop_records=True)
    done = list(run(first))[-1].figures
    assert not list(out.rglob("*.jpg.json"))
    assert not list(out.rglob("thumbnails/**/*.jpg"))
    again = list(run(first))
    assert [step.known for step in again] == [True]
    assert again[0].figures == done


def test_an_image_that_fails_counts_as_one_without_detections(tmp_path: Path) -> None:
    root, out = cdfsod(tmp_path / "root"), tmp_path / "out"
    (root / "ArTaxOr/test/1.jpg").write_bytes(b"no image")
    done = invoke("cdfsod-artaxor", root, out, "--shots", "1", "--json")
    assert done.exit_code == 3
    assert "1.jpg: FAILED" in done.stderr
    table = json.loads(done.stdout)
    assert table["runs"][0]["failed"] == 1
    moth = next(line["figures"] for line in table["classes"] if line["group"] == "moth")
    assert moth["recall50"]["mean"] == 0.5  # two moths, one on the picture that is none
    assert moth["AP50"]["mean"] <= 0.51


@pytest.mark.parametrize(("name", "make"), [("perseg", perseg), ("mvtec-ad", mvtec)])
def test_failed_images_are_counted_by_every_judge(tmp_path: Path, name: str, make: Any) -> None:
    root = make(tmp_path / "root")
    bad = root / ("Images/can/01.jpg" if name == "perseg" else "bottle/test/good/001.png")
    bad.write_bytes(b"no image")
    words = ["--classes", "can" if name == "perseg" else "bottle", "--seeds", "0", "--json"]
    done = invoke(name, root, tmp_path / "out", "--shots", "1", *words)
    assert done.exit_code == 3, done.output
    assert json.loads(done.stdout)["runs"][0]["failed"] == 1


# what is missing

NEEDED = {
    "coco-fsod": [
        "cocosplit/datasplit/5k.json",
        "cocosplit/full_box_2shot_dog_trainval.json",
        "coco/val2014/COCO_val2014_000000000001.jpg",
        "coco/trainval2014",
    ],
    "lvis-minival": [
        "lvis/lvis_v1_minival_inserted_image_name.json",
        "lvis/lvis_v1_train.json",
        "coco/val2017/000000000002.jpg",
        "coco/train2017",
    ],
    "cdfsod-artaxor": [
        "ArTaxOr/annotations/test.json",
        "ArTaxOr/annotations/1_shot.json",
        "ArTaxOr/test",
        "ArTaxOr/train",
    ],
    "perseg": ["Images", "Annotations", "Annotations/toy/01.png", "Images/can/00.jpg"],
    "mvtec-ad": ["tile/train/good", "tile/ground_truth/hole/001_mask.png"],
    "visa": ["split_csv/1cls.csv", "candle/Data/Images/Normal/0002.JPG", "candle/Data/Masks/Anomaly"],
}
SHOTS = {"coco-fsod": 2, "mvtec-ad": 2}


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing_is_said_with_its_place_and_the_page_it_is_from(
    name: str, tmp_path: Path
) -> None:
    whole = MAKERS[name](tmp_path / "whole")
    assert list(spec_of(name).tasks(request(name, whole, SHOTS.get(name, 1))))
    for number, part in enumerate(NEEDED[name]):
        root = tmp_path / str(number)
        shutil.copytree(whole, root)
        path = root / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        with pytest.raises(UsageError) as refused:
            list(spec_of(name).tasks(request(name, root, SHOTS.get(name, 1))))
        said = refused.value.one_line()
        assert str(path) in said
        assert spec_of(name).page in said
    with pytest.raises(UsageError, match="absent"):
        list(spec_of(name).tasks(request(name, tmp_path / "absent")))


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    done = invoke("perseg", tmp_path, tmp_path / "out")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path / 'Images'}: PerSeg needs a folder there.")


def test_files_of_another_form_are_refused(tmp_path: Path) -> None:
    root = fsod(tmp_path / "root")
    (root / "cocosplit/datasplit/5k.json").write_text("[]")
    with pytest.raises(UsageError, match="no JSON object"):
        list(spec_of("coco-fsod").tasks(request("coco-fsod", root, 2)))
    (root / "cocosplit/datasplit/5k.json").write_text('{"images": []}')
    with pytest.raises(UsageError, match="no list 'annotations'"):
        list(spec_of("coco-fsod").tasks(request("coco-fsod", root, 2)))
    odd = {"images": [], "annotations": [{"id": 1, "bbox": [0, 0, 5, 5]}], "categories": []}
    (root / "cocosplit/datasplit/5k.json").write_text(json.dumps(odd))
    with pytest.raises(UsageError, match="number 1 of its annotations has not all of id, image_id"):
        list(spec_of("coco-fsod").tasks(request("coco-fsod", root, 2)))
    data = {"images": [{"id": 1, "file_name": "../../x.jpg"}], "annotations": [], "categories": []}
    (root / "cocosplit/datasplit/5k.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="leads out"):
        list(spec_of("coco-fsod").tasks(request("coco-fsod", root, 2)))
    table = MAKERS["visa"](tmp_path / "visa") / "split_csv/1cls.csv"
    table.write_text("a,b\n")
    with pytest.raises(UsageError, match="no table of object, split"):
        list(spec_of("visa").tasks(request("visa", tmp_path / "visa")))


def test_polygons_that_are_none_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "test.json"
    good, bad = [0, 0, 9, 0, 9, 9], [0, 0, 9, 9]
    shapes: list[Any] = [[good], [bad, good], [bad], {"size": [9, 9], "counts": [81]}, []]
    rows = [
        {"id": k, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": shape}
        for k, shape in enumerate(shapes)
    ]
    path.write_text(json.dumps({"images": [], "annotations": rows, "categories": []}))
    with caplog.at_level(logging.WARNING):
        found = [item["segmentation"] for item in dataset_of(path).annotations]
    assert found == [[good], [good], [[1, 2, 4, 2, 4, 6, 1, 6]], *shapes[3:]]
    assert "2 annotations have polygons" in caplog.text


def test_shots_that_are_not_there_are_refused(tmp_path: Path) -> None:
    root = fsod(tmp_path / "fsod")
    path = root / "cocosplit/full_box_2shot_dog_trainval.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"annotations": data["annotations"][:1]}))
    with pytest.raises(UsageError, match="1 of 2 shots"):
        list(spec_of("coco-fsod").tasks(request("coco-fsod", root, 2)))
    root = mvtec(tmp_path / "mvtec")
    with pytest.raises(UsageError, match="too few for 6 shots"):
        list(spec_of("mvtec-ad").tasks(request("mvtec-ad", root, 6, shown="defects")))
    with pytest.raises(UsageError, match="4 good images"):
        list(spec_of("mvtec-ad").tasks(request("mvtec-ad", root, 1, shown="defects", negatives=5)))
    with pytest.raises(UsageError, match="one shot an object"):
        list(spec_of("perseg").tasks(request("perseg", perseg(tmp_path / "perseg"), 2)))


# which exemplars, which images


def annotated(counts: dict[str, int]) -> Dataset:
    """Classes with so many annotations on each of four images."""
    rows = [
        {"id": number, "image_id": number % 4, "category_id": k, "iscrowd": 0}
        for k, count in enumerate(counts.values())
        for number in range(1000 * k, 1000 * k + 4 * count)
    ]
    categories = [{"id": k, "name": name} for k, name in enumerate(counts)]
    return Dataset([], rows, categories)


def test_shots_are_drawn_by_seed_and_fewer_are_among_more() -> None:
    data = annotated({"cat": 3, "dog": 3})
    four, two = draw(data, ["cat"], 4, 0), draw(data, ["cat"], 2, 0)
    assert four[:2] == two
    assert len({item["image_id"] for item in four}) == 4  # an image a shot, as long as there are some
    assert draw(data, ["cat"], 4, 0) == four
    assert draw(data, ["cat"], 4, 1) != four
    assert draw(data, ["cat", "dog"], 4, 0)[:4] == four  # whatever else is drawn
    assert len(draw(data, ["cat"], 100, 0)) == 12
    data.annotations[0]["iscrowd"] = 1
    assert len(draw(data, ["cat"], 100, 0)) == 11
    with pytest.raises(UsageError, match="'owl'"):
        draw(annotated({"owl": 0}), ["owl"], 1, 0)


def test_seeds_of_cdfsod_are_the_published_choice_and_then_drawn_ones(tmp_path: Path) -> None:
    root = cdfsod(tmp_path)
    every = list(spec_of("cdfsod-artaxor").tasks(request("cdfsod-artaxor", root, 1, (0, 1, 2, 3, 4))))
    chosen = [[item["id"] for item in task.exemplars.annotations] for task in every]
    published = json.loads((root / "ArTaxOr/annotations/1_shot.json").read_text())["annotations"]
    assert sorted(chosen[0]) == sorted(item["id"] for item in published)
    assert len({tuple(ids) for ids in chosen}) > 2


def test_seeds_of_coco_are_its_folders(tmp_path: Path) -> None:
    root = fsod(tmp_path)
    tasks = list(spec_of("coco-fsod").tasks(request("coco-fsod", root, 2, (0, 1))))
    assert [task.name for task in tasks] == ["2-shot/seed-0", "2-shot/seed-1"]
    for task in tasks:
        assert {item["name"] for item in task.exemplars.categories} == {"person", "dog"}
        files = [item["file_name"] for item in task.exemplars.images]
        assert all(f"train2014_{task.seed:06}" in name for name in files)
        assert len(task.exemplars.annotations) == 4
    with pytest.raises(UsageError, match="seed2"):
        list(spec_of("coco-fsod").tasks(request("coco-fsod", root, 2, (2,))))


def test_classes_are_groups_or_names(tmp_path: Path) -> None:
    root = fsod(tmp_path)

    def labels(*words: str) -> tuple[str, ...]:
        asked = request("coco-fsod", root, 2, classes=words)
        return next(iter(spec_of("coco-fsod").tasks(asked))).truth.labels

    assert labels() == labels("novel") == ("person", "dog")
    assert labels("base") == ("zebra",)
    assert labels("all") == ("person", "dog", "zebra")
    assert labels("zebra", "dog") == ("dog", "zebra")
    with pytest.raises(UsageError, match="no class 'zebras'") as refused:
        labels("zebras")
    assert refused.value.hint == "Did you mean 'zebra'?"


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"coco-fsod", "lvis-minival", "mvtec-ad"}))
def test_every_set_is_read_from_its_own_folder(name: str, tmp_path: Path) -> None:
    tasks = list(spec_of(name).tasks(request(name, MAKERS[name](tmp_path))))
    assert tasks
    for task in tasks:
        assert task.truth.annotations()
        assert all((task.folder / place).is_file() for place in task.truth.names.values())


def test_a_limit_takes_the_same_images_for_each_seed_and_says_so(tmp_path: Path) -> None:
    root, out = fsod(tmp_path / "root"), tmp_path / "out"
    done = invoke("coco-fsod", root, out, "--shots", "2", "--seeds", "0,1", "--limit", "2")
    assert done.exit_code == 0, done.output
    names = [
        [record.image for record in read_records(out / f"2-shot/seed-{seed}/detections")]
        for seed in (0, 1)
    ]
    assert len(names[0]) == 2
    assert names[0] == names[1]
    assert "2 of 5 images" in done.stdout


def test_boxes_of_exemplars_are_taken_where_that_is_asked(tmp_path: Path) -> None:
    root, out = fsod(tmp_path / "root"), tmp_path / "out"
    done = invoke("coco-fsod", root, out, "--shots", "2", "--seeds", "0", "--limit", "1", "--boxes")
    assert done.exit_code == 0, done.output
    rows = json.loads((out / "2-shot/seed-0/exemplars.json").read_text())["annotations"]
    assert rows
    assert not any(item["segmentation"] for item in rows)


# oracle and other scores


def test_the_oracle_parts_the_proposer_from_the_scores(tmp_path: Path) -> None:
    """Where no proposal is near an object nothing is found; with the true masks among them it is."""
    root, out = cdfsod(tmp_path / "root"), tmp_path / "out"
    words = ("--shots", "1", "--part", "both", "--json", "--min-area", "60")
    done = invoke("cdfsod-artaxor", root, out, *words)
    assert done.exit_code == 0, done.output
    lines = {line["part"]: line["figures"] for line in json.loads(done.stdout)["lines"]}
    assert lines["detections"]["recall50"]["mean"] == 0.0
    assert lines["detections"]["AP50"]["mean"] == 0.0
    assert lines["oracle"]["recall75"]["mean"] == 1.0
    assert lines["oracle"]["AP50"]["mean"] > 0.9


def test_a_map_of_the_defects_themselves_is_perfect(tmp_path: Path) -> None:
    """Whatever the regions scored."""
    root, out = mvtec(tmp_path / "root"), tmp_path / "out"
    given = request("mvtec-ad", root, classes=("tile",), shown="defects")
    asked = replace(plan("mvtec-ad", root, out), request=given)
    (task,) = spec_of("mvtec-ad").tasks(asked.request)
    records = [step.result.record for step in run(asked) if step.result is not None]

    def marked(record: Any) -> Scored:
        image = Path(record.image)
        mask = root / "tile/ground_truth" / image.parent.name / f"{image.stem}_mask.png"
        made = mask_of(mask).astype(np.float32) if mask.exists() else np.zeros(SIZE, np.float32)
        return Scored(made, float(made.max()))

    judge = Anomaly(task, 100, marked)
    for record in records:
        judge.add(record)
    row = judge.rows()["tile"]
    for name in ("AUROC", "AP", "F1-max"):
        assert (row[f"image {name}"], row[f"pixel {name}"]) == (1.0, 1.0)
    assert row["AUPRO"] == 1.0
    plain = of_regions(records[0])
    assert plain.pixels.shape == SIZE
    best = max(candidate.score or LOWEST for candidate in records[0].candidates)
    assert (plain.image, plain.pixels.max()) == pytest.approx((best, best))


# the registry and the options


def test_every_set_has_a_miniature_and_a_judge() -> None:
    assert set(MAKERS) == set(SETS)
    assert {spec.kind for spec in SETS.values()} == set(JUDGES)
    assert all(spec.page.startswith("https://") for spec in SETS.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["perse"], "Did you mean 'perseg'?"),
        (["zzz"], "Choose coco-fsod, lvis-minival"),
        (["perseg", "--shots", "x"], "--shots 'x' is no list of numbers"),
        (["perseg", "--shots", "0"], "'0' is out of range"),
        (["perseg", "--seeds", "5-2"], "'5-2' is out of range"),
        (["perseg", "--seeds", "1,-"], "no list of numbers"),
        (["perseg", "--part", "best"], "--part 'best' is unknown; choose detections, oracle or both"),
        (["perseg", "--part", "none"], "--part names nothing"),
        (["perseg", "--part", "both", "--tile", "128"], "--tile cuts"),
    ],
)
def test_words_that_make_no_sense_are_refused(words: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["benchmark", *words, "--root", str(tmp_path)])
    assert done.exit_code == 2
    assert said in done.stderr
