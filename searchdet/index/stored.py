"""An index in a store, as a folder of this machine while it is written."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..config.address import Place, Remote
from ..errors import OutputError, RemoteError, UsageError
from ..storage import remote
from ..storage.files import json_bytes
from .opened import LOCK, SCHEMAS

INDEX = "index.json"
PARTS = re.compile(r"(rows|lists)-[0-9a-f]{16}|normality-[0-9a-f]{16}\.safetensors")


@contextlib.contextmanager
def at_hand(place: Place, all_of_it: bool) -> Iterator[Path]:
    """The folder of an index on this machine. One of a store is written to a folder of its own, and
    goes there when the block ends without an exception: ``index.json`` last of all, if it still says
    there what it said before. all_of_it: brought here first, else only what it says is looked at.

    Raises UsageError where something else lies there, or another process wrote it meanwhile;
    RemoteError, OutputError.
    """
    if isinstance(place, Path):
        yield place
        return
    before = _said(place)
    with tempfile.TemporaryDirectory(prefix="searchdet-") as made:
        folder, known = Path(made) / "index", dict[str, int]()
        if all_of_it and before is not None:
            known = _brought(place, folder)
        yield folder
        _put(folder, place, known, before)


def _said(place: Remote) -> bytes | None:
    """The ``index.json`` of an index; None where nothing lies there."""
    try:
        found = remote.find(place)
        left = (PARTS.fullmatch(item.at.relative_to(place).partition("/")[0]) for item in found)
        if all(left):  # no more than a run that was stopped leaves of one
            return None
        data = remote.read(place / INDEX)
        facts = json.loads(data)
        if isinstance(facts, dict) and facts.get("schema") in SCHEMAS:
            return data
    except (FileNotFoundError, ValueError, RecursionError):
        pass  # something else lies there, which is said below
    except OSError as error:
        raise RemoteError(f"{place}: cannot be read ({error.strerror or error}).") from error
    raise UsageError(
        f"{place}: something lies there that is not an index.", "Name another place with -o."
    )


def _brought(place: Remote, folder: Path) -> dict[str, int]:
    """Fetch all files; their names and sizes."""
    known = {}
    with remote.answered(place):
        for item in remote.find(place):
            name = item.at.relative_to(place)
            remote.fetch_file(item, folder / name)
            known[name] = item.size
    return known


def _put(folder: Path, place: Remote, known: dict[str, int], before: bytes | None) -> None:
    """Files that are new, then ``index.json``; then what it does not name goes. Rows that grew go to a
    folder of their own: no reader, and no other writer, has these. known: what was fetched."""
    here = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    here.pop(LOCK, None)
    now = here.pop(INDEX, None)
    if now is None or now.read_bytes() == before:
        return
    facts = json.loads(now.read_bytes())
    sizes = {name: path.stat().st_size for name, path in here.items()}
    if any(known.get(name, size) != size for name, size in sizes.items()):
        rows = f"rows-{secrets.token_hex(8)}"
        here = {name.replace(str(facts["rows"]), rows, 1): path for name, path in here.items()}
        facts = {**facts, "rows": rows}
    for name, path in sorted(here.items()):
        if name not in known:
            remote.write_file(place / name, path)
    try:
        remote.write_over(place / INDEX, json_bytes(facts), before)
    except remote.Changed as error:
        raise UsageError(f"{place}: another process wrote it meanwhile.", "Run it again.") from error
    try:
        left = [item.at for item in remote.find(place)]
    except OSError as error:
        raise OutputError(f"{place}: cannot be listed ({error.strerror or error}).") from error
    for at in left:
        if at.relative_to(place) not in {*here, INDEX}:
            remote.remove(at)
