"""Accuracy on the annotated sets of ../shared/data with the embedded backbone and proposer.

    python benchmarks/accuracy.py [recall] [masks] [rules] [suppression] [negatives]
                                  [thresholds] [chances] [shots]

AP50 is of boxes, a mean over the classes of a set; "mean" is over the sets. Exemplars and negatives are
drawn with fixed seeds. Nothing here has seen real network weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from common import run_parts
from rules import PEERS
from sets import Photo, Set, bank_of, describe, every

from searchdet.backbones.filterbank import FilterbankBackbone
from searchdet.bank.types import Bank
from searchdet.calibration import thresholds
from searchdet.config import ScoringOptions, SuppressionOptions
from searchdet.decision import Rule, candidates
from searchdet.evaluation.metrics import ClassFigures, Found, Region, evaluate, mean, proposal_recall
from searchdet.records.candidate import Candidate

SEEDS = (0, 1)
OWN = FilterbankBackbone


def scoring(**changes: Any) -> ScoringOptions:
    own = {"shape_weight": OWN.shape_weight, "context_weight": OWN.context_weight}
    return ScoringOptions(**(own | changes))


def rule_for(bank: Bank, suppression: str = "merge", **changes: Any) -> Rule:
    chosen = scoring(**changes)
    limits = thresholds(bank, chosen, OWN.min_score)
    return Rule(chosen, SuppressionOptions(suppression), limits)


def found_by(photo: Photo, made: Iterable[Candidate]) -> list[Found]:
    return [
        Found(photo.image_id, item.label, item.score, item.bbox, None, item.accepted)
        for item in made
        if item.label is not None and item.score is not None and item.suppression_factor > 0
    ]


def ours(one: Set, bank: Bank, rule: Rule) -> list[ClassFigures]:
    found = [item for p in one.photos for item in found_by(p, candidates(p.regions, bank, rule))]
    return evaluate(one.truth, found)


def theirs(one: Set, bank: Bank, rule: Callable[..., Any]) -> list[ClassFigures]:
    found = []
    for photo in one.photos:
        label, score, stays = rule(photo.regions, bank)
        boxes = photo.regions.proposals.boxes
        for i in np.flatnonzero(stays):
            x0, y0, x1, y1 = (float(v) for v in boxes[i])
            found.append(
                Found(photo.image_id, bank.classes[label[i]], float(score[i]), (x0, y0, x1, y1))
            )
    return evaluate(one.truth, found)


def line(title: str, values: dict[str, float], extra: str = "") -> None:
    cells = " ".join(f"{value:.3f}" for value in values.values())
    print(f"{title:44} {cells}  mean {np.nanmean(list(values.values())):.4f}{extra}", flush=True)


def averaged(runs: list[list[ClassFigures]], name: str) -> float:
    """Mean of a figure over runs; NaN where a set has nothing to measure."""
    found = [value for rows in runs if (value := mean(rows, name)) is not None]
    return float(np.mean(found)) if found else float("nan")


def header(sets: list[Set]) -> None:
    print(f"{'':44} {' '.join(one.name[:5].ljust(5) for one in sets)}")


def shots() -> None:
    """K = 1, 3, 5 exemplars, with and without negatives."""
    sets = list(every())
    header(sets)
    for count in (1, 3, 5):
        for negatives in (0, None):
            made: dict[tuple[str, int], list[ClassFigures]] = {}
            for one in sets:
                for seed in SEEDS if count < 5 else SEEDS[:1]:
                    bank = bank_of(one, count, seed, negatives)
                    made[one.name, seed] = ours(one, bank, rule_for(bank))
            side = "without" if negatives == 0 else "with"
            for name in ("ap50", "ap", "f1", "false_per_absent"):
                values = {
                    one.name: averaged([v for (n, _), v in made.items() if n == one.name], name)
                    for one in sets
                }
                line(f"K = {count}, {side} negatives: {name}", values)


def rules() -> None:
    """Ours and the peers' on the same regions and vectors, K = 5 with negatives."""
    sets = list(every())
    header(sets)
    for masks in ("auto", "whole"):
        banks = {one.name: bank_of(one, 5, 0, None, masks) for one in sets}
        every_rule: dict[str, Callable[[Set, Bank], list[ClassFigures]]] = {
            name: functools.partial(theirs, rule=rule) for name, rule in PEERS.items()
        }
        every_rule["ours"] = lambda one, bank: ours(one, bank, rule_for(bank))
        for name, make in every_rule.items():
            figures = {one.name: make(one, banks[one.name]) for one in sets}
            ap50 = {key: mean(rows, "ap50") or 0.0 for key, rows in figures.items()}
            ap = np.mean([mean(rows, "ap") or 0.0 for rows in figures.values()])
            absent = [mean(rows, "false_per_absent") for rows in figures.values()]
            false = np.mean([v for v in absent if v is not None])
            line(f"{masks}: {name}", ap50, f"  AP {ap:.4f}  false an absent image {false:.2f}")


