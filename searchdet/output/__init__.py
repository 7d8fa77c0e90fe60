"""The output folder of a run, and what is drawn into it."""

from __future__ import annotations

from .folder import Output, read_records
from .pictures import Heat, Maps
from .render import THUMBNAIL_QUALITY, THUMBNAIL_SIDE, Picture, encode_jpeg, exemplar_picture, thumbnail

__all__ = [
    "THUMBNAIL_QUALITY",
    "THUMBNAIL_SIDE",
    "Heat",
    "Maps",
    "Output",
    "Picture",
    "encode_jpeg",
    "exemplar_picture",
    "read_records",
    "thumbnail",
]
