"""How other tools read our exports: one function a tool and format, which gives what it has then."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from clientcases import Case
from clientcheck import NEAR, Found, filled

Objects = dict[str, list[Found]]


@dataclass(frozen=True)
class Reader:
    """tool, package: for pip and for Python. files: what it reads, for the table. scores: whether it
    keeps them. nested: whether it reads images in folders. near: pixels that its boxes are off."""

    tool: str
    package: str
    files: str
    scores: bool
    read: Callable[[Case], Objects]
    nested: bool = True
    near: float = NEAR


def pycocotools_own(case: Case) -> Objects:
    return _pycocotools(case.plain / "coco.json", case.plain / "coco_results.json")


def pycocotools_truth(case: Case) -> Objects:
    found = _pycocotools(case.truth, case.numbered / "coco_results.json")
    return {name: rows for name, rows in found.items() if name != "other.png"}


def _pycocotools(truth: Path, scored: Path) -> Objects:
    from pycocotools.coco import COCO

    data = COCO(str(truth))
    results = data.loadRes(str(scored))
    found: Objects = {}
    for image in data.loadImgs(data.getImgIds()):
        own = results.loadAnns(results.getAnnIds(imgIds=[image["id"]]))
        found[image["file_name"]] = [
            Found(
                data.cats[item["category_id"]]["name"],
                item["score"],
                _corners(item["bbox"]),
                results.annToMask(item).astype(bool),
            )
            for item in own
        ]
    return found


def supervision_coco(case: Case) -> Objects:
    import supervision

    path = str(case.plain / "coco.json")
    data = supervision.DetectionDataset.from_coco(str(case.images), path, force_masks=True)
    return _supervision(case, data, case.images, filled_by_it=False)


def supervision_yolo(case: Case) -> Objects:
    import supervision

    root = case.plain / "yolo"
    paths = (root / name for name in ("images/train", "labels/train", "data.yaml"))
    data = supervision.DetectionDataset.from_yolo(*map(str, paths), force_masks=True)
    return _supervision(case, data, root / "images/train", filled_by_it=True)


def supervision_voc(case: Case) -> Objects:
    import supervision

    paths = (case.plain / "voc/JPEGImages", case.plain / "voc/Annotations")
    data = supervision.DetectionDataset.from_pascal_voc(*map(str, paths))
    return _supervision(case, data, paths[0], filled_by_it=False)


def _supervision(case: Case, data: Any, root: Path, filled_by_it: bool) -> Objects:
    found: Objects = {}
    for path, _, seen in data:
        rows = []
        for row in range(len(seen)):
            mask = None if seen.mask is None else np.asarray(seen.mask[row], bool)
            box = None if filled_by_it else seen.xyxy[row]
            label = data.classes[seen.class_id[row]]
            held, painted = (None, mask) if filled_by_it else (mask, None)
            rows.append(Found(label, None, box, held, painted))
        found[Path(path).relative_to(root).as_posix()] = rows
    return found


def ultralytics_outlines(case: Case) -> Objects:
    return _ultralytics(case, case.plain / "yolo", "segment")


def ultralytics_boxes(case: Case) -> Objects:
    return _ultralytics(case, case.boxes / "yolo", "detect")


def _ultralytics(case: Case, root: Path, task: str) -> Objects:
    from ultralytics.data import dataset, utils

    utils.check_font = lambda *_: None  # which looks for one on the network
    about = utils.check_det_dataset(str(root / "data.yaml"))
    data = dataset.YOLODataset(img_path=about["train"], data=about, task=task, augment=False, imgsz=160)
    found: Objects = {}
    for item in data.labels:
        height, width = item["shape"]
        rows = []
        for row, number in enumerate(item["cls"].ravel().astype(int)):
            label = about["names"][int(number)]
            if task == "detect":
                x, y, w, h = item["bboxes"][row] * (width, height, width, height)
                rows.append(Found(label, None, (x - w / 2, y - h / 2, x + w / 2, y + h / 2)))
                continue
            points = item["segments"][row].astype(float) * (width, height)
            painted = utils.polygon2mask((height, width), [points.ravel()]).astype(bool)
            rows.append(Found(label, None, None, filled([points], (height, width)), painted))
        name = Path(item["im_file"]).relative_to(root.resolve() / "images/train").as_posix()
        found[name] = rows
    return found


def labelme(case: Case) -> Objects:
    from labelme import utils
    from labelme._label_file import read_label_file

    found: Objects = {}
    for name, size in case.size.items():
        data = read_label_file(str((case.plain / "labelme" / name).with_suffix(".json")))
        groups: dict[object, list[Any]] = {}
        for number, shape in enumerate(data.shapes):
            key = f"alone {number}" if shape["group_id"] is None else shape["group_id"]
            groups.setdefault(key, []).append(shape)
        rows = []
        for shapes in groups.values():
            mask, painted = np.zeros(size, bool), np.zeros(size, bool)
            for shape in shapes:
                if shape["mask"] is not None:
                    (x0, y0), (x1, y1) = np.array(shape["points"], int)
                    mask[y0 : y1 + 1, x0 : x1 + 1] |= shape["mask"]
                    painted = mask
                    continue
                mask |= filled([np.array(shape["points"])], size)
                painted |= utils.shape_to_mask(size, shape["points"], "polygon")
            first = shapes[0]
            rows.append(Found(first["label"], first["other_data"]["score"], None, mask, painted))
        found[name] = rows
    return found


def xanylabeling(case: Case) -> Objects:
    from anylabeling.views.labeling.label_file import LabelFile

    found: Objects = {}
    for name, size in case.size.items():
        path = (case.polygons / "labelme" / name).with_suffix(".json")
        rows = [
            (s.group_id, s.label, s.score, np.array([(p.x(), p.y()) for p in s.points]))
            for s in LabelFile(str(path)).shapes
        ]
        found[name] = _grouped(rows, size)
    return found


def xanylabeling_coco(case: Case) -> Objects:
    from anylabeling.views.labeling.label_converter import LabelConverter

    found: Objects = {}
    with tempfile.TemporaryDirectory() as folder:
        LabelConverter().coco_to_custom(str(case.polygons / "coco.json"), folder, "polygon")
        for name, size in case.size.items():
            text = Path(folder, Path(name).stem + ".json").read_text(encoding="utf-8")
            rows = [
                (s["group_id"], s["label"], None, np.array(s["points"]))
                for s in json.loads(text)["shapes"]
            ]
            found[name] = _grouped(rows, size)
    return found


def _grouped(rows: list[tuple[Any, str, float | None, Any]], size: tuple[int, int]) -> list[Found]:
    """Polygons that share a group are one object."""
    groups: dict[object, list[Any]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(f"alone {number}" if row[0] is None else row[0], []).append(row)
    return [
        Found(own[0][1], own[0][2], None, filled([row[3] for row in own], size))
        for own in groups.values()
    ]


def labelstudio(case: Case) -> Objects:
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface((case.plain / "labelstudio.xml").read_text(encoding="utf-8"))
    interface.validate()
    tasks = json.loads((case.plain / "labelstudio.json").read_text(encoding="utf-8"))
    found: Objects = {}
    for task, name in zip(tasks, sorted(case.items, key=_place(case)), strict=True):
        rows = []
        for guess in task["predictions"]:
            errors = interface.validate_prediction(guess, return_errors=True)
            if errors:
                raise ValueError(f"{name}: {errors}")
            for region in guess["result"]:
                size = (region["original_height"], region["original_width"])
                points = np.array(region["value"]["points"]) / 100 * size[::-1]
                label = region["value"]["polygonlabels"][0]
                rows.append(Found(label, region["score"], None, filled([points], size)))
        found[name] = rows
    return found


def _place(case: Case) -> Callable[[str], int]:
    """The order of the records, which is that of the tasks."""
    data = json.loads((case.plain / "coco.json").read_text(encoding="utf-8"))
    return [item["file_name"] for item in data["images"]].index


def roboflow(case: Case) -> Objects:
    """As docs/import.md says: images in a folder with the COCO file among them."""
    from roboflow.util.folderparser import parsefolder

    found: Objects = {}
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder, "upload/train")
        shutil.copytree(case.images, upload)
        shutil.copy(case.polygons / "coco.json", upload / "_annotations.coco.json")
        for image in parsefolder(str(upload.parent))["images"]:
            data = json.loads(image["annotationfile"]["rawText"])
            (about,) = data["images"]
            size = (about["height"], about["width"])
            names = {item["id"]: item["name"] for item in data["categories"]}
            rows = []
            for item in data["annotations"]:
                if item["id"] == 999999999:  # its own stand-in for an image without any
                    continue
                rings = [np.reshape(points, (-1, 2)) for points in item["segmentation"]]
                box = _corners(item["bbox"])
                label = names[item["category_id"]]
                rows.append(Found(label, item["score"], box, filled(rings, size)))
            found[image["file"].removeprefix("/train/")] = rows
    return found


def datumaro_coco(case: Case) -> Objects:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(case.images, Path(folder, "images/train"))
        Path(folder, "annotations").mkdir()
        shutil.copy(case.plain / "coco.json", Path(folder, "annotations/instances_train.json"))
        return _datumaro(case, folder, "coco_instances")


def datumaro_voc(case: Case) -> Objects:
    return _datumaro(case, str(case.plain / "voc"), "voc_detection")


def datumaro_yolo(case: Case) -> Objects:
    return _datumaro(case, str(case.boxes / "yolo"), "yolo")


def _datumaro(case: Case, folder: str, kind: str) -> Objects:
    import datumaro

    data = datumaro.Dataset.import_from(folder, kind)
    names = [item.name for item in data.categories()[datumaro.AnnotationType.label]]
    whole = {name.rsplit(".", 1)[0]: name for name in case.items}
    found: Objects = {}
    for item in data:
        if item.subset == "val":  # the same images again
            continue
        rows: dict[int, Found] = {}
        for number, one in enumerate(item.annotations):
            score = one.attributes.get("score")
            kept = None if score is None else float(score)
            if one.type.name == "mask":  # beside its box, of the same number
                mask = np.asarray(one.image, bool)
                rows[one.id] = replace(rows.get(one.id, Found(names[one.label], kept)), mask=mask)
                continue
            key = number if kind != "coco_instances" else one.id
            rows[key] = replace(
                rows.get(key, Found(names[one.label], kept)), box=_corners(list(one.get_bbox()))
            )
        found[whole.get(item.id, item.id)] = [rows[key] for key in sorted(rows)]
    return found


def _corners(box: list[float]) -> tuple[float, float, float, float]:
    x, y, w, h = box
    return x, y, x + w, y + h


XANY = "x-anylabeling-cvhub"
READERS = (
    Reader("pycocotools", "pycocotools", "`coco.json`, `coco_results.json`", True, pycocotools_own),
    Reader("pycocotools", "pycocotools", "`coco_results.json`, `--ids-from`", True, pycocotools_truth),
    Reader("supervision", "supervision", "`coco.json`", False, supervision_coco),
    Reader("supervision", "supervision", "`yolo/`", False, supervision_yolo, nested=False),
    Reader("supervision", "supervision", "`voc/`", False, supervision_voc, nested=False),
    Reader("ultralytics", "ultralytics", "`yolo/`", False, ultralytics_outlines),
    Reader("ultralytics", "ultralytics", "`yolo/`, `--yolo-boxes`", False, ultralytics_boxes),
    Reader("labelme", "labelme", "`labelme/`", True, labelme),
    Reader(XANY, "anylabeling", "`labelme/`, `--polygons`", True, xanylabeling),
    Reader(XANY, "anylabeling", "`coco.json`, `--polygons`", False, xanylabeling_coco, nested=False),
    Reader("label-studio-sdk", "label_studio_sdk", "`labelstudio.json`, `.xml`", True, labelstudio),
    Reader("roboflow", "roboflow", "`coco.json`, `--polygons`", True, roboflow),
    Reader("datumaro", "datumaro", "`coco.json`", True, datumaro_coco),
    Reader("datumaro", "datumaro", "`voc/`", True, datumaro_voc, near=1.0),
    Reader("datumaro", "datumaro", "`yolo/`, `--yolo-boxes`", False, datumaro_yolo, nested=False),
)
