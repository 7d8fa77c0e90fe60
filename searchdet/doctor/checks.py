"""Findings about folders, weight files, and what they compute.

Nothing is repaired. Each problem comes with one sentence that says what to do.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import backbones
from ..backbones import CARRIED, EMBEDDED, SPECS, Backbone
from ..backbones.embedded import EmbeddedBackbone
from ..backbones.filterbank import FilterbankBackbone
from ..config import BackboneOptions
from ..errors import CheckpointError, EmbeddingError, OutputError
from ..models import Verdict, judge, look, published, weight_files
from ..proposals import PROPOSERS, weights_of
from ..storage import files
from ..storage.cachefolder import usage
from ..storage.values import JsonObject
from ..weights import Compute, carried, models_folder
from ..weights.shards import INDEX, WHOLE
from . import canary

LEAST_FREE = 2 * 10**9
"""Below this, a cache or a download soon fills the disk."""
CARRIED_FILE = SPECS[CARRIED].published[0].filename
"""The weights of the embedded backbone."""

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is (``ok``, ``warning`` or ``problem``), the fact, and what to do.

    place: the problem is a folder that cannot be used.
    """

    name: str
    state: str
    fact: str
    remedy: str = ""
    place: bool = False

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return asdict(self)


def exit_code(findings: list[Finding]) -> int:
    """0 where nothing is a problem, 4 for packages and weights, 5 where only places are one."""
    bad = [finding for finding in findings if finding.state == PROBLEM]
    if not bad:
        return 0
    return 5 if all(finding.place for finding in bad) else 4


def models() -> Finding:
    """The folder for weight files."""
    folder = models_folder()
    if not folder.is_dir():
        return Finding(
            "models folder", OK, f"{folder.absolute()}: not there; `embedded` needs none of it"
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
    """What the filter bank computes, against the numbers of the project."""
    return numbers(FilterbankBackbone(), "OpenCV, scikit-image or NumPy compute")


def embedded(compute: Compute, quick: bool = False) -> list[Finding]:
    """The weight file of the embedded backbone and, unless ``quick``, what that computes with it."""
    try:
        path = backbones.check(BackboneOptions(EMBEDDED))
    except CheckpointError as error:
        return [Finding(f"weights {CARRIED_FILE}", PROBLEM, error.message, error.hint)]
    if path is None or quick:
        return [weights(look(path))] if path else []
    verdict = judge(path, compute, remembered=True)
    found = [weights(verdict)]
    if verdict.network is not None and not verdict.bad:
        found.append(numbers(EmbeddedBackbone(verdict.network), "torch, timm or OpenCV compute"))
    return found


def numbers(backbone: Backbone, who: str) -> Finding:
    """What a backbone computes whose weights the project knows, against its own numbers. who: may be
    the cause of others."""
    name, expected = f"canary {backbone.name}", canary.EXPECTED[backbone.name]
    try:
        seen = canary.numbers_of(backbone)
    except EmbeddingError as error:
        return Finding(name, PROBLEM, error.message, "Run with --precision fp32, or update torch.")
    if canary.differ(seen, expected):
        return Finding(
            name,
            PROBLEM,
            f"{canary.text(seen)}; should be {canary.text(expected)}",
            f"{who} something else: install them as in constraints.txt.",
        )
    return Finding(name, OK, f"{canary.text(seen)}, as expected")


def weights_and_canary(path: Path, compute: Compute) -> list[Finding]:
    """The state of one weight file and, if it loads, what it computes."""
    verdict = judge(path, compute, remembered=True)
    found = [weights(verdict)]
    if verdict.network is not None:
        found.append(computes(verdict, compute))
    return found


def weights(verdict: Verdict) -> Finding:
    """The state of one weight file. A file of the user's own that no network takes is no problem."""
    name, again = _called(verdict), _again(Path(verdict.file))
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
    note = f"; {verdict.note}" if verdict.note else ""
    fact = f"{what}, {content}{loads}{note}"
    if verdict.identity == "other":
        return Finding(f"weights {name}", PROBLEM, fact, again)
    if verdict.identity == "doubtful":
        return Finding(f"weights {name}", WARNING, fact, again)
    if name not in published() and verdict.loads:
        option = "--sam-checkpoint" if verdict.model in PROPOSERS else f"--backbone {verdict.model}"
        fact += f"; for {option}"
    return Finding(f"weights {name}", OK, fact)


def _called(verdict: Verdict) -> str:
    """A file by its name, with its folder where that is what tells files of the hub apart."""
    path = Path(verdict.file)
    of_hub = path.name.removesuffix(INDEX) in WHOLE
    return f"{path.parent.name}/{path.name}" if of_hub else path.name


def _again(path: Path) -> str:
    """How to get a weight file that is not right once more."""
    item = published().get(path.name)
    if item is not None and path == carried(item):
        return item.reinstall
    return (
        f"Remove it and run `searchdet models pull {path.name}`, or `searchdet models list` for "
        "its source."
    )


def computes(verdict: Verdict, compute: Compute) -> Finding:
    """Whether the numbers of a loaded network are finite and tell the parts of a picture apart."""
    name, weights = f"canary {_called(verdict)}", weights_of(verdict.model)
    try:
        if weights is None:
            seen = canary.spread_of_backbone(verdict.network)
        else:
            seen = canary.spread_of_proposer(weights, verdict.network, compute)
    except EmbeddingError as error:
        return Finding(name, PROBLEM, error.message, "Run with --precision fp32, or update torch.")
    cosines = f"from {seen.low:.3f}, median {seen.median:.3f}"
    how = f"{compute.device}, {compute.precision}"
    fact = f"finite; cosines between parts of one picture {cosines} ({how})"
    if seen.collapse:
        return Finding(
            name,
            WARNING,
            f"{fact}: all parts look the same to it",
            "No threshold can separate these: use another weight file or --precision fp32.",
        )
    return Finding(name, OK, fact)
