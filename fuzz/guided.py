"""The same targets under atheris, which keeps what reaches new code of searchdet and of Pillow.

`pip install atheris`, then `python fuzz/guided.py --seconds 60`. Without atheris it does nothing. Only
Python code is watched, not the decoders below it. A finding goes to fuzz/found/, as those of mutate.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import random
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from mutate import FOUND, keep, signature

LIMITS: tuple[str, ...] = ("-timeout=10", "-rss_limit_mb=4096", "-max_len=1000000", "-verbosity=0")
LIMITS += ("-print_final_stats=1", f"-artifact_prefix={FOUND}/")
"""Of libFuzzer."""


def main() -> int:
    """Each target in a process of its own, which libFuzzer ends; exit 1 if one found something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", action="append", help="images, records, ...; repeatable; all")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed, so nothing is guided by coverage.", file=sys.stderr)
        return 0
    if options.one:
        return _fuzz(options.one, options.seconds)
    from seeds import SEEDS

    chosen, bad = options.target or list(SEEDS), 0
    for target in chosen:
        seconds = str(options.seconds / len(chosen))
        words = [sys.executable, __file__, "--one", target, "--seconds", seconds]
        code = subprocess.run(words, check=False).returncode
        print(f"{target}: {'a finding' if code else 'nothing found'}", file=sys.stderr, flush=True)
        bad += code != 0
    return int(bad > 0)


def _fuzz(target: str, seconds: float) -> int:
    """One target, in this process."""
    import atheris

    with atheris.instrument_imports(include=["searchdet", "PIL"], enable_loader_override=False):
        from targets import outcome
    from formats import reshaped
    from mutations import damaged
    from seeds import SEEDS, Case

    corpus = SEEDS[target]()
    names = sorted({case.name for case in corpus})
    pieces = [case.data for case in corpus]

    def changed(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        change = reshaped if rng.random() < 0.5 else damaged
        return (data[:1] + change(rng, data[1:], pieces))[:most]

    def one(data: bytes) -> None:
        case = Case(names[data[0] % len(names)] if data else names[0], data[1:])
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome(target, case, Path(folder))
            except BaseException as error:
                trace = "".join(traceback.format_exception(error))
                keep(f"{target}--guided--{case.name}", case.data, trace)
                print(signature(type(error).__name__, trace), file=sys.stderr)
                raise

    FOUND.mkdir(exist_ok=True)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SEARCHDET_CACHE"] = f"{folder}/cache"
        place = Path(folder) / "corpus"
        place.mkdir()
        for number, case in enumerate(corpus):
            start = bytes([names.index(case.name) % 256])
            (place / str(number)).write_bytes(start + case.data)
        words = [*LIMITS, f"-max_total_time={max(1, int(seconds))}", str(place)]
        atheris.Setup([sys.argv[0], *words], one, custom_mutator=changed)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
