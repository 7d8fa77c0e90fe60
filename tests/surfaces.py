"""Synthetic metal surfaces with defects in them, made by rule: brushed, cast and ground; pits,
scratches and cracks of 4 to 40 pixels, with exact masks."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

FINISHES = ("brushed", "cast", "ground")
DEFECTS = ("pit", "scratch", "crack")
HEIGHT, WIDTH = 288, 384
FloatArray = npt.NDArray[np.float32]
APART = 12
"""Pixels that lie between two defects at least."""


@dataclass(frozen=True, slots=True)
class Surface:
    """image (H, W, 3) uint8; masks (N, H, W) bool, apart; kinds names each mask, one of DEFECTS."""

    image: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    kinds: tuple[str, ...]


def make_surface(finish: str, seed: int, defects: Sequence[str] = ()) -> Surface:
    """One surface with defects of these kinds, each somewhere."""
    rng = np.random.default_rng([seed, FINISHES.index(finish)])
    ground = _FINISH[finish](rng)
    height = np.zeros_like(ground)
    taken = np.zeros(ground.shape, np.uint8)
    masks, kinds = [], []
    for kind in defects:
        for _ in range(100):
            mask = _DEFECT[kind](rng)
            if mask.sum() >= 8 and not (mask & (taken > 0)).any():
                break
        else:
            raise RuntimeError(f"no room for a {kind}")
        masks.append(mask)
        kinds.append(kind)
        height += _depth(mask, kind, rng)
        around = np.ones((2 * APART + 1, 2 * APART + 1), np.uint8)
        taken |= cv2.dilate(mask.astype(np.uint8), around)
    grey = ground + height + rng.normal(0, 1.5, ground.shape)
    tint = np.asarray([1.0, 0.985, 0.95])
    image = np.clip(grey[..., None] * tint, 0, 255).astype(np.uint8)
    found = np.stack(masks) if masks else np.zeros((0, *ground.shape), bool)
    return Surface(image, found, tuple(kinds))


def write_parts(folder: Path, finish: str = "brushed", few: bool = False) -> Path:
    """Four good parts in good/, in test/ two with defects and a clean one that nothing learns from, and
    three examples of pits with masks in positive/pit/; returns the folder. few: about half of it."""
    for name in ("good", "test", "positive/pit"):
        (folder / name).mkdir(parents=True)
    for seed in range(3 if few else 4):
        Image.fromarray(make_surface(finish, seed).image).save(folder / "good" / f"{seed}.png")
    for seed in (20,) if few else (20, 21):
        made = make_surface(finish, seed, DEFECTS)
        Image.fromarray(made.image).save(folder / "test" / f"{seed}.png")
    Image.fromarray(make_surface(finish, 22).image).save(folder / "test" / "clean.png")
    for seed in (30, 31) if few else (30, 31, 32):
        made = make_surface(finish, seed, ("pit",))
        Image.fromarray(made.image).save(folder / "positive/pit" / f"{seed}.png")
        mask = Image.fromarray(made.masks[0].astype(np.uint8) * 255)
        mask.save(folder / "positive/pit" / f"{seed}.mask.png")
    return folder


def _noise(rng: np.random.Generator, across: float, down: float) -> FloatArray:
    """White noise smoothed by so many pixels across and down, of deviation 1."""
    made = cv2.GaussianBlur(
        rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32),
        (0, 0),
        sigmaX=across,
        sigmaY=down,
        borderType=cv2.BORDER_REFLECT,
    )
    return np.asarray(made / made.std(), np.float32)


def _light(rng: np.random.Generator, strength: float) -> FloatArray:
    """Light that falls off in one direction."""
    turn = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    return np.asarray(strength * (x * math.cos(turn) + y * math.sin(turn)), np.float32)


def _brushed(rng: np.random.Generator) -> FloatArray:
    lines = 7 * _noise(rng, 40, 0.7) + 3 * _noise(rng, 8, 0.5)
    return np.asarray(rng.uniform(125, 160) + lines + _light(rng, 25), np.float32)


def _cast(rng: np.random.Generator) -> FloatArray:
    grain = 6 * _noise(rng, 1.2, 1.2) + 5 * _noise(rng, 4, 4) + 4 * _noise(rng, 14, 14)
    return np.asarray(rng.uniform(105, 135) + grain + _light(rng, 20), np.float32)


def _ground(rng: np.random.Generator) -> FloatArray:
    lines = 5 * _noise(rng, 0.6, 18) + 3 * _noise(rng, 1.0, 5)
    waves = 5 * np.sin(np.arange(WIDTH) * 2 * np.pi / rng.uniform(24, 34) + rng.uniform(0, 6))
    return np.asarray(rng.uniform(140, 170) + lines + waves + _light(rng, 25), np.float32)


_FINISH = {"brushed": _brushed, "cast": _cast, "ground": _ground}


def _place(rng: np.random.Generator, reach: float) -> tuple[float, float]:
    """x and y, so far from the frame."""
    return rng.uniform(reach + 3, WIDTH - reach - 3), rng.uniform(reach + 3, HEIGHT - reach - 3)


def _pit(rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A hole with an uneven rim, 4 to 40 pixels wide, small ones more often."""
    radius = math.exp(rng.uniform(math.log(2), math.log(20)))
    x, y = _place(rng, 1.4 * radius)
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    uneven = sum(rng.normal(0, 0.16 / k) * np.cos(k * turns + rng.uniform(0, 6)) for k in (1, 2, 3, 4))
    radii = radius * np.clip(1 + uneven, 0.6, 1.35)
    flat = rng.uniform(0.6, 1)
    points = np.stack([x + radii * np.cos(turns), y + flat * radii * np.sin(turns)], axis=1)
    return _drawn([points], closed=True, width=1)


