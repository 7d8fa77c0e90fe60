"""Masks and labels drawn on the picture, or alone. Colours depend on the class name alone."""

from __future__ import annotations

import colorsys
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ..masks.rle import decode
from ..records import Candidate, ImageRecord

UInt8Array = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 512, 82
EXEMPLAR_SIDE = 192


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG and what it is called."""

    name: str
    jpeg: bytes


def class_colour(name: str) -> Colour:
    """A bright colour that is always the same for a class name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    hue = int.from_bytes(digest[:2], "big") / 65536
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75 + digest[2] / 1275, 0.95)
    return int(red * 255), int(green * 255), int(blue * 255)


def overlay(image: UInt8Array, record: ImageRecord) -> UInt8Array:
    """Draw the detections of a record on its (H, W, 3) image; best on top."""
    canvas = image.copy()
    unit = max(1.0, min(image.shape[:2]) / 400)
    found = record.detections[::-1]
    for item in found:
        _draw_mask(canvas, item, unit)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=round(9 + 3 * unit))
    taken: list[Box] = []
    for item in found[::-1]:
        box = _label_box(draw, font, item, picture.size, taken)
        taken.append(box)
        _draw_label(draw, font, item, box)
    return np.array(picture)


def contours(image: UInt8Array, record: ImageRecord) -> UInt8Array:
    """The outlines of the detections of a record on its (H, W, 3) image, best on top, within a rim that
    shows them on any ground; nothing else of the image changes."""
    canvas = image.copy()
    unit = max(2, round(min(image.shape[:2]) / 350))
    for item in record.detections[::-1]:
        outlines = _outlines(decode([item.segmentation], canvas.shape[:2])[0])
        colour = class_colour(item.label or "")
        cv2.drawContours(canvas, outlines, -1, _ink(colour), unit + 2, cv2.LINE_AA)
        cv2.drawContours(canvas, outlines, -1, colour, unit, cv2.LINE_AA)
    return np.asarray(canvas, np.uint8)


def semantic(record: ImageRecord) -> bytes:
    """A PNG (H, W) whose pixels are numbers, 0 where no detection is, and 1 and on for the classes of
    the record in their order, the better detection on top. Its palette has their colours; of more than
    255 classes it is grey, with 16 bits."""
    numbers = np.zeros((record.height, record.width), np.uint16)
    for item in record.detections[::-1]:
        mask = decode([item.segmentation], numbers.shape)[0]
        numbers[mask] = record.classes.index(item.label or "") + 1
    if len(record.classes) > 255:
        return encode_png(numbers)
    picture, buffer = Image.fromarray(numbers.astype(np.uint8)).convert("P"), io.BytesIO()
    picture.putpalette([0, 0, 0, *(value for name in record.classes for value in class_colour(name))])
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def union(record: ImageRecord) -> UInt8Array:
    """(H, W): 255 under any detection of a record, 0 elsewhere."""
    made = np.zeros((record.height, record.width), np.uint8)
    for item in record.detections:
        made[decode([item.segmentation], made.shape)[0]] = 255
    return made


