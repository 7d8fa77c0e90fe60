"""Bridges to other tools over the session that the page shows: what a person draws there is an exemplar
here, in the log and in the bank, and what is judged here is found there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.routing import Route

from ..bank import Bank, Enrolment, Rows
from ..bank.verdicts import is_name
from ..config import ScoringOptions, Settings
from ..errors import ExemplarError
from ..exemplars import Exemplar
from ..images import LoadedImage
from ..integrations.exemplars import named
from ..integrations.learning import Learning
from ..integrations.predictor import Found, Lesson, Marks
from ..integrations.routes import routes
from ..integrations.sources import Sources
from ..live import limits
from ..live.events import Paste, Remove
from ..live.exemplars import Drawn
from ..live.history import PASTED
from ..masks import rle
from ..output import exemplar_picture
from ..regions import Models, load_models
from .body import read
from .desk import Desk
from .opening import Opened
from .work import Work


def bridges(ready: Opened, sources: Sources) -> list[Route]:
    """The routes of all bridges. sources: where pictures of Label Studio may come from."""
    settings = ready.settings
    models = _models(ready.by, settings)
    prompting = "auto"  # which an index says of proposals that read none, too
    if "prompting" in models.proposer.reads:  # as the page judges: regions are made without exemplars
        prompting = "everything"
    settings = replace(settings, proposals=replace(settings.proposals, prompting=prompting))
    good = ready.desk.shelf.good  # also while no bank says it
    method = "" if good is None else good.info.method
    learning = Learning(models, settings, SessionExemplars(ready.desk), method)
    return routes(Queued(learning, ready.work), read, sources)


@dataclass(frozen=True, slots=True)
class SessionExemplars:
    """The exemplars of the session; those of a bridge are pasted pictures, and each is an event that
    undo takes back."""

    desk: Desk

    @property
    def bank(self) -> Bank | None:
        with self.desk.lock:
            return self.desk.session.bank

    @property
    def saved(self) -> Bank | None:
        with self.desk.lock:
            return self.desk.session.saved

    def scoring(self, options: ScoringOptions, bank: Bank) -> ScoringOptions:
        with self.desk.lock:
            own = self.desk.session.said.limits
        return limits.of_classes(options, own, bank.classes)

    def put(self, key: str, items: Sequence[Exemplar], rows: Rows) -> None:
        for item in items:
            if item.label is not None and not is_name(item.label):
                raise ExemplarError(
                    f"{item.name}: {item.label!r:.60} is no name of a class.", "Rename it."
                )
        self.drop(key)
        for i, item in enumerate(items):
            row = rows.take([i])
            unnamed = replace(row, origins=(replace(row.origins[0], name=""),))
            picture = exemplar_picture(item.pixels, item.mask)
            with self.desk.lock:
                digest = self.desk.session.hold(Drawn(unnamed, rle.encode(item.mask), picture))
            self.desk.apply(Paste(_flat(item.name), item.label, digest))

    def drop(self, key: str) -> int:
        start = f"{PASTED}{_flat(named(key, ''))}"
        with self.desk.lock:
            mine = [name for name in self.desk.session.said.exemplars if name.startswith(start)]
        for name in mine:
            self.desk.apply(Remove(name))
        return len(mine)


class Queued:
    """A predictor whose models are another thread's, which does what is asked before its next image."""

    def __init__(self, learning: Learning, work: Work) -> None:
        self._learning, self._work = learning, work

    @property
    def classes(self) -> tuple[str, ...]:
        return self._learning.classes

    @property
    def version(self) -> str:
        return self._learning.version

    def load(self, data: bytes, name: str) -> LoadedImage:
        return self._learning.load(data, name)

    def predict(self, image: LoadedImage, name: str, least: float | None = None) -> list[Found]:
        return self._work.ask(lambda: self._learning.predict(image, name, least))

    def under(self, image: LoadedImage, name: str, marks: Marks) -> list[Found]:
        return self._work.ask(lambda: self._learning.under(image, name, marks))

    def learn(self, key: str, image: LoadedImage, lessons: Sequence[Lesson]) -> int:
        return self._work.ask(lambda: self._learning.learn(key, image, lessons))

    def forget(self, key: str) -> int:
        return self._learning.forget(key)


def _models(by: Enrolment | None, settings: Settings) -> Models:
    """The models that are there; beside an index they are loaded, for pictures that are not in it."""
    if by is None or by.proposer is None:
        return load_models(settings)
    return Models(by.backbone, by.proposer)


def _flat(name: str) -> str:
    """As the session calls what was pasted."""
    return name.replace("/", "-")
