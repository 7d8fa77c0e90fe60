"""Label Studio's labelling set-up: which tags draw what on which picture. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

POLYGON, BRUSH, RECTANGLE = "PolygonLabels", "BrushLabels", "RectangleLabels"
KINDS = (POLYGON, BRUSH, RECTANGLE)
"""The tags that we draw with, the first one that a set-up has."""
_DECLARED = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Control:
    """A tag that draws. name, to: its own name and that of its picture (``from_name``, ``to_name``).
    labels: its classes, empty where a task says them. key: the field of a task's data that holds the
    picture's address."""

    kind: str
    name: str
    to: str
    labels: tuple[str, ...]
    key: str


def control_of(config: str) -> Control:
    """What a labelling set-up lets us draw with. Raises ValueError, with the next step, where that is
    nothing."""
    if _DECLARED.search(config):
        raise ValueError("the labelling set-up declares entities; leave <!DOCTYPE> and <!ENTITY> out.")
    try:
        root = ElementTree.fromstring(config)
    except ElementTree.ParseError as error:
        raise ValueError(f"the labelling set-up is no XML ({error}).") from error
    pictures = {item.get("name", ""): item.get("value", "") for item in root.iter("Image")}
    for item in _drawing(root):
        value = pictures.get(item.get("toName", ""), "")
        if item.get("name") and value.startswith("$"):
            labels = tuple(label.get("value", "") for label in item.iter("Label"))
            return Control(item.tag, item.get("name", ""), item.get("toName", ""), labels, value[1:])
    raise ValueError(
        f"the labelling set-up has no {', '.join(KINDS[:-1])} or {KINDS[-1]} of an <Image> whose value "
        "is a field of the task, such as $image. Add one in Settings, Labeling Interface."
    )


def _drawing(root: Element) -> Iterator[Element]:
    for kind in KINDS:
        yield from root.iter(kind)
