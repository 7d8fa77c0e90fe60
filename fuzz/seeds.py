"""Sound files of every kind that is read, to be damaged. Built in memory; equal on every run."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import images_factory
import references as ref
import reports
from searchdet import bankfile, index, tensors
from searchdet.backbones import BackboneSpec
from searchdet.bank import Bank, Origin, Rows, Space
from searchdet.describe import Regions
from searchdet.embeddings import Descriptors, MaskEmbeddings, l2_normalize
from searchdet.judge import Searched
from searchdet.proposals import outline, rle
from searchdet.proposals.sam.weights import SamShape, build
from searchdet.proposals.types import from_masks
from searchdet.records import failed
from searchdet.errors import ImageError
from searchdet.remembered import Packed, pack

DIM = 8
SIZE = (30, 40)
SPACE = Space("filterbank", None, "short_side=512", "mean", DIM)
MODELS = {"backbone": {"name": "filterbank"}, "proposals": {"name": "given"}, "embedding": {}}
SAM = "sam"
TINY = SamShape(32, 16, 16, 2, 2, 2.0, 1, (1,), 16, 16, 2, 32, 3, 2, 16)


@dataclass(frozen=True, slots=True)
class Case:
    """One file: its name, which also says what it is given to, and its bytes."""

    name: str
    data: bytes


def images() -> list[Case]:
    """The odd and the bad ones of the factory, without its largest."""
    return [Case(made.name, made.data) for made in images_factory.every() if len(made.data) < 200_000]


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
            found.append((name, layout, {k: v.contiguous().clone() for k, v in state.items()}))
    return found


def small_spec(name: str) -> BackboneSpec:
    """The registered network with the sizes of the files above."""
    return ref.small_spec(name)


def _torch(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def _safetensors(state: dict[str, torch.Tensor]) -> bytes:
    from safetensors.torch import save

    made: bytes = save(state)
    return made


def _vectors(count: int, seed: int) -> np.ndarray:
    return l2_normalize(np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32))


def bank() -> Bank:
    """Two classes of three, two negatives."""

    def rows(count: int, seed: int) -> Rows:
        origins = tuple(Origin(f"{seed}/{i}.png", f"{seed}{i}" * 32, "file", "ab") for i in range(count))
        shapes = np.random.default_rng(seed).random((count, outline.DIM)).astype(np.float32)
        return Rows(_vectors(count, seed), _vectors(count, seed + 9), shapes, origins)

    return Bank(("bolt", "nut"), rows(6, 1), np.asarray([0, 0, 0, 1, 1, 1]), rows(2, 2), SPACE)


def banks() -> list[Case]:
    """A bank, and one without negatives."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "bank"
        bankfile.save(bank(), path)
        whole = path.read_bytes()
        one = bank()
        bankfile.save(Bank(one.classes, one.positives, one.labels, one.negatives.take([]), SPACE), path)
        return [Case("a.safetensors", whole), Case("b.safetensors", path.read_bytes())]


def records() -> list[Case]:
    """Records with detections, without, of a failed image, and of other names."""
    classes = ("bolt", "nut")
    made = [
        reports.record("deep/a.png", classes, reports.facts(classes), 0),
        reports.record("b.jpg", classes[:1], reports.facts(classes[:1]), 1),
        failed("c.png", ImageError("decode", "c.png: cut short.")),
    ]
    return [Case(f"{i}.json", item.to_bytes()) for i, item in enumerate(made)]


