"""What ``--proposals auto`` took where there was something to choose, and why; said and recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config import ProposalOptions
from ..storage.values import JsonObject
from . import AUTO, PROPOSERS, weights_of


@dataclass(frozen=True, slots=True)
class Choice:
    """The proposer and the file that ``auto`` took. by: ``content``, where the given file told which
    proposer reads it, or ``order``, where several official files are there. others: the official files
    that were passed over."""

    name: str
    file: Path
    by: str
    others: tuple[Path, ...] = ()

    @property
    def words(self) -> str:
        """One sentence with the next step."""
        taken = f"proposals: {self.name} from {self.file}"
        if self.by == "content":
            return f"{taken} (its content says so; name another with --proposals)."
        others = ", ".join(path.name for path in self.others)
        return f"{taken} (also there: {others}; name another with --proposals or --sam-checkpoint)."

    def to_json(self) -> JsonObject:
        """As ``run.json`` holds it; files by their names."""
        return {
            "name": self.name,
            "file": self.file.name,
            "by": self.by,
            "also_there": [path.name for path in self.others],
        }


def choice_of(given: ProposalOptions, chosen: ProposalOptions) -> Choice | None:
    """How ``choose`` came from what was given to what it chose; None where there was only one way: a
    proposer is named or needs no weights, or one official file alone is there."""
    if given.name != AUTO or chosen.checkpoint is None:
        return None
    if given.checkpoint is not None:
        return Choice(chosen.name, chosen.checkpoint, "content")
    every = [path for name in PROPOSERS if (own := weights_of(name)) for path in own.found()]
    others = tuple(path for path in dict.fromkeys(every) if path != chosen.checkpoint)
    return Choice(chosen.name, chosen.checkpoint, "order", others) if others else None
