"""What can be loaded: the embedded models and all published files, and whether they are here. Pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..backbones import CARRIED, EMBEDDED, FILTERBANK, SPECS
from ..errors import CheckpointError
from ..proposals import PROPOSERS, weights_of
from ..storage.values import JsonObject
from ..weights import Published, carried, find_published


def published() -> dict[str, Published]:
    """Every published file by its name."""
    files = [item for spec in SPECS.values() for item in spec.published]
    for name in PROPOSERS:
        weights = weights_of(name)
        files += weights.published if weights else ()
    return {item.filename: item for item in files}


def entries() -> list[Published]:
    """All backbones and proposers: the default backbone, those without a file, then all files."""
    rows = [
        replace(SPECS[CARRIED].published[0], model=EMBEDDED),
        Published("", model=FILTERBANK, licence="Apache-2.0"),
    ]
    plans = {name: spec.plan() for name, spec in PROPOSERS.items()}
    for name, plan in plans.items():
        if plan.weights is None:
            rows.append(Published("", model=name, licence=plan.licence))
    shared = [
        replace(item, model=name)
        for name, spec in SPECS.items()
        for item in spec.published
        if item.model != name  # another layer of the network in that file
    ]
    return [*rows, *published().values(), *shared]


def kind_of(item: Published) -> str:
    """``proposals`` or ``backbone``."""
    return "proposals" if item.model in PROPOSERS else "backbone"


def is_here(item: Published, folder: Path) -> bool:
    """Whether nothing is left to be fetched for it; the content is not looked at."""
    there = carried(item)
    return (
        not item.filename
        or (folder / item.filename).is_file()
        or (there is not None and there.is_file())
    )


def here(folder: Path) -> list[Path]:
    """The published files that lie in the folder, by name, then those that packages carry in place of
    one there."""
    files = published().values()
    own = sorted(path for item in files if (path := folder / item.filename).is_file())
    names = {path.name for path in own}
    places = [carried(item) for item in files if item.filename not in names]
    return own + [path for path in places if path is not None and path.is_file()]


def require_carried(item: Published) -> Path:
    """Where a file of a package is. Raises CheckpointError where it is not here."""
    path = find_published((item,))
    if path is not None:
        return path
    raise CheckpointError(
        f"{item.filename}: comes with a Python package, not from the hub.", item.by_hand()
    )


def entry_json(item: Published, folder: Path) -> JsonObject:
    """What ``models list --json`` says of it."""
    return {
        "name": item.model,
        "kind": kind_of(item),
        "file": item.filename,
        "source": item.source,
        "licence": item.licence,
        "present": is_here(item, folder),
        "hub": item.repo,
        "size": item.size,
    }
