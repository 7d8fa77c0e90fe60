"""Regions of an image, kept by content: what SAM and the backbone computed once is not computed again.

The key names everything that regions depend on: image, models, their weights and settings, and the form
of the entry. Exemplars and thresholds are not among them, except for guided prompting.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import ProposalOptions
from ..embeddings import Descriptors, MaskEmbeddings, l2_normalize
from ..errors import UsageError
from ..masks import rle
from ..masks import shape as outline
from ..masks.areas import areas
from ..proposals import Proposals
from ..proposals.types import ByImage, ImageId
from ..records import proposal_settings
from ..storage import kinds
from ..storage.cache import Store, key_of
from ..storage.stages import SECOND_LOOK, stage
from ..storage.tensors import Arrays
from ..storage.values import Fields
from ..version import __version__
from .closeup import look_closer
from .describe import Describer, Regions, Seen
from .space import Space, space_of

FORM = 4
UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Packed:
    """Regions of one image as arrays with what is said of them, as they lie on disk: vectors, contexts
    and outlines as float16, masks run-length encoded."""

    arrays: Arrays
    facts: Fields


def pack(regions: Regions) -> Packed:
    """What is kept of N regions."""
    found, described = regions.proposals, regions.described
    counts = [code["counts"].encode("ascii") for code in found.rles]
    arrays: Arrays = {
        "vectors": described.embedded.vectors.astype(np.float16),
        "contexts": described.contexts.astype(np.float16),
        "outlines": described.outlines.astype(np.float16),
        "valid": described.embedded.valid,
        "subcell": described.embedded.subcell,
        "boxes": found.boxes,
        "quality": found.quality,
        "counts": np.frombuffer(b"".join(counts), np.uint8),
        "offsets": np.cumsum([0, *(len(text) for text in counts)], dtype=np.int64),
    }
    if described.unusual is not None:
        arrays["unusual"] = described.unusual.astype(np.float32)
    said = {"size": list(found.size), "removed": dict(found.removed), "details": dict(found.details)}
    if found.drawn is not None:
        said["drawn"] = list(found.drawn)
    # through JSON, so that what was just made and what was read from disk are the same values
    return Packed(arrays, Fields(json.loads(json.dumps(said, sort_keys=True))))


def unpack(packed: Packed) -> Regions:
    """The regions; vectors are unit length again. Raises one of DAMAGE for what ``pack`` never made."""
    arrays, (size, drawn) = packed.arrays, _sound_sizes(packed)
    rles = _masks(arrays, drawn or size)
    quality = np.asarray(arrays["quality"])
    removed, details = (packed.facts.counts(name) for name in ("removed", "details"))
    found = Proposals(size, np.asarray(arrays["boxes"]), quality, rles, removed, details, drawn)
    embedded = MaskEmbeddings(
        l2_normalize(arrays["vectors"]), np.asarray(arrays["valid"]), np.asarray(arrays["subcell"])
    )
    contexts, outlines = l2_normalize(arrays["contexts"]), arrays["outlines"].astype(np.float32)
    described = Descriptors(embedded, contexts, outlines, unusual=arrays.get("unusual"))
    return Regions(found, described)


def areas_of(packed: Packed) -> npt.NDArray[np.float64]:
    """Pixels of the image that each region covers (N,), as ``Regions.sized`` has them."""
    size, drawn = _sound_sizes(packed)
    return areas(_masks(packed.arrays, drawn or size), size)


def _masks(arrays: Arrays, size: tuple[int, int]) -> tuple[rle.Rle, ...]:
    text, ends = arrays["counts"].tobytes(), arrays["offsets"].tolist()
    return tuple({"size": list(size), "counts": text[a:b].decode("ascii")} for a, b in pairwise(ends))


def first(packed: Packed, count: int) -> Packed:
    """The ``count`` best proposals, times the views of the image; what was left out is counted."""
    facts = packed.facts.values
    details = packed.facts.counts("details")
    room, every = count * details.get("views", 1), len(packed.arrays["offsets"]) - 1
    if every <= room:
        return packed
    ends = packed.arrays["offsets"][: room + 1]
    arrays = {name: array[:room] for name, array in packed.arrays.items()}
    arrays |= {"offsets": ends, "counts": packed.arrays["counts"][: ends[-1]]}
    removed = packed.facts.counts("removed")
    removed["not_kept"] = every - room
    return Packed(arrays, Fields({**facts, "removed": removed}))


_FORMS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "outlines": (np.float16, (outline.DIM,)),
    "boxes": (np.float32, (4,)),
    "quality": (np.float32, ()),
    "valid": (np.bool_, ()),
    "subcell": (np.bool_, ()),
}
"""Type and form of a row of each array; vectors and contexts are float16 of any one length."""


def _of(image: UInt8Array, arrays: Arrays, facts: Fields) -> Packed:
    """An entry. Raises one of DAMAGE for one of an image of another size."""
    if facts.numbers("size", 2) != image.shape[:2]:
        raise ValueError(f"its regions are of an image of size {facts.items('size')}")
    return Packed(arrays, facts)


def _sound(packed: Packed) -> Packed:
    """The same. Raises one of DAMAGE for what ``pack`` never made."""
    _sound_sizes(packed)
    return packed


def _size(facts: Fields, name: str) -> tuple[int, int]:
    return rle.require_size([int(value) for value in facts.numbers(name, 2)])


def _sound_sizes(packed: Packed) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """(H, W) of the image, and that which masks are drawn at, None where it is the same. Raises one of
    DAMAGE unless all belongs together and masks can be drawn."""
    arrays, facts = packed.arrays, packed.facts
    size = _size(facts, "size")
    drawn = _size(facts, "drawn") if "drawn" in facts else None
    facts.counts("removed"), facts.counts("details")
    text, ends = arrays["counts"], arrays["offsets"]
    long = (np.float16, arrays["vectors"].shape[-1:])
    forms = {"vectors": long, "contexts": long} | _FORMS
    if "unusual" in arrays:
        forms["unusual"] = (np.float32, ())
    for name, (kind, form) in forms.items():
        array = arrays[name]
        if array.dtype != kind or array.shape != (len(ends) - 1, *form):
            raise ValueError(f"its {name} are {array.dtype} {array.shape}")
        if not (np.isfinite(array) | (np.isnan(array) & (name == "outlines"))).all():
            raise ValueError(f"its {name} hold NaN or infinity")
    if "unusual" in arrays and ((arrays["unusual"] < 0) | (arrays["unusual"] > 1)).any():
        raise ValueError("its unusual are not from 0 to 1")
    corners, limit = arrays["boxes"], (size[1], size[0], size[1], size[0])
    if (corners < 0).any() or (corners > limit).any():
        raise ValueError("its boxes do not lie in the image")
    if ends.dtype != np.int64 or text.dtype != np.uint8 or text.ndim != 1:
        raise ValueError(f"its masks are {text.dtype} {text.shape}")
    if ends[0] != 0 or ends[-1] != len(text) or (np.diff(ends) < 0).any():
        raise ValueError("its masks are not where they should be")
    rle.require_all(text, ends, drawn or size)
    return size, drawn


def sound_crops(arrays: Arrays, dim: int) -> tuple[npt.NDArray[np.int64], Any]:
    """Rows, ascending, and their vectors (N, dim). Raises KeyError or ValueError for others."""
    rows, crops = arrays["rows"], arrays["crops"]
    if rows.dtype != np.int64 or rows.ndim != 1 or (np.diff(rows) <= 0).any():
        raise ValueError("its rows are not in order")
    if crops.dtype != np.float16 or crops.shape != (len(rows), dim) or not np.isfinite(crops).all():
        raise ValueError(f"its crops are {crops.dtype} {crops.shape}")
    return rows, crops


@dataclass(frozen=True, slots=True)
class Made:
    """What regions depend on beside the image. computes: device and precision of backbone and proposer,
    None without a network; proposer: its name and what its weights are."""

    space: Space
    computes: Sequence[Sequence[str] | None]
    proposer: tuple[str, str | None]
    proposals: ProposalOptions
    guide: str = ""

    def key(self, image: tuple[str, int, int], name: str = "") -> str:
        """Of the regions of an image: its digest, height and width. name: by which its masks were
        looked up, where they were."""
        return key_of(
            {
                "form": [FORM, __version__],
                "image": list(image),
                "space": self.space.to_json(),
                "compute": list(self.computes),
                "proposer": list(self.proposer),
                "proposals": proposal_settings(self.proposals),
                "guide": self.guide,
                **({"name": name} if name else {}),
            }
        )


def crops_key(regions: str) -> str:
    """Of what a second look saw of the regions of a key."""
    return key_of({"form": 2, "regions": regions})


@dataclass(frozen=True, slots=True)
class Remembered:
    """A describer whose regions are kept. guide: what guided prompting, and parts that are unusual,
    depend on beyond the image; "" where there is neither. closeups: keeps what a second look saw.
    name: of the one image whose masks the proposer looks up by it."""

    describer: Describer
    store: Store
    guide: str = ""
    closeups: Store = Store(None, kinds.CLOSEUPS)
    name: str = ""

    def of(self, image: ImageId) -> Remembered:
        """The memory of one image: to be asked first where the proposer is ``ByImage``."""
        if not isinstance(self.describer.proposer, ByImage):
            return self
        return replace(self, describer=self.describer.of(image), name=image.name)

    def regions(self, image: UInt8Array, sha256: str, seen: Seen | None = None) -> Regions:
        """Regions of an (H, W, 3) image whose content has that digest; always as they are kept. seen:
        as for ``Describer.regions``, where they are not known yet."""
        key = self._key(image, sha256)
        known = self.store.recall(key, lambda arrays, facts: unpack(_of(image, arrays, facts)))
        return unpack(self._new(image, key, seen)) if known is None else known

    def packed(self, image: UInt8Array, sha256: str) -> Packed:
        """The same, not unpacked."""
        key = self._key(image, sha256)
        known = self.store.recall(key, lambda arrays, facts: _sound(_of(image, arrays, facts)))
        return self._new(image, key) if known is None else known

    def crops(
        self, image: UInt8Array, sha256: str, found: Proposals, rows: npt.NDArray[np.int64]
    ) -> FloatArray:
        """Unit vectors (N, C) of a second look at rows of the proposals of that image, as they are
        kept. Raises EmbeddingError, and UsageError where the backbone has none."""
        closer = self.describer.backbone.closer
        if closer is None:
            raise UsageError(f"{self.describer.backbone.name} has no second look.")
        key = crops_key(self._key(image, sha256))
        old = self.closeups.recall(key, lambda arrays, _: sound_crops(arrays, closer.dim))
        nothing = (np.zeros(0, np.int64), np.zeros((0, closer.dim), np.float16))
        known, vectors = nothing if old is None else old
        new = np.setdiff1d(rows, known)
        if len(new):
            masks = [rle.runs(found.rles[int(i)]) for i in new]
            with stage(SECOND_LOOK):
                made = look_closer(closer, image, masks, found.mask_size).astype(np.float16)
            known, vectors = np.append(known, new), np.concatenate([vectors, made])
            order = np.argsort(known)
            known, vectors = known[order], vectors[order]
            self.closeups.write(key, {"rows": known, "crops": vectors}, {})
        return l2_normalize(vectors[np.searchsorted(known, rows)])

    def _new(self, image: UInt8Array, key: str, seen: Seen | None = None) -> Packed:
        made = pack(self.describer.regions(image, seen))
        self.store.write(key, made.arrays, made.facts.values)
        return made

    def _key(self, image: UInt8Array, sha256: str) -> str:
        describer = self.describer
        weights = describer.proposer.weights
        computes = (describer.backbone.compute, describer.proposer.compute)
        return Made(
            space_of(describer.backbone, describer.embedding),
            [None if one is None else [one.device.split(":")[0], one.precision] for one in computes],
            (describer.proposer.name, weights.content if weights else None),
            describer.proposals,
            self.guide,
        ).key((sha256, *image.shape[:2]), self.name)