def side_by_side(one: UInt8Array, two: UInt8Array) -> UInt8Array:
    """Two pictures (H, W, 3) of one size beside each other; below each other where they are more than
    twice as wide as high."""
    axis, gap = int(one.shape[1] <= 2 * one.shape[0]), max(4, min(one.shape[:2]) // 100)
    between = np.full_like(one, 255)
    between = between[:, :gap] if axis else between[:gap]
    return np.asarray(np.concatenate([one, between, two], axis=axis), np.uint8)


def outlined(image: UInt8Array, mask: npt.NDArray[np.bool_]) -> UInt8Array:
    """The (H, W, 3) picture with a mask (H, W) drawn on it, darker where it is not."""
    canvas = np.where(mask[..., None], image, (0.45 * image).astype(np.uint8))
    edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    unit = max(1, round(min(image.shape[:2]) / 200))
    drawn = cv2.drawContours(np.ascontiguousarray(canvas), edges, -1, (0, 230, 118), unit, cv2.LINE_AA)
    return np.asarray(drawn, np.uint8)


def thumbnail(image: UInt8Array, side: int = THUMBNAIL_SIDE) -> UInt8Array:
    """The (H, W, 3) picture with a long side of at most ``side`` pixels."""
    longest = max(image.shape[:2])
    if longest <= side:
        return image
    height, width = (max(1, round(n * side / longest)) for n in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def exemplar_picture(image: UInt8Array, mask: npt.NDArray[np.bool_]) -> bytes:
    """A small JPEG of an example, its mask outlined; of a large photo only what is around the mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows):
        margin = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
        window = tuple(slice(max(0, at[0] - margin), at[-1] + 1 + margin) for at in (rows, columns))
        if 2 * mask[window].size < mask.size:
            image, mask = image[window], mask[window]
    # of a large photo every few pixels are enough
    step = max(1, max(image.shape[:2]) // (4 * EXEMPLAR_SIDE))
    small = thumbnail(np.ascontiguousarray(image[::step, ::step]), EXEMPLAR_SIDE)
    cover = cv2.resize(255 * mask.astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_AREA)
    # a thin mask may cover no pixel of the small picture by half
    drawn = small if mask.all() else outlined(small, cover >= min(128, max(1, int(cover.max()))))
    return encode_jpeg(drawn)


def heatmap(
    image: UInt8Array,
    values: npt.NDArray[np.float32],
    label: str,
    bounds: tuple[float, float] | None = None,
) -> UInt8Array:
    """The (H, W, 3) picture under the colours of a map (h, w); blue is its least and red its largest
    value, which are written on it."""
    low, high = bounds or (float(values.min()), float(values.max()))
    scaled = (values - low) / max(high - low, 1e-6)
    large = cv2.resize(scaled, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    colours = cv2.applyColorMap((255 * np.clip(large, 0, 1)).astype(np.uint8), cv2.COLORMAP_TURBO)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    mixed = (0.45 * grey + 0.55 * colours[..., ::-1]).astype(np.uint8)
    picture = Image.fromarray(mixed)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=round(9 + 3 * max(1.0, min(image.shape[:2]) / 400)))
    shown = label if len(label) <= 24 else label[:23] + "…"
    text = f"{shown}  {low:.2f} to {high:.2f}"
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    draw.rectangle((0, 0, right - left + 8, bottom - top + 8), fill=(0, 0, 0))
    draw.text((4 - left, 4 - top), text, fill=(255, 255, 255), font=font)
    return np.array(picture)


def encode_png(image: UInt8Array | npt.NDArray[np.uint16]) -> bytes:
    """(H, W), (H, W, 3) or (H, W, 4) uint8, or (H, W) uint16 -> PNG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def encode_jpeg(image: UInt8Array, quality: int = 90, subsampling: int = -1) -> bytes:
    """(H, W, 3) uint8 -> JPEG bytes. subsampling: 0 keeps the colour of each pixel, -1 is usual."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def _draw_mask(canvas: UInt8Array, item: Candidate, unit: float) -> None:
    colour = class_colour(item.label or "")
    mask = decode([item.segmentation], canvas.shape[:2])[0]
    tint = np.asarray(colour, np.float32)
    canvas[mask] = (0.65 * canvas[mask] + 0.35 * tint).astype(np.uint8)
    cv2.drawContours(canvas, _outlines(mask), -1, colour, max(1, round(1.5 * unit)), cv2.LINE_AA)


def _outlines(mask: npt.NDArray[np.bool_]) -> Sequence[npt.NDArray[np.int32]]:
    """The outer outlines of a mask (H, W), as OpenCV draws them."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return found  # type: ignore[return-value]


def _text(item: Candidate) -> str:
    name = item.label or ""
    shown = name if len(name) <= 24 else name[:23] + "…"
    return f"{shown} {item.score:.2f}" if item.score is not None else shown


def _label_box(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    item: Candidate,
    size: tuple[int, int],
    taken: list[Box],
) -> Box:
    """Where the label goes: inside the picture, and off other labels where there is room."""
    left, top, right, bottom = draw.textbbox((0, 0), _text(item), font=font)
    width, height = right - left + 6, bottom - top + 6
    x0, y0, x1, y1 = item.bbox
    middle = (x0 + x1 - width) / 2
    places = [(x0, y0 - height), (x0, y1), (middle, (y0 + y1 - height) / 2), (x0, y0), (x1, y0)]
    boxes = []
    for x, y in places:
        x = min(max(0.0, x), max(0.0, size[0] - width))
        y = min(max(0.0, y), max(0.0, size[1] - height))
        boxes.append((x, y, x + width, y + height))
    return min(boxes, key=lambda box: sum(_shared(box, other) for other in taken))


def _shared(one: Box, two: Box) -> float:
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    return max(0.0, width) * max(0.0, height)


def _draw_label(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    item: Candidate,
    box: Box,
) -> None:
    colour = class_colour(item.label or "")
    draw.rectangle(box, fill=colour)
    offset = draw.textbbox((0, 0), _text(item), font=font)
    at = (box[0] + 3 - offset[0], box[1] + 3 - offset[1])
    draw.text(at, _text(item), fill=_ink(colour), font=font)


def _ink(colour: Colour) -> Colour:
    """Black or white, whichever shows on a colour."""
    luminance = 0.3 * colour[0] + 0.6 * colour[1] + 0.1 * colour[2]
    return (0, 0, 0) if luminance > 120 else (255, 255, 255)
