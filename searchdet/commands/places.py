"""Options that take addresses of stores beside paths, and what of them is brought here first."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Optional, get_args, get_origin

from ..config import address
from ..config.address import Place, Remote, place_of
from ..errors import UsageError

_SQUEEZED = re.compile(rf"({'|'.join(address.SCHEMES)}):/[^/]")
"""What becomes of an address that is taken for a path."""


PLACE = "PLACE"
"""What help texts show for a path or an address; an option of a mere path that shows it is fetched."""


def takes_addresses(hint: Any) -> bool:
    """Whether the hint of a parameter has addresses among its values."""
    return hint is Remote or any(map(takes_addresses, get_args(hint)))


def is_fetched(hint: Any) -> bool:
    """Whether a parameter is a path of what may be fetched from an address, by its declaration."""
    return any(getattr(item, "metavar", None) == PLACE for item in getattr(hint, "__metadata__", ()))


def as_text(hint: Any) -> Any:
    """A hint of paths and addresses as one of text, which Typer knows."""
    if get_origin(hint) is Annotated:
        inner, *told = get_args(hint)
        return Annotated[as_text(inner), told[0]]
    if get_origin(hint) is list:
        return list[str]
    kinds = [as_text(kind) for kind in get_args(hint) if kind not in (Path, Remote)]
    return Optional[str] if type(None) in kinds else Optional[list[str]] if list[str] in kinds else str


@contextlib.contextmanager
def brought(
    given: Mapping[str, Any], kept: frozenset[str], fetched: frozenset[str]
) -> Iterator[dict[str, Any]]:
    """The values of a command, those of two sets of names as places. kept: addresses stay; fetched:
    what lies there is fetched, and removed when the block ends. Raises UsageError for an address where
    only a path is taken, and RemoteError."""
    with contextlib.ExitStack() as stack:
        made = dict(given)
        for name, value in given.items():
            if name in kept | fetched:
                made[name] = _places(value, stack if name in fetched else None)
            else:
                _require_here(name, value)
        yield made


def _places(value: Any, stack: contextlib.ExitStack | None) -> Any:
    """Text as places, on a stack fetched."""
    from ..storage.fetched import fetch

    if isinstance(value, list | tuple):
        return [_places(item, stack) for item in value]
    at = place_of(value) if isinstance(value, str) else value
    if not isinstance(at, Remote) or stack is None:
        return at
    return fetch(at, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="searchdet-"))))


@contextlib.contextmanager
def here(place: Place) -> Iterator[Path]:
    """A place as a path of this machine, fetched for the block if need be. Raises RemoteError."""
    with contextlib.ExitStack() as stack:
        yield _places(place, stack)


def _require_here(name: str, value: Any) -> None:
    if isinstance(value, Path) and _SQUEEZED.match(value.as_posix()):
        flag = "--" + name.replace("_", "-")
        raise UsageError(
            f"{flag} {value}: must lie on this machine.", "Copy it here, or mount the store."
        )
