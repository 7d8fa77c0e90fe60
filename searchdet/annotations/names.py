"""The file that an annotation's file name means: as given, below the folder, or the only one so called.

Tools write paths of other machines: with backslashes, of a server's storage, quoted as in URLs, behind
the prefix of an upload.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from ..errors import UsageError
from ..storage import files
from .jsonfile import same

_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""

MASK = re.compile(r"^(.+)([._-])mask$", re.IGNORECASE | re.DOTALL)
"""The stem of a mask that lies beside its image, and of that image."""


def forms(name: str) -> list[str]:
    """Relative paths that a file name can mean, the most literal first."""
    made = [name, name.replace("\\", "/")]
    made.append(_address(made[-1]))
    made.append(unquote(made[-1]))
    made = [same("/".join(_parts(one))) for one in made]
    folder, _, base = made[-1].rpartition("/")
    bare = _UPLOAD.sub("", base)
    made.append(f"{folder}/{bare}" if folder else bare)
    made.append(made[0].strip())  # spaces that a table left
    return [one for one in dict.fromkeys(made) if one]


def _address(name: str) -> str:
    """The path in a URL, or in the query of one of a server's local files."""
    try:
        url = urlsplit(name)
        inner = parse_qs(url.query).get("d", [""])[0]
    except ValueError:  # brackets that are no address
        return name
    if inner:
        return inner
    return url.path if url.scheme and url.netloc else name.partition("?")[0]


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return parts[1:] if parts and re.fullmatch(r"[A-Za-z]:", parts[0]) else parts


def tails(form: str) -> list[str]:
    """A path, and what is left of it without its first folders, down to the base name."""
    parts = form.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]


class Folder:
    """Finds files of a folder by the names that annotations give them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._below: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path | None:
        """The file; None where there is none. Raises UsageError where the base name fits several."""
        if files.is_file(self.path / name):
            return self.path / name
        every = forms(name)
        ends = sorted((tail for form in every for tail in tails(form)), key=lambda end: -end.count("/"))
        for place in (*every, *ends):
            if files.is_file(self.path / place):
                return self.path / place
        for form in every:
            found = _nearest(self._named(form), form, self.path)
            if len(found) > 1:
                raise UsageError(
                    f"{name!r} fits {found[0]} and {found[1]}.",
                    "Give file names with their folders.",
                )
            if found:
                return found[0]
        return None

    def _named(self, form: str) -> list[Path]:
        if self._below is None:
            self._below = defaultdict(list)
            for path in sorted(self.path.rglob("*")):
                if not path.is_dir():
                    for key in {same(path.name), _folded(path.name)}:
                        self._below[key].append(path)
        base = form.rpartition("/")[2]
        return self._below.get(base) or self._below.get(_folded(base), [])


def _nearest(found: list[Path], form: str, folder: Path) -> list[Path]:
    """Of files with one base name those that share the most folders with the wanted path."""
    if len(found) < 2:
        return found
    wanted = form.split("/")[::-1]

    def shared(path: Path) -> int:
        own = [same(part) for part in path.relative_to(folder).parts[::-1]]
        both = min(len(own), len(wanted))
        return next((i for i in range(both) if own[i] != wanted[i]), both)

    most = max(map(shared, found))
    return [path for path in found if shared(path) == most]


class Listed:
    """Finds the entry of an annotation file that is meant by the name of a record."""

    def __init__(self, entries: Iterable[tuple[str, int]]) -> None:
        self._exact: dict[str, int] = {}
        self._forms: dict[str, list[int]] = defaultdict(list)
        self._tails: dict[str, list[int]] = defaultdict(list)
        for name, number in entries:
            self._exact.setdefault(name, number)
            for form in forms(name):
                _put(self._forms[form], number)
                for tail in tails(form):
                    _put(self._tails[tail], number)
                    _put(self._tails[_folded(tail)], number)

    def find(self, name: str) -> int | None:
        """The entry of that name, else the only one whose path ends so, else the only one with an end
        of it; None where there is none or several."""
        if name in self._exact:
            return self._exact[name]
        ends = tails(same(name))
        folded = [_folded(end) for end in ends]
        for index, wanted in (
            (self._forms, ends[:1]),
            (self._tails, ends),
            (self._tails, folded),
        ):
            for one in wanted:
                found = index.get(one, [])
                if len(found) == 1:
                    return found[0]
                if found:
                    return None
        return None


_WHOLE = re.compile(r"[\\/]|[A-Za-z]:[\\/]|\w+://")


def names_it(entry: str, name: str) -> bool:
    """Whether an entry and a record can be of one image: by one of the entry's forms one of the two
    paths is the end of the other, so that no folder contradicts. Whole paths and addresses, which are
    of another place, contradict nothing."""
    if _WHOLE.match(entry):
        return True
    wanted = "/" + same(name).casefold()
    found = ("/" + same(form).casefold() for form in forms(entry))
    return any(form.endswith(wanted) or wanted.endswith(form) for form in found)


def _folded(text: str) -> str:
    """In a form that is equal for names that differ in case, and that no name has itself."""
    return "\0" + same(text).casefold()


def _put(rows: list[int], number: int) -> None:
    """Note an entry; of several no more than two, which say so: a base name can be that of all."""
    if len(rows) < 2 and number not in rows:
        rows.append(number)
