"""The oracle: the true masks among the proposals. What is still missed then, scores miss; what is
missed without it, and not with it, the proposer missed."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from typing import Any

from ..annotations import Notes, Photo, Truth
from ..errors import UsageError
from ..masks import rle
from ..proposals import Proposals, Proposer
from ..proposals.rendering import rendered
from ..proposals.types import FloatArray, ImageId, UInt8Array, from_rles
from ..records import WeightsInfo
from ..weights import Compute
from .judging import mask_of

NAME = "oracle"


class Oracle:
    """The masks of another proposer, and before them those of the truth, of boxes where it has no
    masks. weights: those of the other one with the content of the truth, so that what is remembered is
    of both."""

    def __init__(self, inner: Proposer, truth: Truth) -> None:
        self._inner, self._truth = inner, truth
        self._image: ImageId | None = None
        self.name = f"{inner.name}+{NAME}"
        self.reads, self.prompting = inner.reads, inner.prompting
        self.compute: Compute | None = inner.compute
        own = inner.weights
        digest = hashlib.sha256(
            f"{own.content if own else ''} {content_of(truth)}".encode()
        ).hexdigest()
        self.weights: WeightsInfo | None = WeightsInfo(
            own.file if own else "", digest, NAME, None if own is None else own.verified
        )

    def of(self, image: ImageId) -> Proposer:
        """See ``ByImage``."""
        made = copy.copy(self)  # so that the truth is read once
        made._image = image
        return made

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """Raises UsageError where nobody said which image it is."""
        number = None if self._image is None else self._truth.image_id(self._image.name)
        if self._image is None or number is None:
            raise UsageError("the oracle looks masks up by name, and the image has none that is known.")
        found = rendered(self._inner.propose(image, promise))
        size = (image.shape[0], image.shape[1])
        photo = Photo(size, self._image.orientation)
        _, rows = self._truth.upright_image(number, photo, Notes(error=UsageError))
        codes = [rle.encode(mask_of(item, size)) for item in rows if not item["iscrowd"]]
        codes = [code for code in codes if rle.area(code)]
        made = from_rles([*codes, *found.rles], [*([1.0] * len(codes)), *found.quality.tolist()], size)
        return replace(made, removed=found.removed, details={**found.details, NAME: len(codes)})


def content_of(truth: Truth) -> str:
    """A digest of what is annotated."""
    rows: list[Any] = [truth.names, truth.annotations()]
    return hashlib.sha256(json.dumps(rows, sort_keys=True, default=str).encode()).hexdigest()
