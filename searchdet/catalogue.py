"""What can be loaded: names, official files, licences, and whether they lie in the models folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .backbones import EMBEDDED, SPECS
from .proposals.sam import weights as sam
from .weights import models_folder


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. file is "" where none is needed."""

    name: str
    kind: str
    file: str
    source: str
    licence: str
    present: bool

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def entries() -> list[Entry]:
    """All backbones and proposers, the embedded ones first."""
    folder = models_folder()
    rows = [
        Entry(EMBEDDED, "backbone", "", "", "Apache-2.0", True),
        Entry("regions", "proposals", "", "", "Apache-2.0", True),
    ]
    for spec in SPECS.values():
        for item in spec.published:
            here = (folder / item.filename).is_file()
            rows.append(Entry(spec.name, "backbone", item.filename, spec.source, spec.licence, here))
    for item in sam.PUBLISHED:
        here = (folder / item.filename).is_file()
        rows.append(Entry("sam", "proposals", item.filename, sam.SOURCE, "Apache-2.0", here))
    return rows
