"""Synthetic scenes: flat, lightly textured shapes on a plain ground, with exact masks.

They train the small SAM under ``tests/assets`` and test the whole path; nothing here reads files.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SHAPES = ("disc", "square", "triangle", "star", "bar")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (205, 45, 45),
    "green": (50, 165, 70),
    "blue": (50, 85, 205),
    "yellow": (225, 200, 50),
    "violet": (145, 65, 175),
    "cyan": (60, 190, 200),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """image (H, W, 3) uint8; masks (N, H, W) bool, disjoint; shapes and colours name each mask."""

    image: np.ndarray
    masks: np.ndarray
    shapes: tuple[str, ...]
    colours: tuple[str, ...]


def _outline(shape: str, centre: np.ndarray, radius: float, angle: float) -> np.ndarray:
    """Polygon (K, 2) of one shape in (x, y) pixels."""
    if shape == "disc":
        turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        radii = np.ones(48)
    elif shape == "star":
        turns = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        radii = np.where(np.arange(10) % 2 == 0, 1.0, 0.5)
    elif shape == "triangle":
        turns, radii = np.linspace(0, 2 * np.pi, 3, endpoint=False), np.ones(3)
    elif shape == "square":
        turns, radii = np.linspace(0, 2 * np.pi, 4, endpoint=False), np.ones(4)
    else:
        turns, radii = np.array([0.35, np.pi - 0.35, np.pi + 0.35, -0.35]), np.ones(4)
    points = np.stack([np.cos(turns + angle), np.sin(turns + angle)], axis=1) * radii[:, None]
    return np.asarray(centre + radius * points)


def _noise(rng: np.random.Generator, size: int, strength: float) -> np.ndarray:
    """Smooth, weak texture (size, size, 1)."""
    coarse = rng.normal(0, 1, (size // 8, size // 8)).astype(np.float32)
    smooth = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    fine = rng.normal(0, 0.5, (size, size)).astype(np.float32)
    return np.asarray((smooth + fine) * strength)[..., None]


def make_scene(
    seed: int,
    *,
    size: int = 256,
    count: tuple[int, int] = (4, 9),
    shapes: tuple[str, ...] = SHAPES,
    palette: dict[str, tuple[int, int, int]] | None = None,
) -> Scene:
    """One scene. With ``palette`` the colours are those named there, else they are random."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform(60, 225, 3) if palette is None else rng.uniform(195, 235) * np.ones(3)
    canvas = np.ones((size, size, 3), np.float32) * ground.astype(np.float32)
    canvas += _noise(rng, size, rng.uniform(1, 4))
    taken = np.zeros((size, size), np.uint8)
    masks, names, colours = [], [], []
    wanted = int(rng.integers(count[0], count[1] + 1))
    for _ in range(wanted * 8):
        if len(masks) == wanted:
            break
        shape = shapes[int(rng.integers(len(shapes)))]
        radius = rng.uniform(0.06, 0.17) * size
        centre = rng.uniform(radius * 0.9, size - radius * 0.9, 2)
        mask = np.zeros((size, size), np.uint8)
        outline = _outline(shape, centre, radius, rng.uniform(0, 2 * np.pi))
        cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 1, shift=4)
        if (cv2.dilate(mask, np.ones((7, 7), np.uint8)) & taken).any():
            continue
        if palette is None:
            name = "random"
            colour = rng.uniform(0, 255, 3)
            if np.abs(colour - ground).max() < 50:
                continue
        else:
            name = sorted(palette)[int(rng.integers(len(palette)))]
            colour = np.asarray(palette[name]) + rng.uniform(-8, 8, 3)
        texture = _noise(rng, size, rng.uniform(1, 5))
        canvas = np.where(mask[..., None] > 0, colour.astype(np.float32) + texture, canvas)
        taken |= mask
        masks.append(mask > 0)
        names.append(shape)
        colours.append(name)
    image = np.clip(cv2.GaussianBlur(canvas, (3, 3), 0), 0, 255).astype(np.uint8)
    return Scene(image, np.array(masks), tuple(names), tuple(colours))
