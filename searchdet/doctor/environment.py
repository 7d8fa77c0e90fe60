"""What the program runs on: Python, packages, processor. Findings for ``searchdet doctor``."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, requires, version

from ..version import versions
from ..weights import resolve
from .finding import OK, PROBLEM, WARNING, Finding

OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
"""All four bring a ``cv2`` folder; the one installed last overwrites the others."""
BOTH = "Install both in one command from one index: `pip install -U torch torchvision`."
SINCE_2 = 15
"""torchvision 0.x belongs to torch 2.(x - 15), by the table in torchvision's README; used only where
torchvision's own metadata names no version of torch. Newer ones name a range (0.29: torch>=2.14)."""


def examine() -> list[Finding]:
    """All findings about the environment."""
    return [python(), packages(), pair(), operators(), opencv(), device(), threads()]


def python() -> Finding:
    """Version and system."""
    return Finding("python", OK, f"{platform.python_version()} on {platform.platform(terse=True)}")


def packages() -> Finding:
    """Versions, and whether every requirement of searchdet is met."""
    from packaging.requirements import Requirement

    fact = ", ".join(f"{name} {number}" for name, number in versions().items() if number != "missing")
    try:
        wanted = [Requirement(text) for text in requires("searchdet") or ()]
    except PackageNotFoundError:
        return Finding(
            "packages", WARNING, f"{fact}; searchdet is not installed", "Run `pip install .`."
        )
    unmet = []
    for item in wanted:
        if item.name in OPENCV or (item.marker and not item.marker.evaluate({"extra": ""})):
            continue
        found = installed(item.name)
        if found is None or not item.specifier.contains(found, prereleases=True):
            unmet.append(f"{item.name}{item.specifier}")
    if unmet:
        words = " ".join(f'"{text}"' for text in unmet)
        return Finding(
            "packages", PROBLEM, f"{fact}; unmet: {', '.join(unmet)}", f"Run `pip install {words}`."
        )
    return Finding("packages", OK, fact)


def installed(name: str) -> str | None:
    """Version of a distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def pair() -> Finding:
    """torch and torchvision as installed."""
    torch, vision = installed("torch"), installed("torchvision")
    if torch is None or vision is None:
        absent = "torch" if torch is None else "torchvision"
        return Finding(
            "torch pair", PROBLEM, f"{absent} is missing", "Run `pip install torch torchvision`."
        )
    return judge_pair(torch, vision, requires("torchvision") or [])


def judge_pair(torch: str, vision: str, wanted: list[str]) -> Finding:
    """Whether two versions belong together.

    wanted: the requirements in torchvision's metadata. What these say of torch decides; where they
    say nothing, the rule of ``SINCE_2``.
    """
    from packaging.requirements import Requirement
    from packaging.version import Version

    fact = f"torch {torch}, torchvision {vision}"
    parsed = (Requirement(text) for text in wanted)
    needs = next((item.specifier for item in parsed if item.name == "torch" and item.specifier), None)
    if needs is not None:
        if needs.contains(torch, prereleases=True):
            return Finding("torch pair", OK, f"{fact} (which needs torch{needs})")
        return Finding("torch pair", PROBLEM, f"{fact}, which needs torch{needs}", BOTH)
    core, other = Version(torch), Version(vision)
    if core.major == 2 and other.major == 0 and other.minor != core.minor + SINCE_2:
        usual = f"torch {core.major}.{core.minor} goes with torchvision 0.{core.minor + SINCE_2}"
        return Finding("torch pair", WARNING, f"{fact}; {usual}", BOTH)
    return Finding("torch pair", OK, fact)


def operators() -> Finding:
    """Whether torchvision's compiled part works with this torch; the surest sign of a matching pair."""
    try:
        import torch
        from torchvision.ops import nms

        boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
        kept = nms(boxes, torch.tensor([1.0, 0.5]), 0.5).tolist()
    except (ImportError, RuntimeError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        return Finding("torchvision operators", PROBLEM, reason, BOTH)
    if kept != [0]:
        return Finding("torchvision operators", PROBLEM, f"nms gave {kept} instead of [0]", BOTH)
    return Finding("torchvision operators", OK, "run")


def opencv() -> Finding:
    """Which distributions brought ``cv2``: exactly one should."""
    found = {name: number for name in OPENCV if (number := installed(name)) is not None}
    fact = ", ".join(f"{name} {number}" for name, number in found.items())
    if not found:
        return Finding("opencv", PROBLEM, "missing", "Run `pip install opencv-python`.")
    if len(found) > 1:
        return Finding(
            "opencv",
            WARNING,
            f"{fact}: the last one installed overwrote the others",
            f"Run `pip uninstall -y {' '.join(found)}`, then `pip install opencv-python`.",
        )
    import cv2

    if not next(iter(found.values())).startswith(cv2.__version__):
        return Finding(
            "opencv",
            WARNING,
            f"{fact}, but cv2 says {cv2.__version__}: another one overwrote it",
            f"Run `pip install --force-reinstall {next(iter(found))}`.",
        )
    return Finding("opencv", OK, fact)


def device() -> Finding:
    """What ``auto`` chooses for device and precision, and why."""
    import torch

    compute = resolve("auto", "auto")
    if compute.device == "cuda":
        where = f"torch sees {torch.cuda.get_device_name()}"
    elif torch.version.cuda is None:
        where = "this torch is built without CUDA"
    else:
        where = "torch sees no CUDA device"
    native = "it has bfloat16 natively" if compute.precision == "bf16" else "it has no native bfloat16"
    return Finding("device", OK, f"{compute.device} ({where}), {compute.precision} ({native})")


def threads() -> Finding:
    """How many threads torch uses of the processors this process may use."""
    import torch

    used = torch.get_num_threads()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fact = f"{used} of {usable} processors"
    if used > usable:
        return Finding("threads", WARNING, fact, f"Set OMP_NUM_THREADS={usable}; more are slower.")
    return Finding("threads", OK, fact)
