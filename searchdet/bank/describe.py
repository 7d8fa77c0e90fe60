"""Exemplars to bank rows: described by the function that describes proposals, remembered by content."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from ..backbones import Backbone, Closer, FeatureMap
from ..config import EmbeddingOptions
from ..embeddings import describe as describe_masks
from ..errors import ExemplarError
from ..exemplars import Exemplar, boxmask
from ..masks import rle
from ..masks.coverage import Masks
from ..masks.shape import outlines_of
from ..regions import Space, look_closer, space_of
from ..storage import kinds
from ..storage.cache import Store, key_of
from ..storage.tensors import Arrays
from ..storage.values import Fields, JsonObject
from ..version import __version__
from .types import Bank, Origin, Rows, indexed, join, plain_rows, rows_of

SHAPELESS = ("whole", "box")
"""Masks from these sources say nothing about the shape of the object."""
FOUND = ("auto", boxmask.SOURCE)
"""Sources of masks that were looked for: of photos without one, and of boxes."""


def build_bank(
    backbone: Backbone,
    exemplars: list[Exemplar],
    options: EmbeddingOptions,
    kept: Store | None = None,
    closer: bool = False,
) -> Bank:
    """A bank of all exemplars. kept: remembers descriptions by content. closer: with a second look at
    each, where the backbone has one.

    Raises ExemplarError without positives or where an exemplar has no descriptor.
    """
    labels = [item.label for item in exemplars if item.label is not None]
    if not labels:
        raise ExemplarError("no positive exemplar.", "Put at least one image into --positive.")
    described = describe(backbone, exemplars, options, kept or Store(None, kinds.EXEMPLARS), closer)
    classes, numbers = indexed(labels)
    positive = np.asarray([item.label is not None for item in exemplars])
    return Bank(
        classes=classes,
        positives=described.take(np.flatnonzero(positive)),
        labels=numbers,
        negatives=described.take(np.flatnonzero(~positive)),
        space=space_of(backbone, options),
    )


def describe(
    backbone: Backbone,
    exemplars: list[Exemplar],
    options: EmbeddingOptions,
    kept: Store,
    closer: bool = False,
) -> Rows:
    """Exemplars as rows, in order. The backbone sees only photos that ``kept`` does not hold, and a
    photo with several exemplars once. closer: as for ``build_bank``. Raises ExemplarError."""
    space, closest = space_of(backbone, options), backbone.closer if closer else None
    if closest is None or not exemplars:
        return _rows_of(backbone, exemplars, options, space, kept)
    worker = ThreadPoolExecutor(1)
    try:  # two views of the same pictures, side by side
        looking = worker.submit(_crops, backbone, closest, exemplars, space, kept)
        rows = _rows_of(backbone, exemplars, options, space, kept)
        return replace(rows, crops=looking.result())
    finally:  # an error does not wait for the other view
        worker.shutdown(wait=False, cancel_futures=True)


def _rows_of(
    backbone: Backbone,
    exemplars: list[Exemplar],
    options: EmbeddingOptions,
    space: Space,
    kept: Store,
) -> Rows:
    """Exemplars as rows, without a second look."""
    found: list[Rows] = []
    last: tuple[Exemplar, FeatureMap] | None = None
    for item in exemplars:
        key = _key(item, space, compute_of(backbone))
        known = kept.recall(key, partial(_rows, item=item, dim=space.dim))
        if known is None:
            if last is None or last[0].pixels is not item.pixels:
                last = (item, backbone.feature_map(item.pixels))
            known = _describe(last[1], item, options)
            arrays = {name: getattr(known, name) for name in _KEPT}
            kept.write(key, arrays, {"name": item.name})
        found.append(known)
    return join(found) if found else plain_rows(np.zeros((0, space.dim), np.float32), ())


def _crops(
    backbone: Backbone, closer: Closer, exemplars: list[Exemplar], space: Space, kept: Store
) -> FloatArray:
    """Vectors (N, C) of a second look at each exemplar."""
    found = []
    for item in exemplars:
        key = _key(item, space, compute_of(backbone), closer=True)
        known = kept.recall(key, partial(_sound_crop, dim=closer.dim))
        if known is None:
            runs = rle.runs(rle.encode(item.mask))
            size = (item.mask.shape[0], item.mask.shape[1])
            known = look_closer(closer, item.pixels, [runs], size)
            kept.write(key, {"crops": known}, {"name": item.name})
        found.append(known)
    return np.concatenate(found)


def _sound_crop(arrays: Arrays, _: Fields, dim: int) -> FloatArray:
    """The vector (1, C) of an entry. Raises KeyError or ValueError for another one."""
    crops = arrays["crops"]
    if crops.shape != (1, dim) or crops.dtype != _FLOAT or not np.isfinite(crops).all():
        raise ValueError(f"its crop is {crops.dtype} {crops.shape}")
    return crops


_KEPT = ("vectors", "contexts", "outlines")
_FLOAT = np.dtype(np.float32)
FloatArray = npt.NDArray[np.float32]


def origin(item: Exemplar) -> Origin:
    """Where an exemplar comes from."""
    told = (item.mask_source, mask_key(item.mask), item.copy_of, item.view)
    return Origin(item.name, item.sha256, *told)


def mask_key(mask: npt.NDArray[np.bool_]) -> str:
    """What an ``Origin`` tells a mask by."""
    return mask_digest(mask)[:16]


def mask_digest(mask: npt.NDArray[np.bool_]) -> str:
    """SHA-256 of a mask."""
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()


def _describe(feature_map: FeatureMap, item: Exemplar, options: EmbeddingOptions) -> Rows:
    masks = Masks.of([rle.encode(item.mask)], (item.mask.shape[0], item.mask.shape[1]))
    shape = outlines_of(masks.runs, masks.count)
    if item.mask_source in SHAPELESS:
        shape[:] = np.nan
    described = describe_masks(feature_map, masks, shape, options)
    if not described.embedded.valid[0]:
        raise ExemplarError(
            f"{item.name}: the backbone gives it no descriptor.", "Replace the file or remove it."
        )
    return replace(rows_of(described, [origin(item)]), areas=_areas(item))


def _areas(item: Exemplar) -> npt.NDArray[np.float64]:
    """(1,): pixels of its mask; NaN for a whole picture or box, whose object is smaller."""
    known = item.mask_source not in SHAPELESS
    return np.asarray([float(item.mask.sum()) if known else np.nan])


def compute_of(backbone: Backbone) -> list[str]:
    """What of device and precision can change a vector."""
    return [backbone.compute.device.split(":")[0], backbone.compute.precision]


def _key(item: Exemplar, space: Space, compute: list[str], closer: bool = False) -> str:
    what: JsonObject = {
        "image": item.sha256,
        "mask": mask_digest(item.mask),
        "size": list(item.mask.shape),
    }
    shaped = item.mask_source not in SHAPELESS
    by: JsonObject = {"space": space.to_json(), "compute": compute, "version": __version__}
    return key_of({**what, **by, "shaped": shaped, "closer": closer, "form": 3})


def _rows(arrays: Arrays, _: Fields, item: Exemplar, dim: int) -> Rows:
    """The row of an entry. Raises KeyError or ValueError for another one."""
    vectors, contexts, outlines = (arrays[name] for name in _KEPT)
    if vectors.shape != (1, dim) or {vectors.dtype, contexts.dtype, outlines.dtype} != {_FLOAT}:
        raise ValueError(f"its vectors are {vectors.dtype} {vectors.shape}")
    if not np.isfinite(vectors).all() or not np.isfinite(contexts).all() or np.isinf(outlines).any():
        raise ValueError("its vectors hold NaN or infinity")
    return Rows(vectors, contexts, outlines, (origin(item),), areas=_areas(item))
