"""Accuracy on the annotated sets of ../shared/data with the embedded proposer.

    python benchmarks/accuracy.py [spaces] [fit] [training] [weights] [parts] [oracle] [recall] [masks]
                                  [rules] [negatives] [chances] [shots]

AP50 is of boxes, a mean over the classes of a set; "mean" is over the sets. Exemplars and negatives are
drawn with fixed seeds. PHOTOS=24 looks at so many photographs a set. Nothing here has seen
weights of DINOv3 or SAM.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
from common import SETS, run_parts
from rules import PEERS
from sets import SPACES, Photo, Set, every, gathered, load, regions_of

from searchdet import calibration
from searchdet.backbones.embedded import SHARE
from searchdet.bank import Bank, Rows
from searchdet.calibration import calibrated, cost_of_negatives
from searchdet.config import EmbeddingOptions, ScoringOptions, SuppressionOptions
from searchdet.config.models import DEFAULT_BACKBONE
from searchdet.decision import Judged, Rule, judge_regions
from searchdet.embeddings import describe as describe_masks
from searchdet.embeddings import stack
from searchdet.evaluation.metrics import ClassFigures, Found, Region, evaluate, mean, proposal_recall
from searchdet.masks import rle
from searchdet.masks.coverage import Masks
from searchdet.masks.shape import outlines
from searchdet.proposals.rendering import rendered
from searchdet.regions import Regions

SEEDS = (0, 1)
LOWER = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15)
GRID = np.round(np.arange(-0.1, 0.9, 0.02), 2)
COUNTS = (None, 1, 0)
"""Negatives: all, one, none."""


@dataclass(frozen=True)
class Case:
    """A bank and how candidates are judged with it."""

    bank: Bank
    rule: Rule


@dataclass(frozen=True)
class Outcome:
    """What a case found in a set. seconds: of scoring alone, an image."""

    figures: list[ClassFigures]
    found: list[Found]
    seconds: float


def case(one: Set, bank: Bank, suppression: str = "merge", **changes: Any) -> Case:
    """A case with the defaults of a backbone."""
    looks = one.backbone.second_look if changes.get("centring", "none") == "none" else 0
    options = ScoringOptions(**({"second_look": looks} | changes))
    bank = bank if options.second_look else bank.without_crops()
    limits, usual = calibrated(bank, options)
    return Case(bank, Rule(options, SuppressionOptions(suppression), limits, tuple(usual.tolist())))


def found_by(photo: Photo, judged: Judged) -> list[Found]:
    return [
        Found(photo.image_id, item.label, item.score, item.bbox, None, item.accepted)
        for item in judged.candidates
        if item.label is not None and item.score is not None and item.suppression_factor > 0
    ]


def measure(
    one: Set, cases: Mapping[str, Case], regions: Callable[[Photo, Bank], Regions] = Photo.regions
) -> dict[str, Outcome]:
    """Every case on every photograph, with its own guided regions."""
    found: dict[str, list[Found]] = {name: [] for name in cases}
    spent = dict.fromkeys(cases, 0.0)
    for photo in one.photos:
        last: Bank | None = None
        for name, each in cases.items():
            if each.bank is not last:
                seen, last = regions(photo, each.bank), each.bank
            started = time.perf_counter()
            judged = judge_regions(seen, each.bank, each.rule, photo.look(seen, each.bank))
            spent[name] += time.perf_counter() - started
            found[name] += found_by(photo, judged)
    return {
        name: Outcome(evaluate(one.truth, items), items, spent[name] / len(one.photos))
        for name, items in found.items()
    }


def line(title: str, values: Mapping[str, float], extra: str = "") -> None:
    cells = " ".join(f"{value:.3f}" for value in values.values())
    print(f"{title:44} {cells}  mean {np.nanmean(list(values.values())):.4f}{extra}", flush=True)


def averaged(runs: list[list[ClassFigures]], name: str) -> float:
    """Mean of a figure over runs; NaN where a set has nothing to measure."""
    found = [value for rows in runs if (value := mean(rows, name)) is not None]
    return float(np.mean(found)) if found else float("nan")


def header(names: Sequence[str]) -> None:
    print(f"{'':44} {' '.join(name[:5].ljust(5) for name in names)}")


def at_least(one: Set, outcome: Outcome, score: float) -> list[ClassFigures]:
    """Figures with one least score for all classes."""
    moved = [replace(item, accepted=item.score >= score) for item in outcome.found]
    return evaluate(one.truth, moved)


def best_single(one: Set, outcome: Outcome) -> float:
    """F1 with the best one threshold of a set."""
    return max(mean(at_least(one, outcome, float(t)), "f1") or 0.0 for t in GRID)


def chosen_spaces() -> list[str]:
    """All four, or the one that the environment names."""
    return [name for name in SPACES if os.environ.get("SPACE", name) == name]


def spaces() -> None:
    """The four spaces with the same code: K = 5 with negatives. SPACE=embedded looks at one."""
    header(SETS)
    for space in chosen_spaces():
        made: dict[str, dict[str, float]] = {}
        for name in SETS:
            if (one := load(name, space)) is None:
                continue
            given = gathered(one, 5, 0)
            outcome = measure(one, {"": case(one, given.bank)})[""]
            count = len(given.bank.negatives) + len(given.ignored)
            single = best_single(one, outcome)
            rows = {
                "ap50": mean(outcome.figures, "ap50") or 0.0,
                "F1, calibrated": mean(outcome.figures, "f1") or 0.0,
                "F1, best one threshold": single,
                "F1, best threshold a class": mean(outcome.figures, "best_f1") or 0.0,
                "false an absent image": averaged([outcome.figures], "false_per_absent"),
                "negatives ignored": len(given.ignored) / max(1, count),
                "seconds of scoring": outcome.seconds,
            }
            for key, value in rows.items():
                made.setdefault(key, {})[name] = value
        for key, values in made.items():
            line(f"{space}: {key}", values)
        ratio = [
            np.mean(list(made["F1, calibrated"].values())) / np.mean(list(made[key].values()))
            for key in ("F1, best one threshold", "F1, best threshold a class")
        ]
        print(f"{space}: calibrated is {ratio[0]:.1%} of the best one, {ratio[1]:.1%} a class")


def fit() -> None:
    """FLOOR and FOLLOWED of the thresholds, with each set left out in turn, in all four spaces, with
    all negatives, one and none. SPACE=embedded looks at one space."""
    share: dict[tuple[str, str, int | None], np.ndarray] = {}
    floors, slopes = np.round(np.arange(0.2, 0.8, 0.02), 2), np.round(np.arange(0, 1.3, 0.1), 1)
    for space in chosen_spaces():
        for name in SETS:
            if (one := load(name, space)) is not None:
                for count in COUNTS:
                    share[space, name, count] = _reached(one, count, floors, slopes)
    kept: dict[tuple[str, int | None], list[float]] = {}
    names = sorted({name for _, name, _ in share})
    for left in names:
        mean_of = _mean([table for (_, name, _), table in share.items() if name != left])
        i, j = np.unravel_index(mean_of.argmax(), mean_of.shape)
        print(f"without {left:12} {floors[i]} - {slopes[j]} of the cost of negatives")
        for (space, name, count), table in share.items():
            if name == left:
                kept.setdefault((space, count), []).append(float(table[i, j]))
    whole = _mean(list(share.values()))
    i, j = np.unravel_index(whole.argmax(), whole.shape)
    print(f"all sets: {floors[i]} - {slopes[j]} of the cost reaches {whole[i, j]:.3f}")
    for (space, count), values in kept.items():
        many = "all" if count is None else count
        print(f"left out, of the best one threshold: {space}, {many} negatives: {np.mean(values):.3f}")


def _mean(tables: Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(np.mean(tables, axis=0))


def _reached(one: Set, negatives: int | None, floors: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """(floors, slopes): F1 as a share of that with the best one threshold."""
    each = case(one, gathered(one, 5, 0, negatives).bank)
    outcome, classes = measure(one, {"": each})[""], each.bank.classes
    curve = [{item.label: item.f1 for item in at_least(one, outcome, float(t))} for t in GRID]
    known = [label for label in classes if curve[0].get(label) is not None]
    by_class = {label: np.asarray([at[label] or 0.0 for at in curve]) for label in known}
    best = max(np.mean(list(by_class.values()), axis=0).max(), 1e-9)
    options = each.rule.scoring
    cost = {c: cost_of_negatives(each.bank, i, options) for i, c in enumerate(classes)}
    table = np.zeros((len(floors), len(slopes)))
    for i, floor in enumerate(floors):
        for j, slope in enumerate(slopes):
            reached = [np.interp(floor - slope * cost[c], GRID, f1) for c, f1 in by_class.items()]
            table[i, j] = np.mean(reached) / best
    return table


def training() -> None:
    """How far below the calibrated thresholds F2 is best, where an object that is missed counts more:
    TRAINING, with each set left out in turn. SPACE=embedded looks at one space."""
    tables: dict[tuple[str, str], np.ndarray] = {}
    for space in chosen_spaces():
        for name in SETS:
            if (one := load(name, space)) is not None:
                tables[space, name] = table = _lowered(one)
                print(f"{space} {name}: recall at {LOWER}: {table[:, 0].round(3).tolist()}")
                print(f"{space} {name}: F2 at {LOWER}: {table[:, 2].round(3).tolist()}", flush=True)
    kept = []
    for left in sorted({name for _, name in tables}):
        others = [table[:, 2] for (_, name), table in tables.items() if name != left]
        best = int(np.mean(others, axis=0).argmax())
        for (space, name), table in tables.items():
            if name == left:
                kept.append((table[0], table[best]))
                cells = [f"{now:.3f} to {then:.3f}" for now, then in zip(*kept[-1], strict=True)]
                print(f"without {left} {space} {LOWER[best]}: recall, precision, F2", *cells)
    whole = np.mean([table[:, 2] for table in tables.values()], axis=0)
    print(f"all sets: {LOWER[int(whole.argmax())]} reaches F2 {whole.max():.3f}, auto {whole[0]:.3f}")
    print("left out, auto and training:", np.mean(kept, axis=0).round(3).tolist())


def _lowered(one: Set) -> np.ndarray:
    """(len(LOWER), 3): recall, precision, F2, means over classes, with thresholds that much lower."""
    first, rows = case(one, gathered(one, 5, 0).bank), []
    for less in LOWER:
        limits = tuple(
            replace(t, min_score=t.min_score - less, source="training") for t in first.rule.thresholds
        )
        with mock.patch.object(calibration, "TRAINING", less):
            outcome = measure(one, {"": replace(first, rule=replace(first.rule, thresholds=limits))})[
                ""
            ]
        sides = [(f.recall or 0.0, f.precision or 0.0) for f in outcome.figures]
        rows.append([[r, p, 5 * p * r / max(4 * p + r, 1e-9)] for r, p in sides])
    table: np.ndarray = np.asarray(rows).mean(axis=1)
    return table


def weights() -> None:
    """AP50 in the embedded space with the weights of network, outline, surroundings and size that the
    other sets choose."""
    choices = [(share, shape, 0.2, 0.1) for share in (0.5, 0.6, 0.7) for shape in (0.4, 0.6, 0.8)]
    choices += [(0.6, 0.6, context, 0.1) for context in (0.1, 0.3)]
    choices += [(0.6, 0.6, 0.2, size) for size in (0.0, 0.05, 0.15)]
    reached: dict[str, list[float]] = {}
    for one in every():
        bank = gathered(one, 5, 0).bank
        values = []
        for share, shape, context, size in choices:
            each = case(one, _shared(bank, share), shape_weight=shape, context_weight=context)
            with mock.patch("searchdet.scoring.SIZE_WEIGHT", size):
                at_share = functools.partial(_at_share, one=one, share=share)
                outcome = measure(one, {"": each}, at_share)[""]
            values.append(mean(outcome.figures, "ap50") or 0.0)
        reached[one.name] = values
        print(f"weights {one.name:12}", dict(zip(choices, np.round(values, 3).tolist(), strict=True)))
    found = {}
    for name, values in reached.items():
        others = np.mean([row for other, row in reached.items() if other != name], axis=0)
        found[name] = values[int(others.argmax())]
        print(f"without {name:12} {choices[int(others.argmax())]}: {found[name]:.3f}")
    header(list(found))
    line("ap50, weights of the other sets", found)


def _weighed(rows: np.ndarray, one: int, share: float) -> np.ndarray:
    """Rows of the embedded space whose network weighs another share of a cosine. one: columns of the
    filter bank."""
    rows = rows.copy()
    rows[:, :one] *= ((1 - share) / (1 - SHARE)) ** 0.5
    rows[:, one:] *= (share / SHARE) ** 0.5
    return rows


def _shared(bank: Bank, share: float) -> Bank:
    assert bank.space is not None
    columns = bank.space.parts[0]

    def moved(rows: Rows) -> Rows:
        vectors, contexts = (_weighed(v, columns, share) for v in (rows.vectors, rows.contexts))
        return replace(rows, vectors=vectors, contexts=contexts)

    space = replace(bank.space, share=share)
    return replace(bank, positives=moved(bank.positives), negatives=moved(bank.negatives), space=space)


def _at_share(photo: Photo, bank: Bank, one: Set, share: float) -> Regions:
    seen, columns = photo.regions(bank), one.backbone.parts[0]
    described = seen.described
    embedded = described.embedded
    embedded = replace(embedded, vectors=_weighed(embedded.vectors, columns, share))
    contexts = _weighed(described.contexts, columns, share)
    return Regions(seen.proposals, replace(described, embedded=embedded, contexts=contexts))


def parts() -> None:
    """What each part of the score gives in the embedded space: K = 5 with negatives."""
    changes: dict[str, dict[str, Any]] = {
        "as it is": {},
        "without second look": {"second_look": 0},
        "second look at 20": {"second_look": 20},
        "second look at 80": {"second_look": 80},
        "nms": {"suppression": "nms"},
        "diffusion": {"suppression": "diffusion"},
        "without shape": {"shape_weight": 0.0},
        "without context": {"context_weight": 0.0},
        "without both": {"shape_weight": 0.0, "context_weight": 0.0},
        "without negatives' penalty": {"negative_weight": 0.0},
        "centring mean": {"centring": "mean"},
        "pos-agg max": {"pos_agg": "max"},
        "pos-agg mean_topk": {"pos_agg": "mean_topk"},
    }
    compare(changes)


def compare(changes: Mapping[str, dict[str, Any]], space: str = DEFAULT_BACKBONE) -> None:
    made: dict[str, dict[str, float]] = {name: {} for name in changes}
    header(SETS)
    for one in every(space):
        bank = gathered(one, 5, 0).bank
        done = measure(one, {name: case(one, bank, **change) for name, change in changes.items()})
        for name, outcome in done.items():
            made[name][one.name] = mean(outcome.figures, "ap50") or 0.0
    for name, values in made.items():
        line(f"ap50, {name}", values)


def oracle() -> None:
    """AP50 with the truth's masks among the proposals, for the sets that have masks."""
    for one in every():
        if not one.truth.has_masks:
            continue
        each = {"": case(one, gathered(one, 5, 0).bank)}
        plain = measure(one, each)[""]
        perfect = measure(one, each, functools.partial(_with_truth, one=one))[""]
        line(
            f"oracle {one.name}: ours, with the truth's masks",
            {"ours": mean(plain.figures, "ap50") or 0.0, "truth": mean(perfect.figures, "ap50") or 0.0},
        )


