"""The page and what it loads: a fixed list of files of the package."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from starlette.responses import Response

from .answers import not_there

if TYPE_CHECKING:
    from importlib.abc import Traversable

PAGE = "serve.html"
_KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ROOMS = ("report", "serve")


class Assets:
    """Modules and styles by name, as they lie in the package; the page's own go first."""

    def __init__(self) -> None:
        self._files: dict[str, Traversable] = {}
        for room in _ROOMS:
            folder = resources.files(__package__.rpartition(".")[0]) / room / "assets"
            if folder.is_dir():
                self._files |= {item.name: item for item in folder.iterdir() if item.is_file()}

    def page(self) -> Response:
        """The page itself."""
        return self._answer(PAGE, "text/html; charset=utf-8")

    def of(self, name: str) -> Response:
        """A module or a style. Raises HTTPException (404) for any other name."""
        kind = _KINDS.get(name[name.rfind(".") :])
        if kind is None:
            raise not_there("there is no such file")
        return self._answer(name, kind)

    def _answer(self, name: str, kind: str) -> Response:
        found = self._files.get(name)
        if found is None:
            raise not_there("there is no such file")
        return Response(found.read_bytes(), media_type=kind)
