"""Sound files of every kind that is read, to be damaged. Built in memory; equal on every run."""

from __future__ import annotations

import base64
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images_factory
import numpy as np
import references as ref
import reports
import tiffs as tifffiles
import torch
from memories import LOOKING, MEMORIES, MODELS, SIZE, SPACE, bank, describer, entries, picture
from PIL import Image
from runs import SOURCE

from searchdet.bank import file as bankfile
from searchdet.bank.types import Bank
from searchdet.errors import ImageError
from searchdet.index import file as index
from searchdet.masks import rle
from searchdet.proposals.sam.weights import SamShape, build
from searchdet.records.image import ImageInfo
from searchdet.records.record import ImageRecord, failed
from searchdet.regions.cache import pack

SAM = "sam"
TINY = SamShape(32, 16, 16, 2, 2, 2.0, 1, (1,), 16, 16, 2, 32, 3, 2, 16)


@dataclass(frozen=True, slots=True)
class Case:
    """One file: its name, which also says what it is given to, and its bytes."""

    name: str
    data: bytes


def images() -> list[Case]:
    """Those of the factory that a decoder gets to see, without its largest."""
    made = images_factory.every()
    chosen = [item for item in made if "not_an_image" not in item.outcomes or "ok" in item.outcomes]
    return [Case(item.name, item.data) for item in chosen if len(item.data) < 200_000]


def tiffs() -> list[Case]:
    """Pictures with other than 8 bits a sample, which take the second way through the reader."""
    return [Case(name, data) for name, data in tifffiles.sound()]


def checkpoints() -> list[Case]:
    """Small networks of every family in their layouts, in three containers."""
    cases = []
    for name, layout, state in _states():
        wrapped = {"model": state, "epoch": 3}
        for suffix, made in {
            "new.pth": _torch(state),
            "old.pth": _torch(state, _use_new_zipfile_serialization=False),
            "wrapped.pth": _torch(wrapped),
            "plain.safetensors": _safetensors(state),
        }.items():
            cases.append(Case(f"{name}--{layout}-{suffix}", made))
    return cases


def _states() -> list[tuple[str, str, dict[str, torch.Tensor]]]:
    torch.manual_seed(0)
    found = []
    convnext = ref.saved(ref.convnext_reference())
    vit, dinov2 = ref.saved(ref.vit_reference()), ref.dinov2_reference()
    made: dict[str, dict[str, Any]] = {
        "dinov3_convnext_tiny": {
            "transformers": convnext,
            "meta": ref.convnext_meta(convnext),
            "timm": ref.convnext_timm(convnext),
        },
        "dinov3_vits16": {"transformers": vit, "meta": ref.vit_meta(vit), "timm": ref.vit_timm(vit)},
        "dinov2_s": {"meta": ref.dinov2_meta({k: v.clone() for k, v in dinov2.state_dict().items()})},
        SAM: {"meta": build(TINY).state_dict()},
    }
    for name, layouts in made.items():
        for layout, state in layouts.items():
            plain = {k: v.contiguous().clone() for k, v in state.items()}
            found += [(name, layout, plain)] * (3 if name == SAM else 1)
    return found


