"""Addresses of what does not lie on this machine. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import UsageError

SCHEMES = ("s3", "gs", "http", "https", "memory")
WEB = ("http", "https")
"""Of single files that are read: a web server has no listing, and takes none."""
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Remote:
    """An object, or all objects below a name. url: ``scheme://name``, without a slash at its end;
    query: of an address of the web, which may hold a signature and so is said nowhere."""

    url: str
    query: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, inner: str) -> Remote:
        return Remote(f"{self.url}/{inner}")

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def inner(self) -> PurePosixPath:
        """Bucket or host, and what follows."""
        return PurePosixPath(self.url.partition("://")[2])

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def suffix(self) -> str:
        return self.inner.suffix

    @property
    def parent(self) -> Remote:
        return Remote(f"{self.scheme}://{self.inner.parent}")

    def with_name(self, name: str) -> Remote:
        """A neighbour."""
        return self.parent / name

    def is_relative_to(self, other: Remote) -> bool:
        """Whether it is the other one, or lies below it."""
        return f"{self.url}/".startswith(f"{other.url}/")

    def relative_to(self, other: Remote) -> str:
        """What follows the name of the other one. Raises ValueError where it does not lie below it."""
        if not self.is_relative_to(other):
            raise ValueError(f"{self} does not lie in {other}")
        return self.url[len(other.url) + 1 :]


def is_address(text: str) -> bool:
    """Whether a text is the address of something that does not lie on this machine."""
    match = _ADDRESS.match(text)
    return match is not None and match[1].lower() != "file"


def parse(text: str) -> Remote:
    """An address. Raises UsageError for a scheme that is not read, and for one that holds a password or
    parts that no name of a file can be made of."""
    match = _ADDRESS.match(text)
    scheme, rest = ("", "") if match is None else (match[1].lower(), match[2])
    if scheme not in SCHEMES:
        raise UsageError(f"{scheme}://: is not read.", f"There are {', '.join(SCHEMES)}.")
    query = ""
    if scheme in WEB:
        rest, mark, query = rest.partition("?")
        query = mark + query
    rest = rest.rstrip("/")
    place = rest.partition("/")[0]
    if "@" in place or (":" in place and scheme not in WEB):
        raise UsageError(
            f"{scheme}://...: the address holds a name or a password.",
            "Leave it out; the store's own settings hold it (variables, or ~/.config/fsspec).",
        )
    if not place or any(part in ("", ".", "..") for part in rest.split("/")):
        raise UsageError(f"{scheme}://{rest}: has an empty part, or one of dots.", "Write it plainly.")
    return Remote(f"{scheme}://{rest}", query)


Place = Path | Remote


def place_of(text: str) -> Place:
    """A path or an address. Raises UsageError for an address that cannot be read."""
    return parse(text) if is_address(text) else Path(text)
