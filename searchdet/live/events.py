"""What a person did: events, as JSON and as sentences. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import ClassVar, TypeAlias, Union

from ..bank.verdicts import OTHER, RIGHT, WRONG, is_name
from ..storage.values import Fields, JsonObject

SCHEMA = "searchdet.verdicts/2"
VERDICTS = (RIGHT, WRONG, OTHER)
Box: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the upright image."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A detection is right, wrong, or of another class. label: the class that it is of; None for a
    wrong one, and for a right one of the class that the page shows, which is filled in."""

    kind: ClassVar[str] = "judge"
    image: str
    row: int
    verdict: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Pick:
    """A region that was not found becomes an exemplar of a class; label None: a negative."""

    kind: ClassVar[str] = "pick"
    image: str
    row: int
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """A box around an object. drawn: digest of the file with its mask and rows; "" until it is made."""

    kind: ClassVar[str] = "draw"
    image: str
    box: Box
    label: str | None = None
    drawn: str = ""


@dataclass(frozen=True, slots=True)
class Paste:
    """A picture of an object, pasted or dropped. drawn: as for ``Draw``."""

    kind: ClassVar[str] = "paste"
    name: str
    label: str | None = None
    drawn: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """An exemplar goes. exemplar: its key or its id."""

    kind: ClassVar[str] = "remove"
    exemplar: str


@dataclass(frozen=True, slots=True)
class AddClass:
    """A class without exemplars, to give to regions."""

    kind: ClassVar[str] = "add_class"
    label: str


@dataclass(frozen=True, slots=True)
class RenameClass:
    """A class gets another name; that of another class makes one of both."""

    kind: ClassVar[str] = "rename_class"
    label: str
    to: str


@dataclass(frozen=True, slots=True)
class SecondPass:
    """Whether the clearest detections are exemplars too."""

    kind: ClassVar[str] = "second_pass"
    on: bool


@dataclass(frozen=True, slots=True)
class Undo:
    """The last event is taken back."""

    kind: ClassVar[str] = "undo"


@dataclass(frozen=True, slots=True)
class Redo:
    """What was last taken back is done again."""

    kind: ClassVar[str] = "redo"


Action: TypeAlias = Union[Judge, Pick, Draw, Paste, Remove, AddClass, RenameClass, SecondPass]
Event: TypeAlias = Union[Action, Undo, Redo]


def to_json(event: Event) -> JsonObject:
    """Plain JSON values."""
    return {"kind": event.kind, **asdict(event)}


def from_json(values: Fields) -> Event:
    """The event of ``to_json``, or one as the page sends it, where ``label`` and ``drawn`` may be left
    out. Raises ValueError that names the field for anything else."""
    kind = values.text("kind")
    if kind not in _READERS:
        raise ValueError(f"there is no event {kind!r:.40}; there are {', '.join(_READERS)}")
    return _READERS[kind](values)


def said(event: Action) -> str:
    """An event in words, for what undo and redo would do."""
    return _WORDS[event.kind](event)


def _judge(values: Fields) -> Judge:
    verdict, label = values.text("verdict"), _label(values)
    if verdict not in VERDICTS:
        raise ValueError(f"verdict is {verdict!r:.40}, not one of {', '.join(VERDICTS)}")
    if verdict == OTHER and label is None:
        raise ValueError("a verdict `other` needs the label of its class")
    if verdict == WRONG and label is not None:
        raise ValueError("a verdict `wrong` has no label")
    return Judge(values.text("image"), values.whole("row"), verdict, label)


def _draw(values: Fields) -> Draw:
    x0, y0, x1, y1 = values.numbers("box", 4)
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"box is {[x0, y0, x1, y1]}, which holds nothing")
    return Draw(values.text("image"), (x0, y0, x1, y1), _label(values), _drawn(values))


def _drawn(values: Fields) -> str:
    return values.text("drawn") if "drawn" in values else ""


def _label(values: Fields) -> str | None:
    if "label" not in values or (label := values.optional_text("label")) is None:
        return None
    return _name(label, "label")


def _name(text: str, field: str) -> str:
    if not is_name(text):
        raise ValueError(f"{field} is {text!r:.60}, which is no name of a class")
    return text


_READERS: dict[str, Callable[[Fields], Event]] = {
    Judge.kind: _judge,
    Pick.kind: lambda v: Pick(v.text("image"), v.whole("row"), _label(v)),
    Draw.kind: _draw,
    Paste.kind: lambda v: Paste(v.text("name"), _label(v), _drawn(v)),
    Remove.kind: lambda v: Remove(v.text("exemplar")),
    AddClass.kind: lambda v: AddClass(_name(v.text("label"), "label")),
    RenameClass.kind: lambda v: RenameClass(v.text("label"), _name(v.text("to"), "to")),
    SecondPass.kind: lambda v: SecondPass(v.flag("on")),
    Undo.kind: lambda _: Undo(),
    Redo.kind: lambda _: Redo(),
}


def _side(label: str | None) -> str:
    return "a counter-example" if label is None else f"an example of {label}"


def _verdict(event: Judge) -> str:
    where = f"{event.image}, region {event.row}"
    if event.verdict == RIGHT:
        return f"{where}: right"
    return f"{where}: wrong" if event.verdict == WRONG else f"{where}: {event.label}"


_WORDS: dict[str, Callable[..., str]] = {
    Judge.kind: _verdict,
    Pick.kind: lambda e: f"{e.image}, region {e.row}: {_side(e.label)}",
    Draw.kind: lambda e: f"{e.image}, a drawn box: {_side(e.label)}",
    Paste.kind: lambda e: f"{e.name}: {_side(e.label)}",
    Remove.kind: lambda e: f"without {e.exemplar}",
    AddClass.kind: lambda e: f"a class {e.label}",
    RenameClass.kind: lambda e: f"{e.label} is called {e.to}",
    SecondPass.kind: lambda e: f"second pass {'on' if e.on else 'off'}",
}
