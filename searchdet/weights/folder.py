"""Where weight files are looked for: ``SEARCHDET_MODELS`` or ``models/`` in the working folder."""

from __future__ import annotations

import os
from pathlib import Path

from .loader import Published


def models_folder() -> Path:
    """The folder for weight files; it need not exist."""
    return Path(os.environ.get("SEARCHDET_MODELS") or "models")


def find_published(published: tuple[Published, ...]) -> Path | None:
    """The first of the published files that lies in the models folder, or None."""
    folder = models_folder()
    paths = (folder / item.filename for item in published)
    return next((path for path in paths if path.is_file()), None)
