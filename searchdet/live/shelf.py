"""Regions of many images, which may still grow while images are described; mapped, not in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import OutputError, UsageError
from ..index.file import Index
from ..index.goodparts import GoodParts
from ..index.rows import REMAKE, Indexed, Writer, areas_in, mapped, regions_of, widths
from ..normality import Normality
from ..records import ImageInfo, ModelInfo
from ..regions import Packed, Regions, Space
from ..storage.tensors import Arrays

IntArray = npt.NDArray[np.int64]


class _Folder:
    """Rows in the files of a folder, which are read while they are appended to."""

    def __init__(self, folder: Path, dim: int, unusual: bool) -> None:
        self.folder = folder
        self._wide, self._unusual = widths(dim), unusual
        self._writer = Writer(folder, lasting=False, unusual=unusual)
        self._writer.__enter__()
        self._open, self._closed = True, False
        self._known = -1
        self._arrays: Arrays = {}

    @property
    def arrays(self) -> Arrays:
        """All rows so far."""
        if self._known < self._writer.rows:
            self._writer.flush()
            self._known = self._writer.rows
            self._arrays = mapped(self.folder, self._writer.extent, self._wide, self._unusual)
        return self._arrays

    def add(self, image: ImageInfo, packed: Packed) -> Indexed:
        """Raises OutputError; after that no more fits in."""
        if not self._open:
            raise UsageError(f"{self.folder}: no more images can be added.", "Start again.")
        try:
            return self._writer.add(image, packed)
        except OSError as error:  # part of it may be written, and what followed would be out of place
            self._open = False
            said = f"{self.folder}: cannot be written ({error.strerror})."
            raise OutputError(said, "Make room on the disk and start again.") from error

    def close(self) -> None:
        """The files stay; they hold what was added."""
        self._open = False
        if not self._closed:
            self._closed = True
            self._writer.__exit__(None, None, None)


class Shelf:
    """Rows of all images so far, and of which image they are. Row numbers never change; images only get
    added at the end. good: what is normal, None where nothing says it. Make it with ``of`` or
    ``empty``."""

    def __init__(
        self,
        space: Space,
        models: ModelInfo,
        images: Sequence[Indexed],
        rows: Index | _Folder,
        good: GoodParts | None = None,
    ) -> None:
        """Raises UsageError where the model of what is normal is damaged."""
        self.space = space
        self.models = models
        self.good = None if good is None else good.at_hand(space.dim)
        self._images = list(images)
        self._rows = rows

    @classmethod
    def of(cls, index: Index) -> Shelf:
        """All regions of an index."""
        return cls(index.space, index.models, index.images, index, index.made.good)

    @classmethod
    def empty(
        cls, space: Space, models: ModelInfo, folder: Path, good: GoodParts | None = None
    ) -> Shelf:
        """One that grows in a folder, which must be there and hold no rows yet. models: what records
        say of backbone, proposer and pooling. Raises OutputError."""
        return cls(space, models, [], _Folder(folder, space.dim, good is not None), good)

    @property
    def normality(self) -> Normality | None:
        """What is normal."""
        return None if self.good is None else self.good.model

    @property
    def source(self) -> str:
        """Where that comes from; "" where nothing says it."""
        return "" if self.good is None else self.good.source

    @property
    def images(self) -> Sequence[Indexed]:
        """All images so far."""
        return self._images

    @property
    def rows(self) -> int:
        """How many regions there are."""
        return self._images[-1].start + self._images[-1].count if self._images else 0

    @property
    def arrays(self) -> Arrays:
        """What lies on disk of all rows so far (``index.rows``); not to be written to."""
        return self._rows.arrays

    @property
    def ends(self) -> IntArray:
        """(I + 1,): image i has the rows from ends[i] to ends[i + 1]."""
        return np.asarray([*(item.start for item in self._images), self.rows], np.int64)

    def add(self, image: ImageInfo, packed: Packed) -> int:
        """One more image, as ``Remembered.packed`` gives it; returns its number. Raises UsageError for
        a whole index, OutputError where it cannot be written, and ValueError for other vectors."""
        if not isinstance(self._rows, _Folder):
            raise UsageError("an index takes no more images.", "Make it again with `searchdet index`.")
        if packed.arrays["vectors"].shape[1] != self.space.dim:
            raise ValueError(f"vectors {packed.arrays['vectors'].shape}, not {self.space.dim} wide")
        self._images.append(self._rows.add(image, packed))
        return len(self._images) - 1

    def regions(self, image: int, rows: IntArray | None = None) -> Regions:
        """The regions of one image; rows: only these of it, in that order. Raises UsageError where they
        are damaged."""
        return regions_of(self.arrays, self._images[image], rows, self._remedy)

    def areas(self, image: int) -> npt.NDArray[np.float64]:
        """Pixels that each region of one image covers (N,). Raises as ``regions``."""
        return areas_in(self.arrays, self._images[image], self._remedy)

    @property
    def _remedy(self) -> str:
        return "Start again." if isinstance(self._rows, _Folder) else REMAKE

    def close(self) -> None:
        """No more images. Files of a folder stay until that is removed."""
        if isinstance(self._rows, _Folder):
            self._rows.close()
