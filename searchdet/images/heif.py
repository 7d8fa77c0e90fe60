"""HEIF pictures (HEIC), by the extra ``heif``."""

from __future__ import annotations

import io

from PIL import Image

from ..config.address import Place
from .sniff import missing


def opened(path: Place, data: bytes) -> Image.Image:
    """The main picture, not decoded yet; turned as it says when it is. Raises ImageError (not_an_image)
    without pi-heif."""
    try:
        import pi_heif
    except ImportError as error:
        raise missing(path, "is a HEIF (HEIC) picture", "heif") from error
    image: Image.Image = pi_heif.HeifImageFile(io.BytesIO(data))
    return image
