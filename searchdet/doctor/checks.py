"""Is everything sound: environment, folders, weight files, and what they compute.

Findings only; nothing is repaired. Each problem comes with one sentence that says what to do.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..backbones.filterbank import FilterbankBackbone
from ..errors import EmbeddingError, OutputError
from ..models import Judged, Verdict, judge, look, published, weight_files
from ..proposals import PROPOSERS, weights_of
from ..storage import files, kinds
from ..storage.cachefolder import usage
from ..version import versions
from ..weights import Compute, models_folder, resolve
from . import canary, environment
from .canary import Canary, Memory
from .finding import OK, PROBLEM, WARNING, Finding

LEAST_FREE = 2 * 10**9
"""Below this, a cache or a download soon fills the disk."""


def examine(cache: Path, quick: bool = False) -> list[Finding]:
    """All findings. quick: weight files are hashed, not loaded."""
    found = [*environment.examine(), models(), *places(cache), filterbank()]
    memory, compute = Memory.below(cache), resolve("auto", "auto")
    for path in weight_files(models_folder()):
        found += [weights(look(path))] if quick else weights_and_canary(path, compute, memory)
    return found


def models() -> Finding:
    """The folder for weight files."""
    folder = models_folder()
    if not folder.is_dir():
        return Finding(
            "models folder", OK, f"{folder.absolute()}: not there; the embedded models need none"
        )
    count = len(weight_files(folder))
    fact = f"{folder.absolute()}: {count} weight file{'' if count == 1 else 's'}"
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(
            "models folder", PROBLEM, f"{fact}, cannot be read", "Change its permissions.", place=True
        )
    return Finding("models folder", OK, fact)


def places(cache: Path) -> list[Finding]:
    """The cache folder and the room on its disk."""
    remedy = "Set SEARCHDET_CACHE to a folder that can be written; without one every run starts anew."
    try:
        files.probe_folder(cache)
    except OutputError as error:
        return [Finding("cache", PROBLEM, error.message, remedy, place=True)]
    rows = usage(cache)
    size, count = sum(row.size for row in rows), sum(row.entries for row in rows)
    free = shutil.disk_usage(cache).free
    space = Finding("disk", OK, f"{free / 1e9:.1f} GB free at {cache}")
    if free < LEAST_FREE:
        space = Finding(
            "disk", WARNING, space.fact, "Run `searchdet cache prune --max-size 1G`, or make room."
        )
    return [Finding("cache", OK, f"{cache}: {count} entries, {size / 1e6:.1f} MB, writable"), space]


def filterbank() -> Finding:
    """The canary of the embedded backbone against the numbers of the project."""
    backbone = FilterbankBackbone()
    seen = canary.of_backbone(backbone, backbone.compute)
    expected = canary.EXPECTED[backbone.name]
    if seen.differs(expected):
        return Finding(
            f"canary {backbone.name}",
            PROBLEM,
            f"{seen.text()}; should be {' '.join(f'{number:.4f}' for number in expected)}",
            "OpenCV, scikit-image or NumPy compute something else: install them as in constraints.txt.",
        )
    return Finding(f"canary {backbone.name}", OK, f"{seen.text()}, as expected")


def weights_and_canary(path: Path, compute: Compute, memory: Memory) -> list[Finding]:
    """The state of one weight file and, if it loads, what it computes."""
    judged = judge(path, compute, remembered=True)
    found = [weights(judged.verdict)]
    if judged.network is not None:
        found.append(computes(judged, compute, memory))
    return found


def weights(verdict: Verdict) -> Finding:
    """The state of one weight file. A file of the user's own that no network takes is no problem."""
    name = Path(verdict.file).name
    again = (
        f"Remove it and run `searchdet models pull {name}`, or `searchdet models list` for its source."
    )
    content = {
        "official": "the published content",
        "other": f"NOT the published content (SHA-256 {verdict.sha256[:16]}...)",
        "doubtful": f"SHA-256 {verdict.sha256[:16]}... does not begin as its name says",
        "unknown": "no published hash",
    }[verdict.identity]
    what = verdict.what or verdict.model or "an unknown file"
    if verdict.loads is False:
        known = name in published()
        state, remedy = (
            (PROBLEM, again) if known else (WARNING, "Remove it, if it is not for searchdet.")
        )
        return Finding(f"weights {name}", state, f"{what}, {content}; {verdict.problem}", remedy)
    loads = ", loads completely" if verdict.loads else ""
    fact = f"{what}, {content}{loads}"
    if verdict.identity == "other":
        return Finding(f"weights {name}", PROBLEM, fact, again)
    if verdict.identity == "doubtful":
        return Finding(f"weights {name}", WARNING, fact, again)
    if name not in published() and verdict.loads:
        option = "--sam-checkpoint" if verdict.model in PROPOSERS else f"--backbone {verdict.model}"
        fact += f"; for {option}"
    return Finding(f"weights {name}", OK, fact)


def computes(judged: Judged, compute: Compute, memory: Memory) -> Finding:
    """The canary of a loaded file against the one remembered of the same content."""
    verdict = judged.verdict
    name = f"canary {Path(verdict.file).name}"
    try:
        seen = _canary(judged, compute)
    except EmbeddingError as error:
        return Finding(name, PROBLEM, error.message, "Run with --precision fp32, or update torch.")
    how = f"{seen.text()} ({seen.device}, {seen.precision})"
    before, now = memory.recall(verdict.sha256, seen), versions()
    if before is None:
        memory.note(verdict.sha256, seen, now)
        return Finding(name, OK, f"{how}, remembered from now on")
    numbers, then = before
    if not seen.differs(numbers):
        return Finding(name, OK, f"{how}, as before")
    changed = [f"{key} {then[key]} -> {now[key]}" for key in now if then.get(key, now[key]) != now[key]]
    return Finding(
        name,
        PROBLEM,
        f"{how}; the same file gave {' '.join(f'{number:.4f}' for number in numbers)} before",
        f"Changed since: {', '.join(changed) or 'no package'}. Go back, or trust the new numbers with "
        f"`searchdet cache clear --kind {kinds.CANARIES}`.",
    )


def _canary(judged: Judged, compute: Compute) -> Canary:
    weights = weights_of(judged.verdict.model)
    if weights is not None:
        return canary.of_proposer(weights, judged.network, compute)
    return canary.of_backbone(judged.network, compute)
