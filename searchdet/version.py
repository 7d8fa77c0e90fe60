"""The version, once; and the versions of what else computes, for ``run.json``."""

from __future__ import annotations

import contextlib
import platform
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0"

PACKAGES = ("torch", "torchvision", "timm", "segment-anything", "opencv-python", "numpy", "pillow")
EXTRA = ("transformers",)
"""Of ``--proposals sam2`` and its kind; named where it is there."""


def versions() -> dict[str, str]:
    """Python, searchdet and the packages that decide numbers; ``missing`` where not installed, but for
    the extra ones."""
    found = {"searchdet": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    for name in EXTRA:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
