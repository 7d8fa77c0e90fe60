"""A bank as one safetensors file: saved, loaded, and refused where it does not fit."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from ..config.address import Place
from ..errors import DAMAGE, ExemplarError
from ..normality import Normality
from ..regions import Space
from ..storage import places, tensors
from ..storage.values import Fields, JsonObject
from .types import NORMAL, Bank, JudgedBy, Origin, Rows

FloatArray = npt.NDArray[np.float32]
SCHEMA = "searchdet.bank/5"
_SIDES = ("positives", "negatives")
_PARTS = ("vectors", "contexts", "outlines")


def save(bank: Bank, path: Place) -> None:
    """Write a bank with its space. Raises OutputError; ValueError for a bank without a space."""
    if bank.space is None:
        raise ValueError("a bank without a space cannot be saved")
    sides = {name: getattr(bank, name) for name in _SIDES}
    arrays = {f"{n}.{part}": getattr(rows, part) for n, rows in sides.items() for part in _PARTS}
    arrays |= {f"{n}.crops": rows.crops for n, rows in sides.items() if rows.crops is not None}
    arrays |= {f"{n}.areas": rows.areas for n, rows in sides.items() if rows.areas is not None}
    arrays["labels"] = bank.labels
    facts: JsonObject = {
        "schema": SCHEMA,
        "classes": list(bank.classes),
        "space": bank.space.to_json(),
        "origins": {name: [o.to_json() for o in rows.origins] for name, rows in sides.items()},
    }
    if bank.judged is not None:
        facts = {**facts, "judged": asdict(bank.judged)}
    if bank.normality is not None:
        facts = {**facts, "normality": asdict(bank.normality.info)}
        arrays |= bank.normality.to_arrays()
    places.write(path, tensors.pack(arrays, facts))


def load(path: Place) -> Bank:
    """Read a bank. Raises ExemplarError for anything that is not a sound bank file."""
    try:
        arrays, facts = tensors.read(path)
        if facts.text("schema") != SCHEMA:
            raise ValueError(f"its schema is {facts.text('schema')}, not {SCHEMA}")
        return _bank(arrays, facts)
    except OSError as error:
        raise ExemplarError(
            f"--bank {path}: cannot be read ({error.strerror}).", "Make it with `searchdet bank build`."
        ) from error
    except (tensors.TensorFileError, *DAMAGE) as error:
        raise ExemplarError(
            f"--bank {path}: {error}.", "Make it again with `searchdet bank build`."
        ) from error


def require_space(bank: Bank, space: Space, name: str) -> None:
    """Raise ExemplarError, saying what differs, unless the bank's vectors live in ``space``."""
    differs = space.differences(bank.space) if bank.space else ["its space is unknown"]
    if differs:
        raise ExemplarError(
            f"{name}: was made with other models or settings ({'; '.join(differs)}).",
            "Use the same ones, or build the bank again.",
        )


def _bank(arrays: tensors.Arrays, facts: Fields) -> Bank:
    origins = facts.child("origins")
    sides = {name: _rows(arrays, list(origins.children(name)), name) for name in _SIDES}
    space = Space.from_json(facts.child("space"))
    if space.dim != sides["positives"].vectors.shape[1]:
        raise ValueError("its vectors have another dimension than its space")
    if arrays["labels"].dtype != np.int64 or arrays["labels"].ndim != 1:
        raise ValueError("its labels are not whole numbers")
    for name, rows in sides.items():
        if rows.crops is not None and rows.crops.shape[1] != (space.parts or (space.dim,))[-1]:
            raise ValueError(f"its crops of {name} have another dimension than its space")
    judged = JudgedBy.from_json(facts.child("judged")) if "judged" in facts else None
    normal = Normality.read(arrays, facts, space.dim)
    classes, labels = facts.texts("classes"), arrays["labels"]
    return Bank(classes, labels=labels, space=space, judged=judged, normality=normal, **sides)


def _rows(arrays: tensors.Arrays, origins: list[Fields], name: str) -> Rows:
    vectors, contexts, outlines = (arrays[f"{name}.{part}"] for part in _PARTS)
    for array in (vectors, contexts, outlines):
        if array.dtype != np.float32 or array.ndim != 2:
            raise ValueError(f"its {name} are not float32 rows")
    if not np.isfinite(vectors).all() or not np.isfinite(contexts).all() or np.isinf(outlines).any():
        raise ValueError(f"its {name} hold NaN or infinity")
    if origins and all(item.text("mask_source") == NORMAL for item in origins):
        if vectors.any():
            raise ValueError(f"its {name} have a vector where no exemplar is")
    else:
        _require_unit(vectors, name)
    crops = arrays.get(f"{name}.crops")
    if crops is not None:
        if crops.dtype != np.float32 or crops.ndim != 2 or not np.isfinite(crops).all():
            raise ValueError(f"its crops of {name} are not float32 rows")
        _require_unit(crops, f"crops of {name}")
    origin = tuple(Origin.from_json(item) for item in origins)
    areas = arrays.get(f"{name}.areas")
    if areas is not None and (areas.dtype != np.float64 or (areas <= 0).any() or np.isinf(areas).any()):
        raise ValueError(f"its areas of {name} are not numbers of pixels")
    return Rows(vectors, contexts, outlines, origin, crops, areas)


def _require_unit(rows: FloatArray, name: str) -> None:
    length = np.linalg.norm(rows.astype(np.float64), axis=1)
    if not np.allclose(length, 1, atol=1e-4):
        raise ValueError(f"its {name} are not of unit length")