def negatives() -> None:
    """0, 1, 3, 5 and all negatives, K = 5, drawn with each seed."""
    sets = list(every())
    header(sets)
    for count in (0, 1, 3, 5, None):
        seeds = SEEDS if count else SEEDS[:1]
        made = []
        for one in sets:
            banks = [bank_of(one, 5, seed, count) for seed in seeds]
            made.append([ours(one, bank, rule_for(bank)) for bank in banks])
        for name in ("ap50", "f1", "false_per_absent"):
            values = {one.name: averaged(runs, name) for one, runs in zip(sets, made, strict=True)}
            line(f"{'all' if count is None else count} negatives: {name}", values)


def suppression() -> None:
    """Each part of the score on and off, K = 5 with negatives."""
    sets = list(every())
    header(sets)
    banks = {one.name: bank_of(one, 5, 0) for one in sets}
    changes: dict[str, dict[str, Any]] = {
        "as it is": {},
        "nms": {"suppression": "nms"},
        "diffusion": {"suppression": "diffusion"},
        "without shape": {"shape_weight": 0.0},
        "without context": {"context_weight": 0.0},
        "without both": {"shape_weight": 0.0, "context_weight": 0.0},
        "without negatives' penalty": {"negative_weight": 0.0},
        "centring mean": {"centring": "mean"},
        "pos-agg mean_topk": {"pos_agg": "mean_topk"},
    }
    for name, change in changes.items():
        values = {}
        for one in sets:
            bank = banks[one.name]
            values[one.name] = mean(ours(one, bank, rule_for(bank, **change)), "ap50") or 0.0
        line(f"ap50, {name}", values)


def calibrated() -> None:
    """F1 at the calibrated thresholds against thresholds chosen with the labels, K = 5."""
    sets = list(every())
    header(sets)
    banks = {one.name: bank_of(one, 5, 0) for one in sets}
    figures = {one.name: ours(one, banks[one.name], rule_for(banks[one.name])) for one in sets}
    auto = {name: mean(rows, "f1") or 0.0 for name, rows in figures.items()}
    best = {name: mean(rows, "best_f1") or 0.0 for name, rows in figures.items()}
    grid = np.round(np.arange(0.28, 0.68, 0.04), 2)
    fixed = {one.name: [at_least(one, banks[one.name], float(t)) for t in grid] for one in sets}
    single = {name: max(values) for name, values in fixed.items()}
    everywhere = np.mean(list(fixed.values()), axis=0)
    line("F1, calibrated", auto)
    line("F1, best one threshold a set", single)
    line("F1, best threshold a class", best)
    mine, set_best, class_best = (float(np.mean(list(v.values()))) for v in (auto, single, best))
    print(
        f"calibrated reaches {mine / set_best:.1%} of the best threshold of each set, "
        f"{mine / class_best:.1%} of the best of each class, {mine / everywhere.max():.1%} of the best "
        f"for all sets ({grid[everywhere.argmax()]})"
    )


def at_least(one: Set, bank: Bank, score: float) -> float:
    """F1 with one least score for all classes."""
    return mean(ours(one, bank, rule_for(bank, min_score=score)), "f1") or 0.0


