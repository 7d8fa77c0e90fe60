"""One line of a doctor's report. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

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

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def exit_code(findings: list[Finding]) -> int:
    """0 where nothing is a problem, 4 for packages and weights, 5 where only places are one."""
    bad = [finding for finding in findings if finding.state == PROBLEM]
    if not bad:
        return 0
    return 5 if all(finding.place for finding in bad) else 4
