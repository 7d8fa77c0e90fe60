"""What a page shows beside images, as it is now: asked for, or sent with what a person did."""

from __future__ import annotations

from collections.abc import Mapping

from ..storage.values import JsonObject, JsonValue
from .crops import region_of
from .desk import Desk

_WITH_PICTURE = ("box", "paste")
"""Sources of exemplars that keep a picture of their own, or a mask in their image."""


def state_of(desk: Desk) -> JsonObject:
    """The state of the session, how far the images are, and where pictures of the exemplars lie."""
    with desk.lock:
        said = desk.session.state().to_json()
        known = _objects(said["exemplars"])
        exemplars = [{**item, "picture": _picture_of(desk, item)} for item in known]
    return {**said, **desk.progress(), "exemplars": exemplars}


def since(desk: Desk, version: int) -> JsonObject:
    """All that differs from a version: the state, and images as ``Desk.images``."""
    with desk.lock:
        return {"state": state_of(desk), **desk.images(version)}


def place_of(desk: Desk, name: str) -> tuple[int, int] | None:
    """Image and row of an exemplar that is a region of an image that is here."""
    found = region_of(name)
    if found is None or (i := desk.number(found[0])) is None:
        return None
    return (i, found[1]) if found[1] < desk.shelf.images[i].count else None


def _picture_of(desk: Desk, item: JsonObject) -> str | None:
    """Where the picture of an exemplar is; None where there is none."""
    name, kept = str(item["name"]), item["source"] in _WITH_PICTURE
    if not kept and desk.crops.given(name) is None and place_of(desk, name) is None:
        return None
    return f"/api/exemplars/{item['id']}.jpg"


def _objects(value: JsonValue) -> list[JsonObject]:
    items = value if isinstance(value, list | tuple) else ()
    return [item for item in items if isinstance(item, Mapping)]
