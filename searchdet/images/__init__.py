"""Which images are meant, and the one reader of image files."""

from __future__ import annotations

from .inputs import Query, Scan, discover, natural
from .leftout import kind_at
from .levels import Bounds
from .loaded import LoadedImage, digest, used_range
from .read import decode, from_array, from_pil, read_bytes, read_image
from .shards import parse_shard
from .sniff import READ, SUFFIXES
from .told import Told
from .walk import broken, leads_back, walk

__all__ = [
    "READ",
    "SUFFIXES",
    "Bounds",
    "LoadedImage",
    "Query",
    "Scan",
    "Told",
    "broken",
    "decode",
    "digest",
    "discover",
    "from_array",
    "from_pil",
    "kind_at",
    "leads_back",
    "natural",
    "parse_shard",
    "read_bytes",
    "read_image",
    "used_range",
    "walk",
]
