"""JSON values with types, and the one reader that checks what is read back, field by field. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

JsonValue: TypeAlias = Union[
    bool, int, float, str, Sequence["JsonValue"], Mapping[str, "JsonValue"], None
]
JsonObject: TypeAlias = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a JSON object, each asked for by its name and type.

    Raises ValueError that names the field for one that is missing or of another type. name: what the
    object is called in such a sentence.
    """

    values: JsonObject
    name: str = ""

    @classmethod
    def of(cls, value: object, name: str = "") -> Fields:
        """A JSON value as an object."""
        if not isinstance(value, Mapping):
            raise ValueError(f"{name or 'it'} is {value!r:.60}, not an object")
        return cls(value, name)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        """Text that a file name could hold."""
        value = self._get(name)
        if not isinstance(value, str):
            raise self._not(name, "text")
        value.encode("utf-8", "surrogateescape")
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self._get(name) is None else self.text(name)

    def number(self, name: str) -> float:
        """A finite number."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._not(name, "a number")
        return value

    def optional_number(self, name: str) -> float | None:
        return None if self._get(name) is None else self.number(name)

    def whole(self, name: str, least: int = 0) -> int:
        """A whole number from ``least`` on."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self._not(name, f"a whole number from {least} on")
        return value

    def optional_whole(self, name: str) -> int | None:
        return None if self._get(name) is None else self.whole(name)

    def flag(self, name: str) -> bool:
        value = self._get(name)
        if not isinstance(value, bool):
            raise self._not(name, "true or false")
        return value

    def optional_flag(self, name: str) -> bool | None:
        return None if self._get(name) is None else self.flag(name)

    def child(self, name: str) -> Fields:
        """An object."""
        return Fields.of(self._get(name), self._path(name))

    def optional_child(self, name: str) -> Fields | None:
        return None if self._get(name) is None else self.child(name)

    def items(self, name: str) -> Sequence[JsonValue]:
        """A list, its items as they are."""
        value = self._get(name)
        if not isinstance(value, list | tuple):
            raise self._not(name, "a list")
        return value

    def children(self, name: str) -> Iterator[Fields]:
        """A list of objects."""
        return (Fields.of(item, f"{self._path(name)}[{i}]") for i, item in enumerate(self.items(name)))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        each = self._each(name)
        return tuple(each.text(key) for key in each.values)

    def wholes(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        each = self._each(name)
        return tuple(each.whole(key) for key in each.values)

    def counts(self, name: str) -> dict[str, int]:
        """An object of whole numbers."""
        child = self.child(name)
        return {key: child.whole(key) for key in child.values}

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """A list of so many numbers."""
        each = self._each(name)
        if len(each.values) != count:
            raise self._not(name, f"a list of {count} numbers")
        return tuple(each.number(key) for key in each.values)

    def _each(self, name: str) -> Fields:
        return Fields({str(i): item for i, item in enumerate(self.items(name))}, self._path(name))

    def _get(self, name: str) -> JsonValue:
        try:
            return self.values[name]
        except KeyError:
            raise ValueError(f"{self._path(name)} is missing") from None

    def _path(self, name: str) -> str:
        return f"{self.name}.{name}" if self.name else str(name)

    def _not(self, name: str, wanted: str) -> ValueError:
        return ValueError(f"{self._path(name)} is {self.values[name]!r:.60}, not {wanted}")
