"""Positive exemplars from a COCO file: every annotation is one, its category is the class."""

from __future__ import annotations

from pathlib import Path

from ..annotations import Notes, Truth, read_truth
from ..annotations.drawn import drawn_of
from ..annotations.names import Folder
from ..annotations.upright import reaches
from ..errors import DAMAGE, ExemplarError, UsageError
from .types import Found


def find_coco(
    path: Path, images: Path | None = None, notes: Notes | None = None, crowds: str = "auto"
) -> list[Found]:
    """Annotations of a COCO file. images: the folder of its files, by default the file's own folder, or
    ``images`` beside it. notes: take what is left out, which else is told at once; crowds: see
    ``Truth.settle_crowds``. Raises ExemplarError."""
    own = notes or Notes()
    try:
        truth = read_truth(path, None, crowds, own)
    except UsageError as error:
        raise ExemplarError(error.message, error.hint or "Give a COCO file.") from error
    places = _Places(truth, images or _folder(path))
    labels = {truth.category(label): label for label in truth.labels}
    sizes, reach = truth.sizes(), reaches(truth.annotations())
    found = []
    for item in truth.annotations():
        if item["iscrowd"]:
            continue
        image = item["image_id"]
        where, name = places.find(image)
        said = f"{item['said']} of {path} ({truth.names[image]})"
        try:
            drawn = drawn_of(item, sizes.get(image), reach[image])
        except DAMAGE as error:
            raise ExemplarError(
                f"{said} cannot be used ({error}).", "Correct it, or remove it."
            ) from error
        found.append(
            Found(where, f"{name}#{item['id']}", labels[item["category_id"]], None, drawn, said)
        )
    if notes is None:
        own.tell()
    if not found:
        own.tell()  # why it has none
        raise ExemplarError(
            f"{path}: has no annotation to use as an example.", "Annotate objects in it."
        )
    return found


class _Places:
    """Where the images of a COCO file are, each looked for once."""

    def __init__(self, truth: Truth, folder: Path) -> None:
        self._truth, self._folder = truth, Folder(folder)
        self._known: dict[int, Path] = {}
        self._owners: dict[Path, str] = {}

    def find(self, image: int) -> tuple[Path, str]:
        """The file of an image, and its name in records. Raises ExemplarError."""
        name, folder = self._truth.names[image], self._folder.path
        if image not in self._known:
            try:
                where = self._folder.find(name)
            except UsageError as error:
                raise ExemplarError(f"{self._truth.source}: {error.message}", error.hint) from error
            if where is None:
                raise ExemplarError(
                    f"{self._truth.source}: its image {name!r} is not in {folder}.",
                    "Name its folder: --positive-images.",
                )
            other = self._owners.setdefault(where, name)
            if other != name:
                raise ExemplarError(
                    f"{self._truth.source}: {other!r} and {name!r} would both be {where}.",
                    "Name the folder that holds both: --positive-images.",
                )
            self._known[image] = where
        where = self._known[image]
        below = where.is_relative_to(folder) and ".." not in where.parts
        return where, where.relative_to(folder).as_posix() if below else where.name


def _folder(path: Path) -> Path:
    beside = path.parent / "images"
    return beside if beside.is_dir() else path.parent
