"""Which images are meant, and the one reader of image files."""

from __future__ import annotations

from .inputs import Query, Scan, discover, natural, parse_shard
from .read import SUFFIXES, LoadedImage, decode, digest, from_array, from_pil, read_bytes, read_image
from .walk import broken, leads_back, walk

__all__ = [
    "SUFFIXES",
    "LoadedImage",
    "Query",
    "Scan",
    "broken",
    "decode",
    "digest",
    "discover",
    "from_array",
    "from_pil",
    "leads_back",
    "natural",
    "parse_shard",
    "read_bytes",
    "read_image",
    "walk",
]