def _torch(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def _safetensors(state: dict[str, torch.Tensor]) -> bytes:
    from safetensors.torch import save

    made: bytes = save(state)
    return made


def banks() -> list[Case]:
    """A bank, one without negatives, and one with crops."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "bank"
        bankfile.save(bank(), path)
        whole = path.read_bytes()
        one = bank()
        bankfile.save(Bank(one.classes, one.positives, one.labels, one.negatives.take([]), SPACE), path)
        bare = path.read_bytes()
        bankfile.save(bank(LOOKING), path)
        made = (whole, bare, path.read_bytes())
        return [Case(f"{name}.safetensors", data) for name, data in zip("abc", made, strict=True)]


def records() -> list[Case]:
    """Records with detections, without, of a failed image, and of other names."""
    classes = ("bolt", "nut")
    made = [
        reports.record("deep/a.png", classes, reports.run(classes), 0),
        reports.record("b.jpg", classes[:1], reports.run(classes[:1]), 1),
        failed("c.png", ImageError("decode", "c.png: cut short.")),
    ]
    return [Case(f"{i}.json", item.to_bytes()) for i, item in enumerate(made)]


def judged() -> ImageRecord:
    """The record that ``verdicts`` are of."""
    return reports.record("deep/a.png", ("bolt", "nut"), reports.run(("bolt", "nut")), 0)


def verdicts() -> list[Case]:
    """Verdicts of each kind, together and alone."""
    record = judged()
    of = {"image": record.image, "sha256": record.sha256, "settings_sha256": record.settings_sha256}
    made: list[dict[str, Any]] = []
    for item, said in zip(record.candidates[:6], 2 * ("right", "wrong", "other"), strict=True):
        label = {"right": item.label, "wrong": None, "other": "washer"}[said]
        what = {"candidate": item.id, "predicted": item.label, "verdict": said, "label": label}
        made.append({**of, **what})
    parts = (made, *([row] for row in made[:3]))
    files = [{"schema": "searchdet.verdicts/1", "verdicts": part} for part in parts]
    return [Case(f"{i}.json", json.dumps(item).encode()) for i, item in enumerate(files)]


def cache() -> list[Case]:
    """An entry of every kind of memory."""
    cases = []
    for kind, remember in MEMORIES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "cache"
            remember(folder)
            cases += [Case(kind, path.read_bytes()) for path in entries(folder, kind)]
    return cases


def write_index(path: Path) -> None:
    """An index of three images, one of them without regions."""
    images = []
    for number, count in enumerate((4, 0, 3)):
        image = ImageInfo(f"{number}.png", "0" * 64, SIZE[1], SIZE[0], SOURCE)
        images.append((image, pack(describer(number, count).regions(picture(number)))))
    index.write(path, images, index.Made(SPACE, MODELS))


def indexes() -> list[Case]:
    """Each file of an index."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "i"
        write_index(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        texts = [path for path in files if path.suffix in (".json", ".jsonl")]
        return [Case(path.name, path.read_bytes()) for path in (*files, *texts * 4)]


def masks() -> list[Case]:
    """Masks of the picture of every kind: black and white, indices, colours, alpha, 16 bits, lossy."""
    values = np.zeros(SIZE, np.uint8)
    values[4:12, 5:20] = 1
    both = values.copy()
    both[14:20, 5:20] = 8
    indexed = Image.frombytes("P", SIZE[::-1], both.tobytes())
    indexed.putpalette([0, 0, 0, 128, 0, 0] + [0, 0, 0] * 6 + [64, 0, 0])
    colours = np.repeat(values[..., None] * 255, 3, axis=2)
    made = {
        "one.png": Image.fromarray(values),
        "white.png": Image.fromarray(values * 255),
        "bits.png": Image.fromarray(values * 255).convert("1"),
        "ids.png": Image.fromarray(values.astype(np.uint16) * 300),
        "index.png": indexed,
        "index.gif": indexed,
        "colours.png": Image.fromarray(colours * np.asarray([1, 0, 0], np.uint8)),
        "alpha.png": Image.fromarray(np.dstack([colours, values * 255])),
        "grey.bmp": Image.fromarray(values * 255),
        "float.tif": Image.fromarray(values.astype(np.float32)),
        "whole.tif": Image.fromarray(values.astype(np.int32)),
        "lossy.jpg": Image.fromarray(values * 255),
        "lossy.webp": Image.fromarray(colours),
    }
    return [Case(name, _picture(image, name)) for name, image in made.items()]


def _picture(image: Image.Image, name: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], name.partition(".")[2].upper()))
    return buffer.getvalue()


SQUARE = [[5.0, 6.0], [15.0, 6.0], [15.0, 20.0], [5.0, 20.0]]


def labelme() -> list[Case]:
    """Every kind of shape, together and alone."""
    bitmap = images_factory.saved(np.full((4, 3), 255, np.uint8), "PNG")
    text = base64.b64encode(bitmap).decode()
    kinds: list[dict[str, Any]] = [
        {"points": SQUARE, "shape_type": "polygon", "group_id": None},
        {"points": SQUARE, "shape_type": "polygon", "group_id": 3},
        {"points": [[5.0, 6.0], [15.0, 20.0]], "shape_type": "rectangle", "group_id": None},
        {"points": [[20.0, 15.0], [28.0, 15.0]], "shape_type": "circle", "group_id": None},
        {"points": [[7.0, 9.0], [9.0, 12.0]], "shape_type": "mask", "mask": text, "group_id": 3},
        {"points": SQUARE, "shape_type": "rectangle", "group_id": 3},
        {"points": SQUARE, "shape_type": "rotation", "group_id": None},
        {"points": [[20.0, 15.0]], "shape_type": "point", "group_id": None},
    ]
    shapes = [{"label": "bolt", **kind} for kind in kinds]
    made = [
        {"imageHeight": SIZE[0], "imageWidth": SIZE[1], "imagePath": "1.png", "shapes": part}
        for part in (shapes, *([shape] for shape in shapes))
    ]
    bare = {"shapes": shapes}
    texts = [*(json.dumps(item).encode() for item in made), json.dumps(bare).encode("utf-16")]
    return [Case(f"{i}.json", text) for i, text in enumerate(texts)]