def _scratch(rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A line, slightly bent, 8 to 40 pixels long and 1 to 3 wide."""
    length, turn = rng.uniform(8, 40), rng.uniform(0, np.pi)
    x, y = _place(rng, length / 2)
    along = np.linspace(-0.5, 0.5, 9) * length
    bend = rng.normal(0, 0.08) * length * (1 - (2 * along / length) ** 2)
    points = np.stack(
        [
            x + along * math.cos(turn) - bend * math.sin(turn),
            y + along * math.sin(turn) + bend * math.cos(turn),
        ],
        axis=1,
    )
    return _drawn([points], closed=False, width=int(rng.integers(1, 4)))


def _crack(rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A line that wanders, 12 to 40 pixels long, 1 to 2 wide."""
    length, turn = rng.uniform(12, 40), rng.uniform(0, 2 * np.pi)
    x, y = _place(rng, length)
    turns = turn + np.cumsum(rng.normal(0, 0.45, max(3, int(length / 4))))
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * 4
    points = np.concatenate([[[0.0, 0.0]], np.cumsum(steps, axis=0)])
    points += np.asarray([x, y]) - points.mean(axis=0)
    return _drawn([points], closed=False, width=int(rng.integers(1, 3)))


_DEFECT = {"pit": _pit, "scratch": _scratch, "crack": _crack}


def _drawn(lines: list[npt.NDArray[Any]], closed: bool, width: int) -> npt.NDArray[np.bool_]:
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    points = [np.round(line * 16).astype(np.int32) for line in lines]
    if closed:
        cv2.fillPoly(canvas, points, 1, shift=4)
    else:
        cv2.polylines(canvas, points, False, 1, width, shift=4)
    return np.asarray(canvas, bool)


def _depth(mask: npt.NDArray[np.bool_], kind: str, rng: np.random.Generator) -> FloatArray:
    """How much darker or brighter a defect makes its pixels: pits and cracks are dark, with a rim that
    catches the light; scratches are bright or dark."""
    solid = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.6)
    if kind == "scratch":
        return np.asarray(rng.choice([-1, 1]) * rng.uniform(40, 70) * solid, np.float32)
    lit = np.roll(solid, (1, 1), (0, 1))
    rim = np.clip(lit - solid, 0, 1)
    uneven = 1 + 0.15 * _noise(rng, 2, 2)
    return np.asarray(-rng.uniform(40, 75) * solid * uneven + 20 * rim, np.float32)


@functools.cache
def benchmark_surfaces() -> tuple[tuple[str, Surface], ...]:
    """24 surfaces by name: of each finish two with each kind of defect (three of it), one with all
    three, and one that is clean."""
    found = []
    for finish in FINISHES:
        plans: list[tuple[str, ...]] = [(kind,) * 3 for kind in DEFECTS for _ in range(2)]
        plans += [DEFECTS, ()]
        for number, plan in enumerate(plans):
            found.append((f"{finish}-{number}", make_surface(finish, 100 + number, plan)))
    return tuple(found)
