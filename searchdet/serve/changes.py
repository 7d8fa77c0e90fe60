"""What a person does: events, and pictures that become exemplars."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..bank.verdicts import WRONG
from ..errors import UsageError
from ..live import events
from ..live.exemplars import Drawn, Hands
from ..live.pointing import filled
from ..storage.values import Fields, JsonObject
from .answers import as_json
from .body import PICTURE_BYTES, read, read_json
from .desk import Desk
from .now import since
from .reading import label, whole

_IMAGES = "image/"
AGAIN = "Load the page again."


class Changes:
    """Answers that change the session. hands: find objects in boxes and pictures."""

    def __init__(self, desk: Desk, hands: Hands) -> None:
        self._desk = desk
        self._hands = hands

    async def event(self, request: Request) -> Response:
        """A verdict, a click, a box, or an undo."""
        body = await read_json(request)
        return await run_in_threadpool(self._apply, body, whole(request, "since"))

    def _apply(self, body: Fields, version: int | None) -> Response:
        try:
            values = body.child("event")
            kind = values.text("kind")
            if kind == "paste":
                raise ValueError("a picture is sent to /api/pictures")
            event = events.from_json(self._drawn(values) if kind == "draw" else values)
        except ValueError as error:
            raise UsageError(f"the event cannot be used: {error!s:.200}.", AGAIN) from error
        return self._done(event, version)

    def _done(self, event: events.Event, version: int | None) -> Response:
        """What the event changed; and, for a page that says which version it knows, all that differs
        from that, so that it need not ask."""
        with self._desk.lock:
            change = self._desk.apply(event)
            now = {} if version is None else {"now": since(self._desk, version)}
        return as_json({**change, **now})

    def _drawn(self, values: Fields) -> Fields:
        """The event of a box: the region that fills it is chosen, as by a click; where none does, the
        object in it is found and described. Raises ValueError."""
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
        with self._desk.lock:
            verdicts = self._desk.session.verdicts(i)
            wrong = [row for row, verdict, _ in verdicts if verdict == WRONG]
            row = filled(self._desk.board, i, box, wrong)
        if row is not None:
            label = values.optional_text("label")
            return Fields({"kind": "pick", "image": name, "row": row, "label": label}, values.name)
        drawn = self._hands.draw(image, box)  # without the lock: models are slow
        return Fields({**values.values, "box": list(box), "drawn": self._held(drawn)}, values.name)

    async def picture(self, request: Request) -> Response:
        """A picture that was pasted or dropped: the object in it becomes an exemplar."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.startswith(_IMAGES):
            raise HTTPException(415, "send the picture itself, as Content-Type: image/png or the like.")
        wanted, name = label(request), label(request, "name") or "picture"
        data = await read(request, PICTURE_BYTES, 3)
        return await run_in_threadpool(self._pasted, name, data, wanted, whole(request, "since"))

    def _pasted(self, name: str, data: bytes, wanted: str | None, version: int | None) -> Response:
        with self._desk.lock:
            bank = self._desk.session.saved  # a second pass is for the page alone
        said: JsonObject = {"kind": "paste", "name": name, "label": wanted}
        try:
            events.from_json(Fields({**said, "drawn": ""}, "event"))  # before models are asked
            drawn = self._held(self._hands.paste(name, data, wanted, bank))
            event = events.from_json(Fields({**said, "drawn": drawn}, "event"))
        except ValueError as error:
            raise UsageError(f"the picture cannot be used: {error!s:.200}.", AGAIN) from error
        return self._done(event, version)

    def _held(self, drawn: Drawn) -> str:
        with self._desk.lock:
            return self._desk.session.hold(drawn)
