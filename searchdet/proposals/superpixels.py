"""Small segments that follow edges: a watershed of colour from the minima of the gradient."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .scene import Scene
from .types import FloatArray

IntArray = npt.NDArray[np.int64]
APART = 5
"""Least distance between seeds, pixels."""
SIGMA = 1.5


def superpixels(scene: Scene) -> IntArray:
    """(H, W) numbers from 0, each of them somewhere."""
    edges = cv2.GaussianBlur(scene.edges, (0, 0), SIGMA)
    lowest = (edges <= cv2.erode(edges, np.ones((APART, APART), np.uint8))).astype(np.uint8)
    _, seeds = cv2.connectedComponents(lowest)
    rgb = np.asarray(cv2.GaussianBlur(scene.rgb, (0, 0), 0.7), np.uint8)
    labels = filled(np.asarray(cv2.watershed(rgb, seeds), np.int32), scene.lab)
    _, numbers = np.unique(labels, return_inverse=True)
    return np.asarray(numbers, np.int64).reshape(scene.size)


def filled(labels: npt.NDArray[np.int32], lab: FloatArray) -> npt.NDArray[np.int32]:
    """The watershed's lines (-1) given to the neighbour of the nearest colour."""
    labels = np.pad(labels, 1, constant_values=-1)
    colour = np.pad(lab, ((1, 1), (1, 1), (0, 0)))
    wide = labels.shape[1]
    flat, pixels = labels.ravel(), colour.reshape(-1, 3)
    inner = np.zeros(labels.shape, bool)
    inner[1:-1, 1:-1] = True
    left = np.flatnonzero((flat < 1) & inner.ravel())
    while len(left):
        best = np.full(len(left), np.inf, np.float32)
        given = np.full(len(left), -1, np.int32)
        for step in (-wide, -1, 1, wide):
            far = np.abs(pixels[left + step] - pixels[left]).sum(axis=1)
            nearer = (flat[left + step] > 0) & (far < best)
            best[nearer], given[nearer] = far[nearer], flat[left + step][nearer]
        some = given > 0
        if not some.any():
            flat[left] = 1
            break
        flat[left[some]] = given[some]
        left = left[~some]
    return flat.reshape(labels.shape)[1:-1, 1:-1]