def _with_truth(photo: Photo, bank: Bank, one: Set) -> Regions:
    """The regions of a photograph, and the annotated masks as further ones."""
    seen = photo.regions(bank)
    truth = one.truth.coco()
    items = truth.loadAnns(truth.getAnnIds(imgIds=[photo.image_id], iscrowd=0))
    masks = np.asarray(
        [truth.annToMask(item).astype(bool) for item in items if item.get("segmentation")]
    )
    masks = masks[[bool(mask.any()) for mask in masks]] if len(masks) else masks
    if not len(masks):
        return seen
    feature_map = one.backbone.feature_map(photo.image.pixels)
    codes = [rle.encode(mask) for mask in masks]
    each = Masks.of(codes, seen.proposals.size)
    described = describe_masks(feature_map, each, outlines(codes), EmbeddingOptions())
    whole = rendered(seen.proposals)
    quality = [*whole.quality.tolist(), *[float(whole.quality.max())] * len(codes)]
    boxes = np.concatenate([whole.boxes, rle.boxes(codes)])
    found = replace(
        whole, boxes=boxes, quality=np.asarray(quality, np.float32), rles=(*whole.rles, *codes)
    )
    return Regions(found, stack([seen.described, described]))


def recall() -> None:
    """Proposal recall: of all that is scored, of the 300 best of the proposer, of the 300 best after
    scoring with a bank (K = 5 with negatives)."""
    shares: dict[str, list[tuple[float, float]]] = {}
    for one in every():
        each = case(one, gathered(one, 5, 0).bank)
        every_one: dict[int, list[Region]] = {}
        scored: dict[int, list[Region]] = {}
        for photo in one.photos:
            seen = photo.regions(each.bank)
            boxes = seen.proposals.boxes
            every_one[photo.image_id] = [
                Region(float(q), (float(a), float(b), float(c), float(d)))
                for q, (a, b, c, d) in zip(seen.proposals.quality, boxes, strict=True)
            ]
            judged = judge_regions(seen, each.bank, each.rule, photo.look(seen, each.bank))
            scored[photo.image_id] = [Region(c.score or 0.0, c.bbox) for c in judged.candidates]
        counts = np.mean([len(items) for items in every_one.values()])
        rows = {
            "all": proposal_recall(one.truth, every_one, limit=10**6),
            "best 1000 of the proposer": proposal_recall(one.truth, every_one, limit=1000),
            "best 300 of the proposer": proposal_recall(one.truth, every_one),
            "300 after scoring": proposal_recall(one.truth, scored),
        }
        for name, found in rows.items():
            shares.setdefault(name, []).append((found[0.5] or 0.0, found[0.75] or 0.0))
        text = "; ".join(
            f"{name} {half[-1][0]:.3f} / {half[-1][1]:.3f}" for name, half in shares.items()
        )
        print(f"recall {one.name:12} {counts:.0f} masks; {text}", flush=True)
    for name, values in shares.items():
        low, high = np.mean(values, axis=0)
        print(f"recall at IoU 0.5 / 0.75, mean over sets, {name}: {low:.3f} / {high:.3f}")


