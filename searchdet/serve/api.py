"""What the page asks: state, images, pictures, and what to look at next."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import UsageError
from ..live.pointing import pointed
from ..masks import rle
from ..proposals.rendering import rendered
from ..records import ImageInfo
from ..report.contents import Contents
from ..report.outlines import fineness, scale_of, text_of
from ..storage.values import JsonObject
from .answers import as_json, not_there
from .desk import Desk
from .now import place_of, state_of
from .pictures import SIDES
from .reading import label, number, path_number, whole

MOST_OFFERED, MOST_UNDER = 500, 60
_EXEMPLAR = re.compile(r"([0-9a-f]{6,64})\.jpg")


class Reads:
    """Answers that change nothing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def state(self, request: Request) -> Response:
        return as_json(state_of(self._desk))

    def images(self, request: Request) -> Response:
        return as_json(self._desk.images(whole(request, "since")))

    def image(self, request: Request) -> Response:
        i, desk = path_number(request), self._desk
        with desk.lock:
            self._image(i)
            record = desk.session.record(i)
            version = desk.session.version
            said = desk.session.verdicts(i)
        contents = Contents()
        if record is not None:
            contents.add(record)
        return as_json(
            {
                "version": version,
                "i": i,
                "head": None if record is None else contents.head(),
                "detail": None if record is None else contents.details[0],
                "verdicts": [dict(zip(("row", "verdict", "label"), one, strict=True)) for one in said],
            }
        )

    def at(self, request: Request) -> Response:
        """Regions under a pixel, likeliest first."""
        i, desk = path_number(request), self._desk
        x, y = number(request, "x"), number(request, "y")
        with desk.lock:
            info = self._image(i)
            if not (0 <= x < info.width and 0 <= y < info.height):
                return as_json({"regions": []})
            rows = pointed(desk.board, i, x, y)[:MOST_UNDER]
            return as_json({"regions": self._regions(i, info, rows)})

    def _regions(self, i: int, info: ImageInfo, rows: list[int]) -> list[JsonObject]:
        desk = self._desk
        # masks and boxes as a record has them: at the size of the image
        found = rendered(desk.shelf.regions(i, np.asarray(rows, np.int64)).proposals)
        scale, fine = scale_of(info.width, info.height), fineness(info.width, info.height)
        view, bank, start = desk.session.view, desk.session.bank, desk.shelf.images[i].start
        made: list[JsonObject] = []
        for at, row in enumerate(rows):
            known, place = None, start + row
            if view is not None and bank is not None and view.label[place] >= 0:
                known = bank.classes[int(view.label[place])]
            made.append(
                {
                    "row": row,
                    "box": [round(float(value), 2) for value in found.boxes[at]],
                    "area": rle.area(found.rles[at]),
                    "outline": text_of(found.rles[at], scale, fine),
                    "label": known,
                    "score": None if known is None or view is None else _digits(view.score[place]),
                }
            )
        return made

    def picture(self, request: Request) -> Response:
        i, side = path_number(request), whole(request, "side", 1024)
        if side not in SIDES:
            raise HTTPException(400, f"side must be one of {', '.join(map(str, sorted(SIDES)))}.")
        with self._desk.lock:
            info = self._image(i)
        return _jpeg(self._desk.pictures.jpeg(info, side))

    def exemplar(self, request: Request) -> Response:
        """The picture of an exemplar."""
        desk, found = self._desk, _EXEMPLAR.fullmatch(str(request.path_params["name"]))
        if found is None:
            raise not_there("there is no such exemplar")
        with desk.lock:
            make = self._maker(found[1])
        return _jpeg(None if make is None else make())

    def _maker(self, number: str) -> Callable[[], bytes] | None:
        """What makes the picture of an exemplar, which takes long and needs no lock."""
        desk = self._desk
        name = self._key(number)
        data, place = desk.crops.given(name), place_of(desk, name)
        if data is not None:
            return lambda: data
        if place is not None:
            i, row = place
            info, regions = desk.shelf.images[i].image, desk.shelf.regions(i, np.asarray([row]))
            return partial(desk.crops.region, name, info, regions)
        held, kept = desk.session.exemplar(number)
        at = desk.number(held.image)
        if kept is None or kept.picture or at is None:
            return None if kept is None or not kept.picture else lambda: kept.picture
        return partial(desk.crops.masked, name, desk.shelf.images[at].image, kept.mask)

    def _key(self, number: str) -> str:
        try:
            return self._desk.session.exemplar(number)[0].key
        except UsageError as error:
            raise not_there("there is no such exemplar") from error

    def review(self, request: Request) -> Response:
        count = min(whole(request, "count", 20) or 20, MOST_OFFERED)
        desk = self._desk
        with desk.lock:
            offers = [item.to_json() for item in desk.session.review(label(request), count)]
        return as_json({"items": offers})

    def _image(self, i: int) -> ImageInfo:
        if i >= self._desk.done:
            raise not_there("there is no such image")
        return self._desk.shelf.images[i].image


def _jpeg(data: bytes | None) -> Response:
    if data is None:
        raise not_there("there is no such picture")
    return Response(data, media_type="image/jpeg")


def _digits(value: float) -> float:
    """As records have it."""
    return round(float(value), 6)
