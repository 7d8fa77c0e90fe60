"""Where the pictures of Label Studio's tasks may come from, and from nowhere else: whoever can make a
task says an address, and this machine can reach what they cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.parse import SplitResult, parse_qs, quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import ImageError, UsageError
from ..images import read_bytes
from .pictures import DATA, decoded

LOCAL_FILES = "/data/local-files/"
MOST_BYTES = 1 << 30
SECONDS = 60.0
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Sources:
    """url: of Label Studio (``LABEL_STUDIO_URL``), empty: none is asked. key: what it lets us in with
    (``LABEL_STUDIO_API_KEY``): an access token, or a personal one, which is exchanged for such.
    folders: below which ``/data/local-files/?d=PATH`` is looked for."""

    url: str = ""
    key: str = ""
    folders: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.url and (urlsplit(self.url).scheme not in PORTS or not urlsplit(self.url).hostname):
            raise UsageError(
                f"{self.url!r:.80} is no address of a Label Studio.",
                "Set LABEL_STUDIO_URL to http://HOST:PORT, with its path where it has one.",
            )

    def fetch(self, address: str) -> bytes:
        """The bytes of a picture. Raises ImageError for an address that is not one of ours."""
        if address[: len(DATA)].lower() == DATA:
            return decoded(address, "the task's image")
        parts = _split(address)
        if not parts.scheme and not parts.netloc and parts.path.startswith("/"):
            if self._inner(parts.path) == LOCAL_FILES and (path := self._local(parts)) is not None:
                return read_bytes(path)
            if not self.url:
                raise _refused(address, "name its Label Studio in LABEL_STUDIO_URL")
            address = self._at(address)
        elif not self._ours(parts):
            raise _refused(address, f"only {self.url or 'LABEL_STUDIO_URL'} is asked for pictures")
        return self._get(_quoted(address), self._headers())

    @property
    def _prefix(self) -> str:
        """The path below which Label Studio answers, without a slash at its end."""
        return urlsplit(self.url).path.rstrip("/")

    def _inner(self, path: str) -> str:
        """A path as Label Studio itself calls it."""
        prefix = self._prefix
        return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path

    def _at(self, path: str) -> str:
        """The address of a path of Label Studio, which may say below which path that answers."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{self._prefix}{self._inner(path)}"

    def _ours(self, parts: SplitResult) -> bool:
        """Whether an address is of the one server that we ask."""
        return bool(self.url) and _origin(parts) == _origin(urlsplit(self.url))

    def _local(self, parts: SplitResult) -> Path | None:
        """A file below one of the folders; None where none of them has it. Raises ImageError for one
        that lies elsewhere."""
        given = parse_qs(parts.query).get("d", [""])[0]
        if "\0" in given:
            raise _refused(given, "no file is called like that")
        for folder in self.folders:
            root = folder.resolve()
            path = (root / given.lstrip("/")).resolve()
            if not path.is_relative_to(root):
                raise _refused(given, f"it lies outside {folder}")
            if path.is_file():
                return path
        if self.folders and not self.url:
            raise ImageError("missing", f"{given!r:.200} is in none of the folders.", _ROOT)
        return None

    def _headers(self) -> Mapping[str, str]:
        if not self.key:
            return {}
        if self.key.count(".") != 2:
            return {"Authorization": f"Token {self.key}"}
        asked = json.dumps({"refresh": self.key}).encode("ascii")
        said = self._get(self._at("/api/token/refresh"), _JSON, asked)
        try:
            return {"Authorization": f"Bearer {json.loads(said)['access']}"}
        except (ValueError, KeyError, TypeError) as error:
            raise ImageError("missing", f"{self.url} gave no access token.", _KEY) from error

    def _get(self, address: str, headers: Mapping[str, str], sent: bytes | None = None) -> bytes:
        request = Request(address, data=sent, headers=dict(headers))
        try:
            with build_opener(_Staying(self)).open(request, timeout=SECONDS) as answer:
                data: bytes = answer.read(MOST_BYTES + 1)
        except (URLError, HTTPException, TimeoutError, OSError, ValueError) as error:
            raise ImageError("missing", f"{address!r:.200}: {error}.", _KEY) from error
        if len(data) > MOST_BYTES:
            raise ImageError("too_large", f"{address!r:.200} has more than {MOST_BYTES} bytes.")
        return data


_JSON = {"Content-Type": "application/json"}
_KEY = "Check LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY."
_ROOT = "Name Label Studio's document root in LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT."


class _Staying(HTTPRedirectHandler):
    """Follows where the server leads to itself; elsewhere our key has no business."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if not self._sources._ours(urlsplit(newurl)):
            raise URLError(f"it leads elsewhere ({newurl!r:.120}); serve the pictures themselves")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _quoted(address: str) -> str:
    """An address whose path and query are ASCII without spaces; what is quoted already stays."""
    parts = urlsplit(address)
    safe = "%/:=&?~+!$,;'@()*[]"
    return parts._replace(path=quote(parts.path, safe), query=quote(parts.query, safe)).geturl()


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:
        raise _refused(address, str(error)) from error


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    try:
        return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError:  # no number
        return parts.scheme, None, None


def _refused(address: str, why: str) -> ImageError:
    return ImageError("missing", f"the address {address!r:.200} is not fetched: {why}.", _SOURCES)


_SOURCES = "Pictures come from LABEL_STUDIO_URL, its local files, or as data: addresses."