def shots() -> None:
    """K = 1, 3, 5 exemplars, with and without negatives."""
    header(SETS)
    made: dict[tuple[int, int | None, str], dict[str, float]] = {}
    for one in every():
        cases, runs = {}, [(k, n) for k in (1, 3, 5) for n in (0, None)]
        for count, negatives in runs:
            for seed in SEEDS if count < 5 else SEEDS[:1]:
                bank = gathered(one, count, seed, negatives).bank
                cases[f"{count} {negatives} {seed}"] = case(one, bank)
        done = measure(one, cases)
        for count, negatives in runs:
            mine = [o.figures for name, o in done.items() if name.startswith(f"{count} {negatives} ")]
            for name in ("ap50", "ap", "f1", "false_per_absent"):
                made.setdefault((count, negatives, name), {})[one.name] = averaged(mine, name)
    for (count, negatives, name), values in made.items():
        line(f"K = {count}, {'without' if negatives == 0 else 'with'} negatives: {name}", values)


def negatives() -> None:
    """0, 1, 3, 5 and all negatives, K = 5, drawn with each seed."""
    header(SETS)
    made: dict[tuple[int | None, str], dict[str, float]] = {}
    for one in every():
        counts: tuple[int | None, ...] = (0, 1, 3, 5, None)
        cases = {
            f"{count} {seed}": case(one, gathered(one, 5, seed, count).bank)
            for count in counts
            for seed in (SEEDS if count else SEEDS[:1])
        }
        done = measure(one, cases)
        for count in counts:
            mine = [o.figures for name, o in done.items() if name.startswith(f"{count} ")]
            for name in ("ap50", "f1", "false_per_absent"):
                made.setdefault((count, name), {})[one.name] = averaged(mine, name)
    for (count, name), values in made.items():
        line(f"{'all' if count is None else count} negatives: {name}", values)


