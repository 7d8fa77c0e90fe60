"""Decision rules of the peers, written from their formulas, on the same regions and the same vectors.

Each takes regions and a bank and gives label (N,), score (N,) and whether a region stays (N,); the
constants are those of the programs (see the papers named at each).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from searchdet.bank.types import Bank
from searchdet.embeddings import l2_normalize
from searchdet.masks.coverage import Masks
from searchdet.regions.describe import Regions
from searchdet.suppression import Overlaps, diffuse, merge, mutual, nms, overlaps

Verdict = tuple[np.ndarray, np.ndarray, np.ndarray]
NMS_IOU = 0.5


def _lying(regions: Regions) -> Overlaps:
    found = regions.proposals
    return overlaps(Masks.of(found.rles, found.size))


def _cosines(regions: Regions, bank: Bank) -> np.ndarray:
    return regions.described.embedded.vectors @ bank.prototypes().T


def _suppressed(regions: Regions, label: np.ndarray, score: np.ndarray, use: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(use & regions.described.embedded.valid)
    order = rows[np.argsort(-score[rows], kind="stable")]
    kept = np.zeros(len(score), bool)
    kept[order] = nms(_lying(regions), label, order, NMS_IOU, 1.0).factor[order] > 0
    return kept


def plain(regions: Regions, bank: Bank) -> Verdict:
    """Pooled vectors, cosine to the prototype, NMS."""
    cosine = _cosines(regions, bank)
    label, score = cosine.argmax(1), cosine.max(1)
    return label, score, _suppressed(regions, label, score, np.ones(len(score), bool))


def seed_program(regions: Regions, bank: Bank) -> Verdict:
    """The original program: pos >= 0.62 and pos - max neg >= 0.06, NMS 0.5."""
    cosine = _cosines(regions, bank)
    label, score = cosine.argmax(1), cosine.max(1)
    against = regions.described.embedded.vectors @ bank.negatives.vectors.T
    neg = against.max(1, initial=-1.0)
    use = (score >= 0.62) & (score - neg >= 0.06)
    return label, score, _suppressed(regions, label, score, use)


def attention_query(regions: Regions, bank: Bank) -> Verdict:
    """SearchDet (arXiv 2409.18733): supports of each side weighted by the softmax of their cosine to
    the image, query = positives - negatives, regions ranked by their cosine to it, NMS. The image is
    the mean of its regions here."""
    vectors = regions.described.embedded.vectors
    image = l2_normalize(vectors.mean(0, keepdims=True))[0]

    def weighted(rows: np.ndarray) -> np.ndarray:
        raised = np.exp(rows @ image)
        return (raised / raised.sum()) @ rows

    against = weighted(bank.negatives.vectors) if len(bank.negatives) else 0.0
    classes = range(len(bank.classes))
    queries = [weighted(bank.positives.vectors[bank.labels == c]) - against for c in classes]
    cosine = vectors @ l2_normalize(np.stack(queries).astype(np.float32)).T
    label, score = cosine.argmax(1), cosine.max(1)
    return label, score, _suppressed(regions, label, score, np.ones(len(score), bool))


def soft_merging(regions: Regions, bank: Bank) -> Verdict:
    """No-Time-To-Train (arXiv 2507.02798): semantic soft merging in the order of the cosine."""
    cosine = _cosines(regions, bank)
    label, score = cosine.argmax(1), cosine.max(1)
    order = np.argsort(-score, kind="stable")
    pairs = _lying(regions).pairs()
    alike = mutual(regions.described.embedded.vectors, pairs)
    factor = merge(pairs, alike, label, order).factor
    return label, np.where(score > 0, score * factor, score), np.ones(len(score), bool)


def diffusion(regions: Regions, bank: Bank) -> Verdict:
    """FSOD-VFM (arXiv 2602.03137): graph diffusion over 100 proposals, alpha 0.3, lambda 0.5."""
    cosine = _cosines(regions, bank)
    label, score = cosine.argmax(1), cosine.max(1)
    order = np.arange(min(100, len(score)))
    factor = diffuse(_lying(regions).pairs(), label, order, 0.3, 0.5).factor
    stays = np.arange(len(score)) < 100
    return label, np.where(score > 0, score * factor, score), stays


PEERS: dict[str, Callable[[Regions, Bank], Verdict]] = {
    "pooling + cosine + NMS": plain,
    "seed program, 0.62 / 0.06": seed_program,
    "SearchDet, attention query": attention_query,
    "No-Time-To-Train, soft merging": soft_merging,
    "FSOD-VFM, diffusion": diffusion,
}


def without_negatives(bank: Bank) -> Bank:
    """The bank with its positives alone."""
    return replace(bank, negatives=bank.negatives.take([]))
