"""What options that are off by default give on the annotated sets: AP50, F1 and false detections.

    python benchmarks/bench_options.py [rules] [augment]

K = 5 with all negatives, one draw, the default backbone and proposer. PHOTOS=12 looks at so many
photographs of each set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from accuracy import Case, Outcome, averaged, case, header, line, measure
from common import SETS, run_parts
from sets import Photo, Set, bank_of, drawn, every, gathered

from searchdet.bank import Bank
from searchdet.bank.build import settle
from searchdet.bank.views import gains
from searchdet.config import ExemplarOptions
from searchdet.config.run import AUGMENTS
from searchdet.decision import Look
from searchdet.evaluation.metrics import mean
from searchdet.regions import Regions

RULES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "--scale any": {"scale": "any"},
    "--scale same": {"scale": "same"},
    "--pos-agg consensus": {"pos_agg": "consensus"},
    "--negative-quantile 0.9": {"negative_quantile": 0.9},
    "--cross-negatives": {"cross_negatives": True},
    "--ratio 1.2": {"ratio": 1.2},
    "--suppression box_nms": {"suppression": "box_nms"},
    "--suppression nms": {"suppression": "nms"},
}


@dataclass(frozen=True)
class Guided(Photo):
    """A photograph whose regions are those that one bank is asked for, whatever it is compared with."""

    by: Bank | None = None

    def regions(self, bank: Bank | None = None) -> Regions:
        return super().regions(self.by)

    def look(self, regions: Regions, bank: Bank | None = None) -> Look:
        return super().look(regions, self.by)


def rules() -> None:
    """Options of the score and the decision, with the same regions."""

    def cases(one: Set) -> tuple[Set, dict[str, Case]]:
        bank = gathered(one, 5, 0).bank
        return one, {name: case(one, bank, **change) for name, change in RULES.items()}

    tell(cases)


def augment() -> None:
    """--augment, and what the audit says of it: each kind, and all, with the regions of the examples
    as they are."""

    def cases(one: Set) -> tuple[Set, dict[str, Case]]:
        chosen = drawn(one, 5, 0)
        whole = bank_of(one, chosen, ",".join(AUGMENTS))
        for item in gains(whole):
            change = "-" if item.lead is None else f"{item.lead:+.4f} +- {item.error:.4f}"
            print(f"  {one.name} {','.join(item.kinds)}: {change}, {item.verdict}", flush=True)
        wanted = {"none": "none"} | {kind: kind for kind in AUGMENTS} | {"all": ",".join(AUGMENTS)}
        made = {}
        for title, kinds in wanted.items():
            bank = settle(bank_of(one, chosen, kinds), ExemplarOptions()).bank
            made[f"--augment {title}"] = case(one, bank)
        plain = made["--augment none"].bank
        photos = tuple(Guided(p.image_id, p.path, p.remembered, plain) for p in one.photos)
        return replace(one, photos=photos), made

    tell(cases)


def tell(cases: Callable[[Set], tuple[Set, dict[str, Case]]]) -> None:
    """Figures of the cases of each set, a line each; NaN for a set that has a case not."""
    made: dict[str, dict[str, Outcome]] = {}
    for one in every():
        made[one.name] = measure(*cases(one))
        for name, outcome in made[one.name].items():
            print(f"  {one.name} {name}: {mean(outcome.figures, 'ap50'):.3f}", flush=True)
    header([name for name in SETS if name in made])
    for title, figure in (("AP50", "ap50"), ("F1", "f1"), ("false", "false_per_absent")):
        for name in dict.fromkeys(name for outcomes in made.values() for name in outcomes):
            figures = {
                which: averaged([outcomes[name].figures], figure) if name in outcomes else float("nan")
                for which, outcomes in made.items()
            }
            line(f"{title}, {name}", figures)


if __name__ == "__main__":
    run_parts(__doc__, {"rules": rules, "augment": augment})