def rules() -> None:
    """Ours and the peers' on the same regions (the proposer's 300 best for theirs) and vectors, K = 5
    with negatives."""
    header(SETS)
    made: dict[str, dict[str, list[ClassFigures]]] = {}
    for one in every():
        bank = gathered(one, 5, 0).bank
        made.setdefault("ours", {})[one.name] = measure(one, {"": case(one, bank)})[""].figures
        theirs: dict[str, list[Found]] = {name: [] for name in PEERS}
        for photo in one.photos:
            seen = photo.regions(bank)
            first = np.arange(min(300, len(seen.proposals)))
            part = Regions(rendered(seen.proposals, first), seen.described.take(first))
            for name, rule in PEERS.items():
                label, score, stays = rule(part, bank)
                for i in np.flatnonzero(stays):
                    x0, y0, x1, y1 = (float(v) for v in part.proposals.boxes[i])
                    where = (x0, y0, x1, y1)
                    theirs[name].append(
                        Found(photo.image_id, bank.classes[label[i]], float(score[i]), where)
                    )
        for name, found in theirs.items():
            made.setdefault(name, {})[one.name] = evaluate(one.truth, found)
    for name, figures in made.items():
        ap50 = {key: mean(rows, "ap50") or 0.0 for key, rows in figures.items()}
        ap = np.mean([mean(rows, "ap") or 0.0 for rows in figures.values()])
        false = averaged(list(figures.values()), "false_per_absent")
        line(name, ap50, f"  AP {ap:.4f}  false an absent image {false:.2f}")


