"""What was found about how pictures are read, told once for each kind and not for each file."""

from __future__ import annotations

import logging
from threading import Lock

from ..records import ValueRange

log = logging.getLogger(__name__)
_WHY = {
    "outliers": "so the picture is nearly black, but for a few values",
    "levels": "no value is larger, and the file does not say how many bits it uses",
    "unit": "all values lie there",
    "extremes": "its least and greatest value",
}


class Told:
    """Says in one WARNING for each kind which range was found for values of more than 8 bits, and in
    one that of several pages the first is read. what: a word for the files."""

    def __init__(self, what: str = "images") -> None:
        self._what = what
        self._seen: set[tuple[object, ...]] = set()
        self._lock = Lock()

    def add(self, name: str, values: ValueRange | None, pages: int = 1) -> None:
        """Another picture was read."""
        if pages > 1 and self._is_new(("pages",)):
            log.warning(
                "%s: holds %d pages or frames, of which the first is read; so are %s like it, without "
                "another word. Save the others as files of their own.",
                name,
                pages,
                self._what,
            )
        if values is None or not values.guessed:
            return
        kind: tuple[object, ...] = (values.stored, values.by)
        if values.by != "extremes":
            kind = (*kind, values.low, values.high)
        if not self._is_new(kind):
            return
        log.warning(
            "%s: %s values are read as a range of %g to %g (%s); so are %s like it, without another "
            "word. --value-range LOW,HIGH sets it.",
            name,
            values.stored,
            values.low,
            values.high,
            _WHY[values.by],
            self._what,
        )

    def _is_new(self, kind: tuple[object, ...]) -> bool:
        with self._lock:
            new = kind not in self._seen
            self._seen.add(kind)
        return new
