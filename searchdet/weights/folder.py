"""Where weight files are looked for: ``SEARCHDET_MODELS`` or ``models/`` in the working folder, then
installed packages that carry some."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from .published import Published


def models_folder() -> Path:
    """The folder for weight files; it need not exist."""
    return Path(os.environ.get("SEARCHDET_MODELS") or "models")


def find_published(published: tuple[Published, ...]) -> Path | None:
    """The first of the published files that lies in the models folder or in a package, or None."""
    return next(iter(all_published(published)), None)


def all_published(published: tuple[Published, ...]) -> tuple[Path, ...]:
    """Those of the published files that lie in the models folder or in a package, in their order."""
    folder = models_folder()
    paths = [folder / item.filename for item in published]
    paths += [path for item in published if (path := carried(item)) is not None]
    return tuple(path for path in dict.fromkeys(paths) if path.is_file())


def carried(item: Published) -> Path | None:
    """Where an installed package has the file; None without that package, which is not imported."""
    spec = importlib.util.find_spec(item.package) if item.package else None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "models" / item.filename
