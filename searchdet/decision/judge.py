"""A bank with its rule: records of regions, whoever made these. No model is needed from here on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any

import numpy.typing as npt

from ..bank import Bank, Gathered
from ..bank.describe import FOUND
from ..calibration import calibrated
from ..config import ScoringOptions, SuppressionOptions
from ..embeddings import spread
from ..errors import UsageError
from ..records import (
    SCHEMA,
    ExemplarInfo,
    ImageInfo,
    ImageRecord,
    ModelInfo,
    ProposalCounts,
    RunInfo,
    SpreadInfo,
    require_classes,
)
from ..regions import Regions
from ..storage.cache import key_of
from ..storage.values import JsonObject
from ..version import __version__
from .candidates import Look, Rule, judge_regions
from .told import told_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judge:
    """A bank with its rule: makes records of regions, whoever made these.

    models: what every record says of backbone, proposer and pooling. fingerprint: digest of all that
    decides a record beside its image. ignored: options that were given and cannot act, which is a fact
    of the run and of no record.
    """

    gathered: Gathered
    rule: Rule
    models: ModelInfo
    fingerprint: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def bank(self) -> Bank:
        return self.gathered.bank

    def record(
        self,
        image: ImageInfo,
        regions: Regions,
        look: Look | None = None,
        also: Sequence[int] = (),
    ) -> ImageRecord:
        """The record of one image. look: what sees rows of the regions once more, where the rule wants
        a second look; also: rows that are candidates though others are better."""
        said = self.gathered.said.get(image.content)
        told = told_of(said, regions, self.bank)
        judged = judge_regions(regions, self.bank, self.rule, look, told, also)
        made = judged.candidates
        found = regions.proposals
        figures = spread(regions.described.embedded)
        return ImageRecord(
            image=image.name,
            status="ok" if any(item.accepted for item in made) else "empty",
            width=image.width,
            height=image.height,
            sha256=image.sha256,
            candidates=made,
            classes=self.bank.classes,
            levels=_of_classes(self.bank.classes, judged.scene.levels),
            best_sizes=_of_classes(self.bank.classes, judged.scene.sizes),
            looked_at=judged.looked_at,
            run=self.run_info(),
            source=image.source,
            proposals=ProposalCounts(len(found), dict(found.removed), found.details),
            spread=None if figures is None else SpreadInfo(*astuple(figures)),
            settings_sha256=self.fingerprint,
        )

    def run_json(self) -> JsonObject:
        """What ``run.json`` says of the settings, as JSON values."""
        ignored: JsonObject = {"ignored_options": list(self.ignored)} if self.ignored else {}
        return {"settings": self.run_info().to_json(), **ignored}

    def exemplars_json(self) -> JsonObject:
        """What ``run.json`` says of the exemplars: classes, and names of both sides."""
        rows = {"positive": self.bank.positives, "negative": self.bank.negatives}
        names = {side: list(found.names) for side, found in rows.items()}
        if self.bank.by_normality:
            names["positive"] = []
        return {"exemplars": {"classes": list(self.bank.classes), **names}}

    def run_info(self) -> RunInfo:
        """What every record says about models, settings and exemplars."""
        bank, rule = self.bank, self.rule
        return RunInfo(
            models=self.models,
            scoring=rule.scoring,
            suppression=rule.suppression,
            thresholds={item.label: item for item in rule.thresholds},
            exemplars=ExemplarInfo(
                positive=0 if bank.by_normality else int(bank.positives.own.sum()),
                negative=len(bank.negatives),
                ignored_negatives=self.gathered.ignored,
                skipped=self.gathered.skipped,
                auto_masks=tuple(o.name for o in bank.positives.origins if o.mask_source in FOUND),
                miscut_negatives=self.gathered.miscut,
                shapes_known=bank.knows_shapes,
                views=int((~bank.positives.own).sum()),
            ),
            normality=bank.normality.info if bank.normality else None,
        )


def make_judge(
    gathered: Gathered,
    scoring: ScoringOptions,
    suppression: SuppressionOptions,
    models: ModelInfo,
) -> Judge:
    """``judge_of``, with a WARNING of classes that their examples do not separate."""
    judge = judge_of(gathered, scoring, suppression, models)
    for item in judge.rule.thresholds:
        if item.separates is False:
            log.warning(
                "%s: these folders do not separate: an example of it outscores what is not it in "
                "%.0f %% of the pairs. See `searchdet bank audit`.",
                item.label,
                100 * (item.auc or 0),
            )
    return judge


def judge_of(
    gathered: Gathered,
    scoring: ScoringOptions,
    suppression: SuppressionOptions,
    models: ModelInfo,
) -> Judge:
    """Find the thresholds. scoring: with a resolved second look, which takes a bank with crops. Raises
    UsageError where the options name a class that the bank does not have, or a second look that it does
    not hold."""
    bank = gathered.bank
    require_classes((*scoring.class_min_score, *scoring.class_min_margin), bank.classes)
    if not scoring.second_look:
        bank = bank.without_crops()
    elif not bank.looks_closer:
        raise UsageError(
            "the bank holds no second look at its exemplars.",
            "Build it again with --second-look, or pass --second-look 0.",
        )
    if scoring.scale == "same" and not (bank.knows_sizes or bank.by_normality):
        raise UsageError(
            f"--scale {scoring.scale}: of a class no exemplar says how large the object is.",
            "Give one a mask, an alpha channel or a LabelMe file; build an older bank again.",
        )
    chosen, usual = calibrated(bank, scoring)
    rule = Rule(scoring, suppression, chosen, tuple(usual.tolist()))
    judge = Judge(replace(gathered, bank=bank), rule, models)
    return replace(judge, fingerprint=_fingerprint(judge))


def _of_classes(classes: Sequence[str], values: npt.NDArray[Any] | None) -> dict[str, float]:
    return {} if values is None else dict(zip(classes, values.tolist(), strict=True))


def _fingerprint(judge: Judge) -> str:
    """By what the exemplars are, not by their vectors, whose last bits may differ on other machines."""
    bank = judge.bank
    rows = [[asdict(o) for o in side.origins] for side in (bank.positives, bank.negatives)]
    told = [[content, of.masks, of.labels] for content, of in judge.gathered.said.items()]
    return key_of(
        {
            "form": [SCHEMA, __version__],
            "said": judge.run_info().to_json(),
            "bank": [rows, bank.labels.tolist(), list(bank.classes)],
            **({"normality": bank.normality.digest} if bank.normality else {}),
            **({"told": told} if told else {}),
        }
    )
