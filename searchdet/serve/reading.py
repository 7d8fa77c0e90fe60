"""What is read of the path and the query of a request. All of it comes from strangers."""

from __future__ import annotations

import math
import re

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..bank.verdicts import LONGEST_NAME
from .answers import not_there

_WHOLE = re.compile(r"[0-9]{1,9}")


def path_number(request: Request, name: str = "i") -> int:
    """A whole number of the path. Raises HTTPException (404)."""
    text = str(request.path_params[name])
    if not _WHOLE.fullmatch(text):
        raise not_there("there is no such image")
    return int(text)


def whole(request: Request, name: str, default: int | None = None) -> int | None:
    """A whole number of the query. Raises HTTPException (400)."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not _WHOLE.fullmatch(text):
        raise HTTPException(400, f"{name} must be a whole number.")
    return int(text)


def number(request: Request, name: str) -> float:
    """A finite number of the query. Raises HTTPException (400)."""
    text = request.query_params.get(name, "")
    try:
        value = float(text) if len(text) < 40 else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise HTTPException(400, f"{name} must be a number.")
    return value


def label(request: Request, name: str = "label") -> str | None:
    """A class of the query; None without one. Raises HTTPException (400)."""
    text = request.query_params.get(name)
    if text is not None and len(text) > LONGEST_NAME:
        raise HTTPException(400, f"{name} has more than {LONGEST_NAME} letters.")
    return text or None
