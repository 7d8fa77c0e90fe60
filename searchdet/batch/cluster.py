"""Detection by the actors of a Ray cluster, and by its own rules: plain actors and not Ray Data, which
tries a row that ends its actor again without end, gives results out of order, and starts five times as
slowly.

Each actor has up to ``DEPTH`` images; an image whose actor is lost goes to another one. Nothing is
searched twice for it: actors look at the records of the output folder first, as every run does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..bank import Read, read
from ..errors import ResourceError, counted
from ..images import Query
from ..storage import files
from ..storage.values import JsonObject
from . import runner as batch
from .actor import Answer, Needs, Searcher
from .raycluster import Cluster, Room
from .runner import Result
from .worker import Crashed, Worker, WorkerSpec

log = logging.getLogger(__name__)

DEPTH = 2
"""Images that an actor has: one that is searched, and one so that it need not wait for the next."""
AHEAD = 16
"""Images an actor that may be done before the oldest one is, which holds back the others' results."""
TRIES = 3
"""How often an image may end the process that searches it until that is its record."""
LOSSES = 10
"""How often the actor itself may end with an image. That is the machine's doing, most often."""
STARTS = 10
"""Starts of an actor in a row that may fail, for each of them."""
WAIT_SECONDS = 30.0
"""Until it is said that a cluster has no room."""
_SENT = ("SEARCHDET_", "OMP_", "MKL_", "HF_")
"""Variables of the environment that actors have as the driver has them."""


@dataclass(slots=True)
class _Slot:
    """One actor. loading: what it answers once models are there; searching: what it answers for
    images, by their number, oldest first. Futures of Python, as signals break Ray's own waiting."""

    actor: Any
    loading: Future[Answer] | None = None
    ready: bool = False
    searching: deque[tuple[int, Future[Answer]]] = field(default_factory=deque)

    @property
    def next(self) -> Future[Answer] | None:
        """What it answers next; None where nothing is asked."""
        return self.searching[0][1] if self.searching else self.loading


@dataclass(slots=True)
class _Images:
    """The images of a run by number: which are to be searched, and which are done but not told."""

    queries: list[Query]
    waiting: deque[int]
    done: dict[int, Result] = field(default_factory=dict)
    told: int = 0
    tries: Counter[int] = field(default_factory=Counter)
    losses: Counter[int] = field(default_factory=Counter)