def regions(seed: int = 0, count: int = 5) -> Regions:
    """Regions of an image of ``SIZE``."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *SIZE), bool)
    for number in range(count):
        y, x = int(rng.integers(0, 15)), int(rng.integers(0, 20))
        masks[number, y : y + int(rng.integers(2, 15)), x : x + int(rng.integers(2, 20))] = True
    found = from_masks(list(masks), rng.random(count).tolist(), SIZE)
    embedded = MaskEmbeddings(_vectors(count, seed), np.ones(count, bool), np.zeros(count, bool))
    shapes = rng.random((count, outline.DIM)).astype(np.float32)
    return Regions(found, Descriptors(embedded, _vectors(count, seed + 1), shapes))


def entry() -> Packed:
    """What is remembered of an image."""
    return pack(regions())


def cache() -> list[Case]:
    """Entries of every kind of memory."""
    kept = entry()
    exemplar = {"vectors": _vectors(1, 3), "contexts": _vectors(1, 4)}
    exemplar["outlines"] = np.zeros((1, outline.DIM), np.float32)
    numbers = {"numbers": [0.1] * 8, "versions": {"torch": "2"}}
    return [
        Case("regions", tensors.pack(kept.arrays, kept.facts)),
        Case("exemplars", tensors.pack(exemplar, {"name": "a"})),
        Case("loaded", tensors.pack({}, {"layout": "Meta"})),
        Case("canaries", tensors.pack({}, numbers)),
        Case("sha256", json.dumps({"file": ["/x", 1, 2, 3, 4], "sha256": "0" * 64}).encode()),
    ]


def write_index(path: Path) -> None:
    """An index of three images, one of them without regions."""
    images = []
    for number, count in enumerate((4, 0, 3)):
        image = Searched(f"{number}.png", "0" * 64, SIZE[1], SIZE[0], {"frames": 1})
        images.append((image, pack(regions(number, count))))
    index.write(path, images, SPACE, MODELS)


def indexes() -> list[Case]:
    """Each file of an index."""
    with tempfile.TemporaryDirectory() as name:
        write_index(Path(name) / "i")
        files = sorted((Path(name) / "i").iterdir())
        texts = [path for path in files if path.suffix in (".json", ".jsonl")]
        return [Case(path.name, path.read_bytes()) for path in (*files, *texts * 4)]


SQUARE = [[5.0, 6.0], [15.0, 6.0], [15.0, 20.0], [5.0, 20.0]]


def labelme() -> list[Case]:
    """A file with every kind of shape."""
    bitmap = images_factory.saved(np.full((4, 3), 255, np.uint8), "PNG")
    import base64

    text = base64.b64encode(bitmap).decode()
    kinds: list[dict[str, Any]] = [
        {"points": SQUARE, "shape_type": "polygon", "group_id": None},
        {"points": SQUARE, "shape_type": "polygon", "group_id": 3},
        {"points": [[5.0, 6.0], [15.0, 20.0]], "shape_type": "rectangle", "group_id": None},
        {"points": [[20.0, 15.0], [28.0, 15.0]], "shape_type": "circle", "group_id": None},
        {"points": [[7.0, 9.0], [9.0, 12.0]], "shape_type": "mask", "mask": text, "group_id": 3},
    ]
    shapes = [{"label": "bolt", **kind} for kind in kinds]
    made = [
        {"imageHeight": SIZE[0], "imageWidth": SIZE[1], "imagePath": "1.png", "shapes": part}
        for part in (shapes, shapes[:1], shapes[2:3], shapes[3:4], shapes[4:])
    ]
    return [Case(f"{i}.json", json.dumps(item).encode()) for i, item in enumerate(made)]


def coco() -> list[Case]:
    """A truth with every kind of mask."""
    mask = np.zeros(SIZE, bool)
    mask[3:9, 4:12] = True
    plain = {"size": list(SIZE), "counts": [100, 50, SIZE[0] * SIZE[1] - 150]}
    shapes: list[Any] = [[[v for point in SQUARE for v in point]], rle.encode(mask), plain]
    cases = []
    for number, chosen in enumerate((shapes, shapes[:1], shapes[1:2], shapes[2:], [None])):
        annotations = [
            {"image_id": 7, "category_id": 3, "bbox": [4.0, 3.0, 8.0, 6.0], "segmentation": shape}
            for shape in chosen
        ]
        made = {
            "images": [{"id": 7, "file_name": "1.png", "width": SIZE[1], "height": SIZE[0]}],
            "categories": [{"id": 3, "name": "bolt"}],
            "annotations": annotations,
        }
        cases.append(Case(f"{number}.json", json.dumps(made).encode()))
    return cases


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
    project = project.replace(b'= [tool.searchdet."', b'= ["').replace(b"\nbackbone", b"[tool.searchdet]\nbackbone")
    return [Case("searchdet.toml", TOML), Case("pyproject.toml", project)]


SEEDS: dict[str, Callable[[], list[Case]]] = {
    "images": images,
    "checkpoints": checkpoints,
    "banks": banks,
    "records": records,
    "cache": cache,
    "indexes": indexes,
    "labelme": labelme,
    "coco": coco,
    "config": config,
}
