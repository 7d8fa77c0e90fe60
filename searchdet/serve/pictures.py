"""Pictures of the images as JPEG, made when they are asked for; the last ones stay in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..config import MAX_PIXELS
from ..errors import ImageError, memory_as_error
from ..images import LoadedImage, read_image, used_range
from ..output import encode_jpeg, thumbnail
from ..records import ImageInfo

UInt8Array = npt.NDArray[np.uint8]
SMALL = 256
SIDES = {SMALL: 80, 1024: 85, 0: 88}
"""Long sides that are served, 0: as it is; and the quality of each."""
LARGEST = 4096
KEPT_BYTES = 64 << 20
AT_ONCE = 2
"""Images that are decoded side by side."""


class Kept:
    """JPEGs by key, the last ones, up to a number of bytes."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[object, bytes] = OrderedDict()
        self.size = 0

    def of(self, key: object, make: Callable[[], bytes]) -> bytes:
        """What is held, else made."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        data = make()
        self.put(key, data)
        return data

    def put(self, key: object, data: bytes) -> None:
        """Hold it; the oldest go."""
        with self._lock:
            self.size += len(data) - len(self._held.pop(key, b""))
            self._held[key] = data
            while self.size > self._most and len(self._held) > 1:
                self.size -= len(self._held.popitem(last=False)[1])


class Pictures:
    """Pictures of images whose files are known by name. max_pixels: of what was searched."""

    def __init__(self, paths: Mapping[str, Path], max_pixels: int = MAX_PIXELS) -> None:
        self._paths = paths
        self._max_pixels = max_pixels
        self._kept = Kept()
        self._turn = threading.Semaphore(AT_ONCE)

    def jpeg(self, image: ImageInfo, side: int) -> bytes:
        """JPEG of an image with a long side of at most ``side`` pixels. Raises ImageError where its
        file is gone or another one."""
        return self._kept.of((image.name, side), lambda: _jpeg(self.load(image).pixels, side))

    def load(self, image: ImageInfo) -> LoadedImage:
        """The image, as it was described. Raises ImageError."""
        path = self._paths.get(image.name)
        if path is None:
            raise ImageError(
                "missing", f"{image.name}: its file was not named.", "Name its folder as an argument."
            )
        with self._turn, memory_as_error(path):
            loaded = read_image(path, self._max_pixels, used_range(image.source))
        if loaded.sha256 != image.sha256:
            raise ImageError(
                "changed", f"{image.name}: its file has changed.", "Start `searchdet serve` again."
            )
        return loaded

    def seen(self, name: str, small: bytes) -> None:
        """Hold the smallest picture of an image, which was decoded anyway."""
        self._kept.put((name, SMALL), small)


def small_jpeg(pixels: UInt8Array) -> bytes:
    """The smallest picture that is served."""
    return _jpeg(pixels, SMALL)


def _jpeg(pixels: UInt8Array, side: int) -> bytes:
    return encode_jpeg(thumbnail(pixels, side or LARGEST), SIDES[side])