class RaySearch:
    """As ``Worker``, with many of them. timeout: seconds that an image may take, None is any; address:
    None is a cluster of this machine; actors: None is one for each card of the cluster."""

    def __init__(
        self, job: WorkerSpec, timeout: float | None, address: str | None, actors: int | None
    ) -> None:
        Worker(job, timeout)  # refuses a timeout that is none
        self._job = job
        self._timeout = timeout
        self._asked = (address, actors)
        self._cluster: Cluster | None = None
        self._made: Any = None
        self._room = Room(0, 0)
        self._token: tuple[Path, bytes] | None = None
        self._given: Any = None
        self._slots: list[_Slot] = []
        self._facts: JsonObject = {}
        self._nodes: set[str] = set()
        self._lost = self._failing = 0
        self._version = ""

    def start(self) -> None:
        """Read the examples, join the cluster, and load the models of a first actor, which makes the
        bank for all. Raises what ``Detector.build`` raises, UsageError and ResourceError."""
        given = read(self._job.examples, self._job.settings)
        begun = False
        try:
            self._cluster = Cluster(*self._asked)
            self._room = self._cluster.room(self._job.settings.backbone.device, self._asked[1])
            self._prepare()
            self._slots = [_Slot(self._actor()) for _ in range(self._room.actors)]
            self._gather(given)
            begun = True
        finally:
            if not begun:
                self.close()

    def facts(self) -> JsonObject:
        """What a run says of models, examples and the engine."""
        engine: JsonObject = {
            "name": "ray",
            "version": self._version,
            "actors": self._room.actors,
            "nodes": len(self._nodes),
            "actors_lost": self._lost,
        }
        return {**self._facts, "engine": engine}

    def run(self, queries: Iterable[Query]) -> Iterator[Result]:
        """As ``batch.run``, in the same order. An image over time is recorded as ``timeout``, one that
        ends its process again and again as ``crash``."""
        found = list(queries)
        images = _Images(found, deque(range(len(found))))
        try:
            while images.told < len(found):
                self._hand_out(images)
                while images.told in images.done:
                    images.told += 1
                    yield images.done.pop(images.told - 1)
                if images.told < len(found):
                    self._take(images)
        finally:
            self.close()

    def close(self) -> None:
        """End the actors, and leave the cluster."""
        cluster, slots = self._cluster, self._slots
        self._cluster, self._slots = None, []
        if self._token is not None:
            with contextlib.suppress(OSError):
                self._token[0].unlink()
        if cluster is not None:
            for slot in slots:  # nothing is written once the run has ended
                cluster.ray.kill(slot.actor)
            cluster.close()

    @property
    def _ray(self) -> Any:
        if self._cluster is None:
            raise ResourceError("the cluster was left.", "Run again to go on.")
        return self._cluster.ray

    def _prepare(self) -> None:
        """What every actor is made of, sent once."""
        ray, output = self._ray, self._job.output
        self._version = str(ray.__version__)
        if output is not None and isinstance(output.folder, Path):  # a store is the same for all
            self._token = (files.temporary_path(output.folder), secrets.token_bytes(16))
        sent = ((name, value) for name, value in os.environ.items() if name.startswith(_SENT))
        needs = Needs(Path.cwd(), tuple(sorted(sent)), token=self._token)
        remote = ray.remote(
            num_cpus=1,
            num_gpus=self._room.cards,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )(Searcher)
        job = ray.put(replace(self._job, handed_over=True))
        self._made = lambda: remote.remote(job, self._timeout, needs)

    def _actor(self) -> Any:
        """A new one. The token is written anew: another run may have swept it away."""
        if self._token is not None:
            files.write_bytes(*self._token)
        return self._made()

    def _gather(self, given: Read) -> None:
        """The bank, by the first actor; the others load their models meanwhile."""
        ray, loaded = self._ray, None
        self._given = ray.put(given)
        self._load(self._slots[0])
        while loaded is None:
            for slot, answered in self._answering(self._slots[:1]):
                answer = self._heard(slot, answered)
                loaded = None if answer is None else answer.value
                self._say(answer)
        self._facts, gathered = loaded.facts, loaded.gathered
        if self._job.output is not None:
            self._job.output.preview(gathered.shown)
        self._given = ray.put(gathered)
        for slot in self._slots[1:]:
            self._load(slot)

    def _load(self, slot: _Slot) -> None:
        slot.loading = slot.actor.load.remote(self._given).future()

    def _hand_out(self, images: _Images) -> None:
        """Give each actor that is ready what it may have; towards the end no two to one."""
        waiting, most = images.waiting, images.told + AHEAD * len(self._slots)
        while waiting and waiting[0] < most:
            ready = [slot for slot in self._slots if slot.ready]
            depth = DEPTH if len(waiting) > len(ready) else 1
            free = min(ready, key=lambda slot: len(slot.searching), default=None)
            if free is None or len(free.searching) >= depth:
                return
            number = waiting.popleft()
            asked = free.actor.search.remote(images.queries[number])
            free.searching.append((number, asked.future()))

    def _take(self, images: _Images) -> None:
        """Wait for an answer, and note what it says."""
        for slot, answered in self._answering(self._slots):
            was_ready = slot.ready
            answer = self._heard(slot, answered, images)
            if answer is not None and was_ready:
                self._say(answer)
                number, _ = slot.searching.popleft()
                self._note(images, number, answer.value)

    def _answering(self, slots: list[_Slot]) -> list[tuple[_Slot, Future[Answer]]]:
        """Those that have answered, or are lost, and with what."""
        asked = {slot.next: slot for slot in slots if slot.next is not None}
        answered, _ = wait(asked, WAIT_SECONDS, FIRST_COMPLETED)
        if not answered and not any(slot.ready for slot in self._slots) and self._cluster is not None:
            actors, free = counted(self._room.actors, "actor"), self._cluster.free()
            log.warning("None of %s has loaded its models yet; free in the cluster: %s.", actors, free)
        return [(asked[one], one) for one in answered]

    def _heard(
        self, slot: _Slot, answered: Future[Answer], images: _Images | None = None
    ) -> Answer | None:
        """What a slot has answered; None where its actor is lost, in whose place there is a new one.
        Raises what ends a run."""
        ray = self._ray
        try:
            answer: Answer = answered.result()
        except ray.exceptions.RayError as error:
            self._replace(slot, images, str(error))
            return None
        if isinstance(answer.error, ResourceError):
            self._replace(slot, images, answer.error.message)
            return None
        if answer.error is not None:
            raise answer.error
        slot.ready, slot.loading, self._failing = True, None, 0
        self._nodes.add(answer.node)
        return answer

    def _replace(self, slot: _Slot, images: _Images | None, why: str) -> None:
        """A new actor in the place of one that is lost; its images wait again."""
        self._lost += 1
        self._failing += not slot.ready
        first = why.strip().split("\n")[0].rstrip(".")
        if self._failing > STARTS * self._room.actors:
            raise ResourceError(
                f"{self._failing} actors in a row ended before their models were there ({first}).",
                "Try fewer --actors, or look into the logs of Ray on that node.",
            )
        log.warning("An actor is lost, and what it had goes to others (%s).", first)
        if images is not None:
            self._give_back(images, [number for number, _ in slot.searching])
        self._ray.kill(slot.actor)
        slot.actor, slot.ready, slot.searching = self._actor(), False, deque()
        self._load(slot)

    def _give_back(self, images: _Images, numbers: list[int]) -> None:
        """Images of an actor that is lost wait again, first of all. The first was searched: one that
        was lost too often is recorded."""
        if numbers:
            images.losses[numbers[0]] += 1
        if numbers and images.losses[numbers[0]] >= LOSSES:
            query = images.queries[numbers[0]]
            error = Crashed(f"{query.path}: ended {LOSSES} actors that searched it.")
            images.done[numbers.pop(0)] = batch.fail(query, error, "", self._job.output)
        images.waiting.extendleft(reversed(numbers))

    def _note(self, images: _Images, number: int, result: Result) -> None:
        """A result; an image that ended its process is tried again at first."""
        error = result.record.error
        if error is not None and error.code == Crashed.code:
            images.tries[number] += 1
            if images.tries[number] < TRIES:
                images.waiting.appendleft(number)
                return
        images.done[number] = result

    def _say(self, answer: Answer | None) -> None:
        for level, text in answer.said if answer is not None else ():
            log.log(level, "%s", text)
