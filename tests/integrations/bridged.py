"""A predictor with given answers, and pictures and requests of the protocols."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from searchdet.annotations.shapes import paint
from searchdet.images import LoadedImage, decode
from searchdet.integrations.predictor import Found, Lesson, Marks
from searchdet.masks import rle

SIZE = (40, 60)
CONFIG = """<View>
  <Image name="picture" value="$photo"/>
  <PolygonLabels name="outline" toName="picture">
    <Label value="bolt"/><Label value="nut"/>
  </PolygonLabels>
</View>"""


def config(kind: str, labels: Sequence[str] = ("bolt", "nut")) -> str:
    return CONFIG.replace("PolygonLabels", kind).replace(
        '<Label value="bolt"/><Label value="nut"/>', "".join(f'<Label value="{x}"/>' for x in labels)
    )


def block(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def found(label: str | None, score: float | None, mask: np.ndarray) -> Found:
    code = rle.encode(mask)
    x0, y0, x1, y1 = (float(v) for v in rle.boxes([code])[0])
    return Found(label, score, (x0, y0, x1, y1), code)


RING = block(10, 5, 30, 25) & ~block(15, 10, 25, 20)
"""With a hole."""
TWO = block(40, 5, 44, 9) | block(50, 20, 56, 30)
"""Of two parts."""
BOLT, NUT = found("bolt", 0.9, RING), found("nut", 0.4, TWO)


def png(size: tuple[int, int] = SIZE) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def uri(data: bytes | None = None) -> str:
    return "data:image/png;base64," + base64.b64encode(png() if data is None else data).decode("ascii")


class Given:
    """Answers with what it was made with, and notes what it was asked."""

    classes = ("bolt", "nut")
    version = "searchdet-given-1"

    def __init__(self, answers: Sequence[Found] = (BOLT, NUT), fails: Exception | None = None) -> None:
        self.answers, self.fails = list(answers), fails
        self.asked: list[object] = []
        self.held: dict[str, list[tuple[str, str | None, np.ndarray]]] = {}

    def load(self, data: bytes, name: str) -> LoadedImage:
        return decode(Path(name), data)

    def predict(self, image: LoadedImage, name: str, least: float | None = None) -> list[Found]:
        if self.fails is not None:
            raise self.fails
        self.asked.append((name, image.pixels.shape, least))
        return [item for item in self.answers if (item.score or 0) >= (least or 0)]

    def under(self, image: LoadedImage, name: str, marks: Marks) -> list[Found]:
        self.asked.append((name, image.pixels.shape, marks))
        return self.answers[:1]

    def learn(self, key: str, image: LoadedImage, lessons: Sequence[Lesson]) -> int:
        size = (image.height, image.width)
        self.held[key] = [(item.name, item.label, paint(item.drawn, size)) for item in lessons]
        return len(lessons)

    def forget(self, key: str) -> int:
        return len(self.held.pop(key, ()))
