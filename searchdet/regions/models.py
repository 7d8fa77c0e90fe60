"""The models of a run, put together in one place: backbone, proposer, and what is made with both."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace

from .. import backbones, proposals
from ..backbones import Backbone
from ..config import ProposalOptions, ScoringOptions, Settings
from ..config.acting import CHOOSING, acting, warn
from ..config.normality import METHODS
from ..errors import UsageError
from ..proposals import Proposer
from ..proposals.choice import Choice, choice_of
from ..records import BackboneInfo, ModelInfo, ProposerInfo
from ..weights import LoadedBefore
from .describe import READS as TILES
from .describe import Describer, Promise, Unusual

log = logging.getLogger(__name__)
WITHOUT_NORMALS = (
    frozenset(item.name for item in fields(ScoringOptions)) - {"normal_weight"},
    "a search without --normal",
)
"""Which options of the score act where nothing says what is normal, and the words for that."""


@dataclass(frozen=True, slots=True)
class Models:
    """A backbone and a proposer. fallback: the proposer stands in for one with weights. choice: what
    ``--proposals auto`` took, where there was something to choose."""

    backbone: Backbone
    proposer: Proposer
    fallback: bool = False
    choice: Choice | None = None

    def effective(
        self, settings: Settings, own: tuple[str, int] | None = None, normal: str = ""
    ) -> tuple[Settings, tuple[str, ...]]:
        """The settings without what cannot act, which is said in a WARNING, and the flags of that. own:
        what ``--prompting auto`` and a second look that is not given are; None: the models' own.
        normal: how it is known what is normal; "" where it is not."""
        prompting, looks = own or (self.proposer.prompting, self.backbone.second_look)
        reads = self.proposer.reads | TILES | CHOOSING
        found, unread = acting(settings.proposals, reads, self.proposer.name)
        if found.prompting == "auto":
            found = replace(found, prompting=prompting)
        embedding, unpooled = acting(settings.embedding)
        scoring, unscored = acting(settings.scoring, *((None, "") if normal else WITHOUT_NORMALS))
        learned = normal in METHODS  # else each image is its own measure, or nothing is normal
        normality, unlearned = acting(
            settings.normality,
            None if learned else frozenset({"by_image"}),
            "a search without --normal",
        )
        scoring = self._looking(scoring, looks)
        suppression, unsuppressed = acting(settings.suppression)
        ignored = warn([*unread, *unpooled, *unscored, *unlearned, *unsuppressed])
        kept = replace(settings, proposals=found, embedding=embedding, scoring=scoring)
        return replace(kept, suppression=suppression, normality=normality), ignored

    def _looking(self, scoring: ScoringOptions, own: int) -> ScoringOptions:
        """With a second look where the user does not say. Raises UsageError where one is wanted and
        nothing looks again."""
        if scoring.second_look and self.backbone.closer is None:
            raise UsageError(
                f"--second-look needs a network, which {self.backbone.name} is not.", "Leave it out."
            )
        return replace(scoring, second_look=scoring.looks(own))

    def describer(
        self, settings: Settings, promise: Promise | None = None, unusual: Unusual | None = None
    ) -> Describer:
        """What makes regions of an image. promise: for guided prompting; unusual: beside what is
        normal."""
        given = (settings.proposals, settings.embedding, promise, unusual)
        return Describer(self.backbone, self.proposer, *given)

    def info(self, settings: Settings) -> ModelInfo:
        """What a record says of the models."""
        backbone, proposer = self.backbone, self.proposer
        precision = proposer.compute.precision if proposer.compute else None
        return ModelInfo(
            BackboneInfo(
                backbone.name, backbone.preprocessing, backbone.compute.precision, backbone.weights
            ),
            ProposerInfo(proposer.name, self.fallback, precision, proposer.weights, settings.proposals),
            settings.embedding,
            settings.reading.bounds,
        )


def load_models(settings: Settings, defer: bool = True) -> Models:
    """Find both weight files, then load both models.

    defer: a network whose weights have loaded before waits for the first image that needs it. Raises
    CheckpointError or UsageError.
    """
    chosen, fallback = choose_proposals(settings.proposals)
    backbones.check(settings.backbone)
    before = LoadedBefore(settings.cache, eager=not defer)
    backbone = backbones.load(settings.backbone, before)
    device, precision = settings.backbone.device, settings.backbone.precision
    proposer = proposals.load(chosen, device, precision, before)
    return Models(backbone, proposer, fallback, choice_of(settings.proposals, chosen))


def choose_proposals(options: ProposalOptions) -> tuple[ProposalOptions, bool]:
    """``proposals.choose``, and whether ``regions`` stands in for SAM, which is said in a WARNING.

    So is which of several official files was taken; that the content of a given one decided is an INFO.
    """
    chosen = proposals.choose(options)
    if choice := choice_of(options, chosen):
        log.log(logging.WARNING if choice.others else logging.INFO, "%s", choice.words)
    stands_in = proposals.weights_of(chosen.name) is None and chosen.masks_from is None
    fallback = options.name == "auto" and stands_in
    if fallback:
        log.warning(
            "No SAM checkpoint was given or found: proposals come from `regions`, the embedded "
            "segmentation. Pass --sam-checkpoint FILE for SAM masks."
        )
    return chosen, fallback
