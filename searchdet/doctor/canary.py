"""Canaries: what a model makes of one fixed generated picture.

A file can have the right names and shapes, even the right hash, and the program still compute something
else with it: another version of a library, a broken processor path. What the embedded backbones compute
is known; of another network only that its numbers are finite and differ between the parts of a picture.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..backbones import EMBEDDED, FILTERBANK, Backbone
from ..backbones.types import Network
from ..embeddings import MaskEmbeddings, Spread, cell_vectors, embed_masks, l2_normalize, spread
from ..errors import EmbeddingError
from ..proposals.types import OwnWeights
from ..weights import Compute

Numbers = tuple[float, ...]
SIDE = 224
COUNT = 8
EXPECTED: Mapping[str, Numbers] = {
    FILTERBANK: (-0.0518, 0.0, 0.0411, 0.0067, -0.1551, -0.0951, -0.0785, 0.01),
    EMBEDDED: (0.0585, 0.0776, 0.0722, 0.0258, 0.0089, 0.0162, 0.045, 0.0074),
}
"""By backbone; the network of ``embedded`` sees the picture as it is."""
TOLERANCE = 0.002
"""Largest difference of one number of a unit vector that is rounding, bfloat16's included."""
MOST_CELLS = 512
"""Cells that are compared with each other, evenly spread."""
FloatArray = npt.NDArray[np.float32]


def picture(side: int = SIDE) -> npt.NDArray[np.uint8]:
    """(side, side, 3) uint8 RGB with gradients, edges and rings; the same on every machine."""
    y, x = np.mgrid[0:side, 0:side]
    centre = side // 2
    rings = ((x - centre) ** 2 + (y - centre) ** 2) // 97
    channels = (3 * x + 5 * y, x * y // 7, rings * 8)
    return np.stack([channel % 256 for channel in channels], axis=2).astype(np.uint8)


def numbers_of(backbone: Backbone) -> Numbers:
    """Numbers spread over the descriptor of the whole picture, rounded."""
    whole = np.ones((1, SIDE, SIDE), np.bool_)
    vector = embed_masks(backbone, picture(), whole).vectors[0]
    return tuple(round(float(vector[i]), 4) + 0.0 for i in places(len(vector)))  # no -0.0


def differ(numbers: Numbers, others: Numbers) -> bool:
    """Whether two canaries are more than rounding apart."""
    if len(numbers) != len(others):
        return True
    pairs = zip(numbers, others, strict=True)
    return any(not abs(a - b) <= TOLERANCE for a, b in pairs)


def text(numbers: Numbers) -> str:
    """The numbers as a person reads them."""
    return " ".join(f"{number:.4f}" for number in numbers)


def places(length: int) -> list[int]:
    """Which numbers of a vector are taken: spread, since the first ones may all be of one kind."""
    return [int((i + 0.5) * length / COUNT) for i in range(COUNT)]


def spread_of_backbone(backbone: Backbone) -> Spread:
    """How far apart the cells of the picture's feature map lie. Raises EmbeddingError."""
    cells = cell_vectors(backbone.feature_map(picture()))
    return _spread(cells.reshape(-1, cells.shape[-1]))


def spread_of_proposer(weights: OwnWeights, network: Network, compute: Compute) -> Spread:
    """How far apart the cells of a proposer's features of the picture lie. Raises EmbeddingError."""
    import torch

    pixels = picture(weights.side(network)).transpose(2, 0, 1)
    with torch.inference_mode(), compute.autocast():
        batch = torch.from_numpy(np.ascontiguousarray(pixels))[None].to(compute.device)
        features = weights.embed(network, batch.float()).float().cpu()
    if not bool(features.isfinite().all()):
        raise EmbeddingError("it gave NaN or infinity.")
    return _spread(l2_normalize(features[0].flatten(1).T.numpy()))


def _spread(cells: FloatArray) -> Spread:
    """Spread of (N, D) vectors. Raises EmbeddingError where they are zero."""
    cells = cells[:: -(-len(cells) // MOST_CELLS)]
    lengths = np.linalg.norm(cells, axis=1)
    found = spread(MaskEmbeddings(cells, lengths > 0, np.zeros(len(cells), np.bool_)))
    if found is None:
        raise EmbeddingError("it gave nothing but zeros.")
    return found
