"""What a person does: events, and pictures that become exemplars."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import UsageError
from ..storage.values import Fields, JsonObject
from .answers import as_json
from .body import PICTURE_BYTES, SECONDS, read, read_json
from .desk import Desk
from .parts import Describes, ReadsEvents
from .reading import label

_IMAGES = "image/"


class Changes:
    """Answers that change the session. describes: None where no models are there, as beside an index
    without their weights."""

    def __init__(self, desk: Desk, read_event: ReadsEvents, describes: Describes) -> None:
        self._desk = desk
        self._read_event = read_event
        self._describes = describes

    async def event(self, request: Request) -> Response:
        """A verdict, a click, a box, or an undo."""
        body = await read_json(request)
        try:
            values = body.child("event")
        except ValueError as error:
            raise HTTPException(400, f"{error!s:.200}.") from error
        return await run_in_threadpool(self._apply, values)

    def _apply(self, values: Fields) -> Response:
        try:
            if values.text("kind") == "draw":
                values = self._drawn(values)
            elif values.text("kind") == "paste":
                raise ValueError("a picture is sent to /api/pictures")
            event = self._read_event(values)
        except ValueError as error:
            raise UsageError(f"the event cannot be used: {error!s:.200}.") from error
        return as_json(self._desk.apply(event))

    def _drawn(self, values: Fields) -> Fields:
        """The event of a box, whose object has been found and described. Raises ValueError."""
        x0, y0, x1, y1 = values.numbers("box", 4)
        name = values.text("image")
        with self._desk.lock:
            i = self._desk.number(name)
            if i is None:
                raise ValueError(f"there is no image {name!r:.80}")
            image = self._desk.shelf.images[i].image
        box = (max(0.0, x0), max(0.0, y0), min(x1, image.width), min(y1, image.height))
        if box[2] - box[0] < 1 or box[3] - box[1] < 1:
            raise ValueError("the box holds no pixel of the image")
        return self._with(values.values, self._describes.box(image, box))

    async def picture(self, request: Request) -> Response:
        """A picture that was pasted or dropped: the object in it becomes an exemplar."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.startswith(_IMAGES):
            raise HTTPException(415, "send the picture itself, as Content-Type: image/png or the like.")
        wanted = label(request)
        data = await read(request, PICTURE_BYTES, 3 * SECONDS)
        return await run_in_threadpool(self._pasted, data, wanted)

    def _pasted(self, data: bytes, wanted: str | None) -> Response:
        said: JsonObject = {"kind": "paste", "label": wanted}
        try:
            event = self._read_event(self._with(said, self._describes.picture(data)))
        except ValueError as error:
            raise UsageError(f"the picture cannot be used: {error!s:.200}.") from error
        return as_json(self._desk.apply(event))

    def _with(self, values: JsonObject, made: JsonObject) -> Fields:
        return Fields({**values, **made}, "event")