def chances() -> None:
    """How often candidates of each probability are right (IoU 0.5), K = 5, each space. SPACE=embedded
    looks at one."""
    for space in chosen_spaces():
        rows = [row for one in every(space) for row in _chances(one)]
        values, hits = (np.asarray(column, float) for column in zip(*rows, strict=True))
        for low in np.arange(0, 1, 0.1):
            part = (values >= low) & (values < low + 0.1 + (low > 0.85))
            if part.any():
                print(
                    f"{space}: probability {low:.1f} to {low + 0.1:.1f}: {int(part.sum()):6} "
                    f"candidates, mean {values[part].mean():.3f}, right {hits[part].mean():.3f}"
                )
        brier = np.mean((values - hits) ** 2)
        print(f"{space}: Brier score {brier:.4f}; always the mean {hits.var():.4f}", flush=True)


def _chances(one: Set) -> list[tuple[float, bool]]:
    """Probability of each candidate that is not suppressed, and whether it lies on an object."""
    each, truth = case(one, gathered(one, 5, 0).bank), one.truth.coco()
    rows = []
    for photo in one.photos:
        items = truth.loadAnns(truth.getAnnIds(imgIds=[photo.image_id], iscrowd=0))
        seen, look = photo.regions(each.bank), photo.look
        judged = judge_regions(seen, each.bank, each.rule, look(seen, each.bank))
        for item in judged.candidates:
            known = photo.image_id in one.truth.image_ids.get(item.label or "", [])
            if item.probability is None or item.suppression_factor == 0 or not known:
                continue
            wanted = one.truth.category(item.label or "")
            mine = [a["bbox"] for a in items if a["category_id"] == wanted]
            rows.append((item.probability, any(_iou(item.bbox, box) >= 0.5 for box in mine)))
    return rows


