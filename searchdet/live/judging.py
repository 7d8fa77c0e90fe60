"""What holds, as a judge and what it finds: the bank, its rule, the view, and the second pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ..bank import Bank, JudgedBy, settled
from ..config import Limits, Settings
from ..config.acting import acting
from ..decision import Judge, judge_of
from ..normality import suited
from ..regions import WITHOUT_NORMALS
from . import limits
from .board import Board
from .changes import Accepted
from .exemplars import Drawer, bank_of
from .history import Said
from .secondpass import Pass, with_pseudo
from .view import View

JUDGED = JudgedBy("everything", 0)
"""How a session judges, which the bank says."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person sees. saved: the bank of all exemplars, None without a positive one where no good
    parts say what is normal; bank: the same with pseudo-exemplars where the second pass is on; view:
    what its judge finds. first: what the saved bank's judge finds, where that differs."""

    saved: Bank | None = None
    bank: Bank | None = None
    judge: Judge | None = None
    view: View | None = None
    plain: Judge | None = None
    first: View | None = None
    second: Pass = Pass()

    @property
    def accepted(self) -> Accepted:
        """What is found."""
        return Accepted.of(self.view, self.judge.bank.classes if self.judge else ())


class Court:
    """Turns what holds into what is shown, on one board."""

    def __init__(self, board: Board, start: Bank | None, drawer: Drawer, settings: Settings) -> None:
        self._board, self._start, self._drawer, self._settings = board, start, drawer, settings

    def show(self, said: Said) -> Shown:
        """What is found with all that holds. Raises UsageError where an exemplar cannot be read."""
        shelf = self._board.shelf
        saved = bank_of(said, self._start, self._drawer, shelf.space, shelf.normality)
        if saved is None:
            return Shown()
        saved = replace(saved, judged=JUDGED)
        return self._seen(saved, self._judge(saved, said.limits), said)

    def again(self, shown: Shown, said: Said) -> Shown:
        """The same with the images that were added."""
        if shown.saved is None or shown.plain is None:
            return shown
        return self._seen(shown.saved, shown.plain, said)

    def _seen(self, saved: Bank, judge: Judge, said: Said) -> Shown:
        view = self._board.view(judge)
        plain = Shown(saved, saved, judge, view, judge, view)
        if not said.second_pass:
            return plain
        if saved.by_normality:  # what is unusual shows nothing that others are like
            return replace(plain, second=Pass(True))
        bank, pseudo = with_pseudo(saved, judge, view, self._board.shelf, regions_of(said))
        if not pseudo:
            return replace(plain, second=Pass(True))
        second = self._judge(bank, said.limits)
        after = self._board.view(second)
        effect = Pass.between(pseudo, plain.accepted, Accepted.of(after, second.bank.classes))
        return Shown(saved, bank, second, after, judge, view, effect)

    def _judge(self, bank: Bank, own: Limits) -> Judge:
        options = self._settings
        scoring = replace(options.scoring, second_look=0)
        if bank.normality is not None:
            scoring = suited.scoring_beside(scoring, not bank.by_normality)
        scoring, _ = acting(scoring, *(WITHOUT_NORMALS if bank.normality is None else (None, "")))
        suppression, _ = acting(options.suppression)
        gathered = settled(bank, options.exemplars)
        models = self._board.shelf.models
        with ThreadPoolExecutor(1) as pool:  # thresholds and regions, side by side
            comparing = pool.submit(self._board.prepare, gathered.bank, scoring)
            of = limits.of_classes(scoring, own, bank.classes)
            made = judge_of(gathered, of, suppression, models)
            comparing.result()
        return made


def regions_of(said: Said) -> set[tuple[str, int]]:
    """Regions that something was said of, or that are exemplars."""
    own = {(item.image, item.row) for item in said.exemplars.values() if item.row >= 0}
    return {*said.verdicts, *own}
