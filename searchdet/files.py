"""The one writer: atomic files, safe names. No other module opens a file for writing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from .errors import OutputError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old content or the whole new one, never a part.

    Temporary file in the same folder, fsync, rename. Raises OutputError; the temporary is removed.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".searchdet-", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"{path}: cannot be written ({reason}).", "Choose another folder with -o."
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, value: Any) -> None:
    """Strict JSON (no NaN), ASCII, one trailing line feed. Equal values give equal bytes."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """The bytes that ``write_json`` writes."""
    return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=True) + "\n").encode()


def probe_folder(folder: Path) -> None:
    """Create, rename and delete a file in ``folder``: a bad one fails before any model loads."""
    target = folder / ".searchdet-probe"
    write_bytes(target, b"")
    try:
        target.unlink()
    except OSError as error:
        raise OutputError(f"{folder}: files cannot be removed ({error.strerror}).") from error


def collision_key(path: str) -> str:
    """Equal for two paths that some file system would take for the same file."""
    return unicodedata.normalize("NFC", path).casefold()


def slug(name: str) -> str:
    """A class name as a path part: [a-z0-9._-], at most 80 bytes, unique through 8 hex digits."""
    stem = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:70]
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{stem}-{digest}" if stem else digest
