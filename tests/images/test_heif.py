"""HEIF pictures, read with the extra ``heif``, named without it."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import numpy as np
import pytest

from searchdet.errors import ImageError
from searchdet.images import read_image

TURNED = base64.b64decode(
    b"AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
    b"AAAAADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAIsAAgAAAAACdwABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVp"
    b"bmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZo"
    b"dmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAA"
    b"AwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAA"
    b"AAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90"
    b"AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAALdtZGF0AAAAhygBrwngPg6b"
    b"nk4QeI6NhB+gzRduc7iO9n3mafBP5cmyZnuztXvUUzhK6NU7sWcA7I0vl86H9Ue3sfALRIZ/J7btyt6EA98xO8rXVthAK+Ug"
    b"PQYBxepHXPfLo4yzCk6HpkCIX9ekkS/T+SVGO8hShDLBPEFPgN/CRphwfopt5KyD7Xk+TjNH6gAAAAZFeGlmAABNTQAqAAAA"
    b"CAABARIAAwAAAAEABgAAAAAAAA=="
)
"""64x48, stored with a turn by 90 degrees to the right: red grows with x, green with y."""


def picture() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64]
    return np.rot90(np.stack([x * 4, y * 5, (x + y) * 2], 2), -1)


@pytest.mark.parametrize("name", ["x.heic", "x.HEIF", "x.hif", "x.jpg"])
def test_a_heif_picture_is_read_upright(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(TURNED)
    read = read_image(path)
    assert read.pixels.shape == (64, 48, 3)
    assert np.abs(read.pixels - picture()).mean() < 3
    assert read.decoder == "pi-heif"
    assert read.values is None
    assert read.orientation == 1  # its decoder has turned it


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_cut_one_is_an_image_error(tmp_path: Path, share: float) -> None:
    path = tmp_path / "x.heic"
    path.write_bytes(TURNED[: int(len(TURNED) * share)])
    with pytest.raises(ImageError, match=r"x\.heic"):
        read_image(path)


def test_without_pi_heif_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.heic"
    path.write_bytes(TURNED)
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(
        ImageError, match=r"is a HEIF \(HEIC\) picture, which needs the extra `heif`"
    ) as e:
        read_image(path)
    assert e.value.code == "not_an_image"
    assert 'pip install "searchdet[heif]"' in e.value.hint
