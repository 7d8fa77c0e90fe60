"""Mean and deviation of the pixels that weights were trained on: a fact of the weights, not of the
network. Told by the user, by the file's name, by its tensors, or by the settings that lie beside it.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterable
from pathlib import Path

from ..config import pixels
from ..config.pixels import IMAGENET, SAT493M, Stats
from ..errors import CheckpointError
from ..records import PixelStats
from ..storage.values import Fields, JsonObject
from .shards import INDEX, WHOLE

log = logging.getLogger(__name__)
DATA: dict[str, Stats] = {"lvd1689m": IMAGENET, "lvd142m": IMAGENET, "sat493m": SAT493M}
"""What sets of photographs are normalised by, as their authors did."""
GIVEN = "given"
"""By the user, or by the bank or index that is used."""
_WORD = re.compile(rf"(?<![a-z0-9])({'|'.join(DATA)})(?![a-z0-9])", re.IGNORECASE)
_REPOSITORY = re.compile(
    rf"(?:.*--)?(?:dinov[23]-[a-z0-9-]+-pretrain-|[a-z0-9_]+_dinov[23][a-z_]*\.)({'|'.join(DATA)})",
    re.IGNORECASE,
)
"""A folder that is called as a repository of the hub."""
_PREPROCESSOR, _CONFIG = "preprocessor_config.json", "config.json"
_STATE = "State it with --pixel-stats: imagenet, sat493m, or six numbers."
_MOST_BYTES = 1 << 22


def pixel_stats(
    path: Path, usual: Stats, data: tuple[str, ...], content: str = "", given: str = pixels.AUTO
) -> PixelStats:
    """What a weight file wants of its pixels.

    usual: of the network where nothing else is known. data: the sets that its published weights were
    trained on. content: the one that the tensors tell of, or "". given: ``--pixel-stats``. Raises
    CheckpointError where what is known does not agree; warns where nothing is.
    """
    said = pixels.stated(given)
    if said is not None:
        return PixelStats(*said, GIVEN)
    known = list(_evidence(path, content))
    if not known:
        if len({DATA[name] for name in data}) < 2:
            return PixelStats(*usual, "backbone")
        log.warning(
            "%s: nothing tells whether it was trained on %s; its pixels are normalised by the mean and "
            "deviation of ImageNet. State them with --pixel-stats imagenet or sat493m.",
            path,
            " or ".join(name.upper() for name in data),
        )
        return PixelStats(*usual, "assumed")
    first, source = known[0]
    for other, place in known[1:]:
        if not _near(first, other):
            raise CheckpointError(
                f"{path}: its {source} tells of pixels of mean {first[0]} and deviation {first[1]}, "
                f"its {place} of {other[0]} and {other[1]}.",
                _STATE,
            )
    return PixelStats(*first, source)


def data_named(path: Path) -> str:
    """The set of photographs that the name of a file, or of its folder on the hub, tells of; or ""."""
    found = {word.lower() for word in _WORD.findall(path.name)}
    if not found and path.name.removesuffix(INDEX) in WHOLE:
        # a folder of the hub's cache is .../models--owner--name/snapshots/revision/
        places = [place.name for place in list(path.absolute().parents)[:3]]
        matches = (_REPOSITORY.fullmatch(name) for name in places)
        found = {match[1].lower() for match in matches if match}
    return found.pop() if len(found) == 1 else ""


def _evidence(path: Path, content: str) -> Iterable[tuple[Stats, str]]:
    """All that tells of the pixels, the surest first, and what it is."""
    if word := data_named(path):
        yield DATA[word], "file name"
    if content:
        yield DATA[content], "content"
    for name, read in ((_PREPROCESSOR, _of_preprocessor), (_CONFIG, _of_config)):
        found = _settings(path.parent / name)
        if found is None:
            continue
        try:
            stats = read(found)
        except ValueError as error:
            raise CheckpointError(f"{path.parent / name}: {error}.", _STATE) from error
        if stats is not None:
            yield stats, name


def _settings(path: Path) -> Fields | None:
    """The JSON object of a file; None without one. Raises CheckpointError for another content."""
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too long")
        return Fields.of(json.loads(path.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: lies beside the weights and cannot be read ({error}).",
            "Download it again, or take it away and state its values with --pixel-stats.",
        ) from error


def _of_preprocessor(found: Fields) -> Stats | None:
    """transformers' settings. Raises ValueError for those that this program does not follow."""
    if found.values.get("do_rescale") is False:
        raise ValueError("it wants pixels of 0..255, which no network here takes")
    factor = found.number("rescale_factor") if "rescale_factor" in found else 1 / 255
    if not math.isclose(factor, 1 / 255, rel_tol=0.01):
        raise ValueError(f"its rescale_factor is {factor:g}, not 1/255")
    if found.values.get("do_normalize") is False:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return _pair(found, "image_mean", "image_std")


def _of_config(found: Fields) -> Stats | None:
    """timm's settings; transformers' own say nothing of pixels."""
    nested = found.values.get("pretrained_cfg")
    return _pair(Fields.of(nested, "pretrained_cfg"), "mean", "std") if nested else None


def _pair(found: Fields, mean: str, std: str) -> Stats | None:
    if mean not in found or std not in found:
        return None
    stats = _three(found.values, mean), _three(found.values, std)
    if not all(pixels.sound(*stats)):
        raise ValueError(f"its {mean} is {stats[0]} and its {std} {stats[1]}")
    return stats


def _three(values: JsonObject, name: str) -> tuple[float, ...]:
    value = values[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (float(value),) * 3
    return Fields(values).numbers(name, 3)


def _near(one: Stats, other: Stats) -> bool:
    pairs = zip((*one[0], *one[1]), (*other[0], *other[1]), strict=True)
    return all(abs(a - b) < 1e-3 for a, b in pairs)