def chances() -> None:
    """How often candidates of each probability are right (IoU 0.5), K = 5."""
    rows: list[tuple[float, bool]] = []
    for one in every():
        bank = bank_of(one, 5, 0)
        rule = rule_for(bank)
        truth = one.truth.coco()
        for photo in one.photos:
            items = truth.loadAnns(truth.getAnnIds(imgIds=[photo.image_id], iscrowd=0))
            for item in candidates(photo.regions, bank, rule):
                labels = one.truth.image_ids.get(item.label or "", [])
                if (
                    item.probability is None
                    or item.suppression_factor == 0
                    or photo.image_id not in labels
                ):
                    continue
                wanted = one.truth.category(item.label or "")
                hit = any(
                    _iou(item.bbox, a["bbox"]) >= 0.5 for a in items if a["category_id"] == wanted
                )
                rows.append((item.probability, hit))
    values, hits = (np.asarray(column, float) for column in zip(*rows, strict=True))
    for low in np.arange(0, 1, 0.1):
        part = (values >= low) & (values < low + 0.1 + (low > 0.85))
        if part.any():
            print(
                f"probability {low:.1f} to {low + 0.1:.1f}: {int(part.sum()):6} candidates, "
                f"mean {values[part].mean():.3f}, right {hits[part].mean():.3f}"
            )
    print(f"Brier score {np.mean((values - hits) ** 2):.4f}; always the mean {hits.var():.4f}")


def _iou(box: tuple[float, ...], xywh: list[float]) -> float:
    x0, y0, w, h = xywh
    width = min(box[2], x0 + w) - max(box[0], x0)
    height = min(box[3], y0 + h) - max(box[1], y0)
    shared = max(0.0, width) * max(0.0, height)
    return shared / ((box[2] - box[0]) * (box[3] - box[1]) + w * h - shared)


def recall() -> None:
    """Proposal recall at 300 proposals, and the time of proposals and descriptors."""
    shares: dict[float, list[float]] = {0.5: [], 0.75: []}
    for one in every():
        regions = {
            p.image_id: [
                Region(float(q), (float(x0), float(y0), float(x1), float(y1)))
                for q, (x0, y0, x1, y1) in zip(
                    p.regions.proposals.quality, p.regions.proposals.boxes, strict=True
                )
            ]
            for p in one.photos
        }
        found = proposal_recall(one.truth, regions)
        for level, value in found.items():
            shares[level].append(value)
        facts = describe(one.photos)
        spent = f"{facts['seconds']:.2f} s (slowest {facts['slowest']:.2f} s)"
        print(
            f"recall {one.name:12} {found[0.5]:.3f} at IoU 0.5, {found[0.75]:.3f} at 0.75; "
            f"{facts['masks']:.0f} proposals, with descriptors {spent}"
        )
    means = ", ".join(f"{np.mean(v):.3f} at {k}" for k, v in shares.items())
    print(f"recall, mean over sets: {means}")


def masks() -> None:
    """IoU of masks that --exemplar-mask auto finds with the drawn ones."""
    from sets import of_exemplar

    from searchdet.exemplars import automask
    from searchdet.storage import kinds
    from searchdet.storage.cache import Store

    for one in every():
        drawn = [item for item in one.examples if item.label and item.mask_source == "file"]
        if not drawn:
            continue
        bare = [replace(item, mask=np.ones_like(item.mask), mask_source="whole") for item in drawn]
        look = functools.partial(of_exemplar, describer=one.describer)
        found = automask.apply(bare, look, {}, Store(None, kinds.AUTOMASKS))
        overlap = [_mask_iou(a.mask, b.mask) for a, b in zip(found, drawn, strict=True)]
        whole = [float(item.mask.mean()) for item in drawn]
        print(f"masks {one.name:12} IoU {np.mean(overlap):.3f}, the whole photo {np.mean(whole):.3f}")


def _mask_iou(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / (one | two).sum())


def main() -> None:
    parts = {
        "recall": recall,
        "masks": masks,
        "rules": rules,
        "suppression": suppression,
        "negatives": negatives,
        "thresholds": calibrated,
        "chances": chances,
        "shots": shots,
    }
    run_parts(__doc__, parts)


if __name__ == "__main__":
    main()