def truth(names: Sequence[str], shapes: Sequence[Any]) -> dict[str, Any]:
    """A COCO truth with an object of each shape in each image, of the size of ``records``."""
    height, width = reports.SIZE
    return {
        "images": [
            {"id": i, "file_name": name, "width": width, "height": height}
            for i, name in enumerate(names, start=7)
        ],
        "categories": [{"id": 3, "name": "bolt"}, {"id": 5, "name": "nut"}],
        "annotations": [
            {"image_id": i, "category_id": 3, "bbox": [4.0, 3.0, 8.0, 6.0], "segmentation": shape}
            for i in range(7, 7 + len(names))
            for shape in shapes
        ],
    }


def shapes() -> list[Any]:
    """A polygon, an encoding as text, and one as numbers."""
    mask = np.zeros(reports.SIZE, bool)
    mask[3:9, 4:12] = True
    plain = {"size": list(reports.SIZE), "counts": [100, 50, mask.size - 150]}
    return [[[v for point in SQUARE for v in point]], rle.encode(mask), plain]


def coco() -> list[Case]:
    """Every kind of mask, together and alone, and a box."""
    chosen = (shapes(), *([shape] for shape in shapes()), [None])
    made = [json.dumps(truth(["1.png"], part)).encode() for part in chosen]
    return [Case(f"{i}.json", data) for i, data in enumerate((*made, *_others()))]


def _others() -> list[bytes]:
    """The same as other tools write it: ids as text, no sizes, no boxes, crowds, paths of a server."""
    bare = truth(["images\\1.png"], shapes())
    for image in bare["images"]:
        image["id"] = "x"
        del image["width"]
    for item in bare["annotations"]:
        item |= {"image_id": "x", "iscrowd": 1}
        del item["bbox"]
    crowds = truth(["/data/local-files/?d=a/0a1b2c3d-1.png"], shapes()[1:])
    for item in crowds["annotations"]:
        item["iscrowd"] = 1
    return [json.dumps(bare).encode("utf-8-sig"), json.dumps(crowds).encode()]


TOML = b"""
backbone = "filterbank"
min-score = 0.5
class-min-score = ["bolt=0.4"]
[detect]
save = "overlay,crops"
max_pixels = 1000
tile = 512
[bank.build]
pooling = "topk"
[index]
recursive = true
"""


def config() -> list[Case]:
    """A settings file, and one of a project."""
    project = TOML.replace(b"[", b"[tool.searchdet.").replace(b'.["bolt', b'["bolt')
    project = project.replace(b'= [tool.searchdet."', b'= ["').replace(
        b"\nbackbone", b"[tool.searchdet]\nbackbone"
    )
    return [Case("searchdet.toml", TOML), Case("pyproject.toml", project)]


def lists() -> list[Case]:
    """Lists of paths, of lines and of NULs, in the encodings that are read and one that is not."""
    names = ("1.png", "deep/2.png", "run[1]/3.png", "größe 4.png", "gone.png", "deep")
    lines, nulls = "".join(f"{name}\r\n" for name in names), "".join(f"{name}\0" for name in names)
    plain = [Case("lines.txt", lines.encode()), Case("null.txt", nulls.encode())]
    marked = [
        Case(f"{kind}-{encoding}.txt", f"\ufeff{text}".encode(encoding))
        for kind, text in (("lines", lines), ("null", nulls))
        for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")
    ]
    others = {"bare": "utf-16-le", "old": "cp1252"}
    odd = [Case(f"lines-{name}.txt", lines.encode(encoding)) for name, encoding in others.items()]
    return [*plain, *marked, *odd]


SEEDS: dict[str, Callable[[], list[Case]]] = {
    "images": images,
    "tiffs": tiffs,
    "checkpoints": checkpoints,
    "banks": banks,
    "records": records,
    "verdicts": verdicts,
    "cache": cache,
    "indexes": indexes,
    "masks": masks,
    "labelme": labelme,
    "coco": coco,
    "config": config,
    "lists": lists,
}