def _iou(box: tuple[float, ...], xywh: list[float]) -> float:
    x0, y0, w, h = xywh
    width = min(box[2], x0 + w) - max(box[0], x0)
    height = min(box[3], y0 + h) - max(box[1], y0)
    shared = max(0.0, width) * max(0.0, height)
    return shared / ((box[2] - box[0]) * (box[3] - box[1]) + w * h - shared)


def masks() -> None:
    """IoU of masks that --exemplar-mask auto finds with the drawn ones."""
    from searchdet.exemplars import automask
    from searchdet.storage import kinds
    from searchdet.storage.cache import Store

    for one in every():
        drawn = [item for item in one.examples if item.label and item.mask_source == "file"]
        if not drawn:
            continue
        bare = [replace(item, mask=np.ones_like(item.mask), mask_source="whole") for item in drawn]
        found = automask.apply(bare, regions_of(one), {}, Store(None, kinds.AUTOMASKS))
        overlap = [_mask_iou(a.mask, b.mask) for a, b in zip(found, drawn, strict=True)]
        whole = [float(item.mask.mean()) for item in drawn]
        print(f"masks {one.name:12} IoU {np.mean(overlap):.3f}, the whole photo {np.mean(whole):.3f}")


def _mask_iou(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / (one | two).sum())


def main() -> None:
    every_part = (
        spaces,
        fit,
        training,
        weights,
        parts,
        oracle,
        recall,
        masks,
        rules,
        negatives,
        chances,
        shots,
    )
    run_parts(__doc__, {part.__name__: part for part in every_part})


if __name__ == "__main__":
    main()
