"""Images in stores: which objects of a listing are meant, by the rules of folders and globs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from glob import has_magic

from ..config import address
from ..config.address import Remote
from ..errors import UsageError
from ..storage import kinds, remote
from ..storage.places import is_folder, lies_in
from ..storage.remote import Found
from .leftout import LeftOut
from .scan import Look
from .sniff import SUFFIXES
from .walk import RUN, WRITTEN


def listing(at: Remote) -> list[Found]:
    """What lies below an address. Raises RemoteError."""
    with remote.answered(at, "listed"):
        return remote.find(at)


def is_object(at: Remote) -> bool:
    """Whether an address is that of one object; one of the web always is. Raises RemoteError."""
    with remote.answered(at, "looked at"):
        return at.scheme in address.WEB or remote.is_file(at)


def is_pattern(at: Remote) -> bool:
    """Whether an address is a glob: there may be an object, or a folder, that is called so. Raises
    RemoteError."""
    if at.scheme in address.WEB:
        return "*" in at.url
    return has_magic(at.url) and not is_object(at) and not is_folder(at)


def matches(pattern: Remote, look: Look) -> tuple[Remote, list[Remote]]:
    """What a glob matches, and the folder that its names are relative to: all before the first sign.
    Not what is hidden, nor examples and earlier outputs. Raises UsageError where nothing is matched."""
    from fsspec.utils import glob_translate

    if pattern.scheme in address.WEB:
        raise UsageError(f"{pattern}: a web server gives no listing.", "Name the images, or a list.")
    base, parts = pattern, list[str]()
    while has_magic(base.url):
        base, parts = base.parent, [base.name, *parts]
    if not base.inner.parts:
        raise UsageError(f"{pattern}: a pattern cannot stand for buckets.", "Name the bucket.")
    expression = re.compile(glob_translate("/".join(parts)))
    hidden = any(part.startswith(".") for part in parts)
    every = [(item.at, item.at.relative_to(base).split("/")) for item in listing(base)]
    matched = [(at, names) for at, names in every if expression.match("/".join(names))]
    closed = _closed(base, every, look, deep=True)
    found = [at for at, names in matched if hidden or _is_open(at, names, closed, look)]
    if not found:
        raise UsageError(f"{pattern}: no object matches.")
    return base, found


def _is_open(at: Remote, parts: Sequence[str], closed: set[str], look: Look) -> bool:
    """Whether an object is looked at: it is not hidden, and in no folder that is not looked into."""
    if any(part.startswith(".") for part in parts):
        return False
    if any("/".join(parts[:depth]) in closed for depth in range(1, len(parts))):
        return False
    return not any(lies_in(at, folder) for folder in look.scan.never)


def images(top: Remote, look: Look, left: LeftOut) -> list[Remote]:
    """The images below an address, as the scan says also deeper; not hidden ones, nor examples and
    earlier outputs, which are remembered. left: is told of other objects. Raises RemoteError."""
    every = [(item.at, item.at.relative_to(top).split("/")) for item in listing(top)]
    closed = _closed(top, every, look, look.scan.recursive)
    made = []
    for at, parts in every:
        if len(parts) > 1 and not look.scan.recursive:
            continue
        if not _is_open(at, parts, closed, look):
            continue
        if at.suffix.lower() in SUFFIXES:
            made.append(at)
        else:
            left.add_named(at.suffix.lower())
    return made


def _closed(top: Remote, every: Sequence[tuple[Remote, list[str]]], look: Look, deep: bool) -> set[str]:
    """Folders below an address that are not looked into. deep: also those that lie deeper."""
    inner: dict[str, set[str]] = {}
    for _, parts in every:
        for depth in range(len(parts)):
            inner.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
    given = {str(place) for place in look.scan.examples}
    closed = {name for name in WRITTEN & inner.keys() if _is_output(top, inner[""])}
    look.outputs += [top / name for name in sorted(closed)]
    for name, names in inner.items() if deep else ():
        at = top / name
        if name and str(at) in given:
            look.examples.append(at)
            closed.add(name)
        elif name and not any(name.startswith(f"{one}/") for one in closed) and _is_output(at, names):
            look.outputs.append(at)
            closed.add(name)
    return closed


def _is_output(at: Remote, names: set[str]) -> bool:
    """Whether a run of ours lies there. names: of what is in it."""
    if names >= RUN:
        return True
    if kinds.RUN_FILE not in names:
        return False
    try:
        value = json.loads(remote.read(at / kinds.RUN_FILE))
    except (OSError, ValueError, RecursionError):
        return False  # somebody else's
    return isinstance(value, dict) and str(value.get("schema")).startswith(kinds.RUN_FORM)
