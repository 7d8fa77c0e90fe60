"""A mutation fuzzer of everything that searchdet reads: `python fuzz/mutate.py --seconds 60`.

Sound files are damaged at random, each by its own number, so that a case is the same on every run.
What ends in anything but an error of errors.py, takes more than 5 s or more than 2 GB, or ends the
process, is written to fuzz/found/ and makes the exit code 1. Nothing here knows which code a case
reaches; for that see guided.py, which needs atheris.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent), str(ROOT)]
FOUND = Path(__file__).parent / "found"


@dataclass(slots=True)
class Tally:
    """What became of the cases of a target."""

    target: str
    outcomes: Counter[str] = field(default_factory=Counter)
    signatures: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    memory: int = 0
    clock: float = 0.0

    @property
    def bad(self) -> int:
        """Cases outside what is expected."""
        return sum(self.signatures.values())

    def row(self) -> str:
        """A line of a Markdown table."""
        good = {
            name: n for name, n in self.outcomes.items() if not name.startswith(("outside", "ended"))
        }
        accepted = good.pop("accepted", 0)
        said = ", ".join(f"{name} {n}" for name, n in sorted(good.items(), key=lambda item: -item[1]))
        total = sum(self.outcomes.values())
        figures = f"{self.clock:.0f} s | {self.slowest:.2f} s | {self.memory >> 20} MiB"
        return f"| {self.target} | {total} | {accepted} | {said} | {self.bad} | {figures} |"


HEAD = (
    "| target | cases | accepted | expected errors | outside | time | slowest case | most memory |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    """Parse, run, print."""
    options = _options()
    if options.replay:
        return _replay(options.replay)
    from seeds import SEEDS

    logging.disable(logging.CRITICAL)
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    print(f"--seed {options.seed}", file=sys.stderr)
    chosen = options.target or list(SEEDS)
    tallies = []
    for target in chosen:
        tally = _run(options, target, options.seconds / len(chosen))
        tallies.append(tally)
        print(f"{target}: {dict(tally.outcomes)}", file=sys.stderr, flush=True)
        for place, count in tally.signatures.items():
            print(f"  {count} x {place}", file=sys.stderr, flush=True)
    print("\n".join([HEAD, *(tally.row() for tally in tallies)]))
    return int(any(tally.bad for tally in tallies))


def _run(options: argparse.Namespace, target: str, seconds: float) -> Tally:
    """Cases of one target, until their number or the time is reached."""
    from seeds import SEEDS
    from watch import case_of, results

    corpus, tally = SEEDS[target](), Tally(target)
    started = time.monotonic()

    def numbers() -> Iterator[int]:
        last = options.start + options.cases if options.cases else None
        for number in itertools.islice(
            itertools.count(options.start), None if last is None else options.cases
        ):
            if last is None and time.monotonic() - started > seconds:
                return
            yield number

    for result in results(options.seed, target, corpus, numbers()):
        tally.outcomes[result.outcome] += 1
        tally.slowest = max(tally.slowest, result.seconds)
        tally.memory = max(tally.memory, result.memory)
        if result.trace or result.outcome.startswith("ended"):
            place = signature(result.outcome, result.trace)
            tally.signatures[place] += 1
            if tally.signatures[place] == 1:
                case = case_of(options.seed, target, result.number, corpus)
                keep(
                    f"{target}--{result.number}--{case.name}", case.data, result.trace or result.outcome
                )
    tally.clock = time.monotonic() - started
    return tally


def signature(outcome: str, trace: str) -> str:
    """What tells one bug from another: the error and the last place of ours in the trace."""
    places = re.findall(r'File "[^"]*/(searchdet/[^"]+)", line (\d+)', trace)
    return f"{outcome} at {':'.join(places[-1])}" if places else outcome


def keep(name: str, data: bytes, text: str) -> None:
    """Write a case that found something, with what it found."""
    FOUND.mkdir(exist_ok=True)
    (FOUND / name).write_bytes(data)
    (FOUND / f"{name}.txt").write_text(text, encoding="utf-8", errors="backslashreplace")


def _replay(path: Path) -> int:
    """Run one kept case in this process, to see its traceback."""
    import tempfile

    from seeds import Case
    from targets import outcome

    target, _, name = path.name.split("--", 2)
    with tempfile.TemporaryDirectory() as folder:
        print(outcome(target, Case(name, path.read_bytes()), Path(folder)))
    return 0


def _options() -> argparse.Namespace:
    from seeds import SEEDS

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", action="append", choices=list(SEEDS), help="repeatable; all")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--cases", type=int, default=0, help="of each target, instead of --seconds")
    parser.add_argument("--start", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, help="which cases; another on each run if not given")
    parser.add_argument("--replay", type=Path, help="a file of fuzz/found/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
