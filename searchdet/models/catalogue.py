"""What can be loaded: names, official files, licences, and whether they lie in the models folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..backbones import EMBEDDED, SPECS
from ..proposals import PROPOSERS, weights_of
from ..weights import Published, hub, models_folder


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. file is "" where none is needed. hub: the repository that ``models pull`` takes it
    from, "" where there is none. size: bytes, 0 where it is not known."""

    name: str
    kind: str
    file: str
    source: str
    licence: str
    present: bool
    hub: str = ""
    size: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def published() -> dict[str, tuple[str, Published]]:
    """(model, identity) of every published file by its name."""
    known = {item.filename: (spec.name, item) for spec in SPECS.values() for item in spec.published}
    for name in PROPOSERS:
        weights = weights_of(name)
        known |= {item.filename: (name, item) for item in (weights.published if weights else ())}
    return known


def entries(folder: Path | None = None) -> list[Entry]:
    """All backbones and proposers, the embedded ones first; files are looked for in ``folder``."""
    folder = folder or models_folder()
    rows = [Entry(EMBEDDED, "backbone", "", "", "Apache-2.0", True)]
    for name, spec in PROPOSERS.items():
        plan = spec.plan()
        if plan.weights is None:
            rows.append(Entry(name, "proposals", "", "", plan.licence, True))
    for filename, (model, _) in published().items():
        weights = weights_of(model)
        kind = "backbone" if weights is None else "proposals"
        known = SPECS[model] if weights is None else weights
        source, licence = known.source, known.licence
        file, here = hub.FILES.get(filename), (folder / filename).is_file()
        if file is None:
            rows.append(Entry(model, kind, filename, source, licence, here))
            continue
        if weights is None:  # files of proposers are their authors' own
            source = file.page
        rows.append(Entry(model, kind, filename, source, licence, here, file.repo, file.size))
    return rows
