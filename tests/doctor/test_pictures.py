"""``searchdet doctor --images``: how every file of a folder would be read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from images_factory import saved, smooth
from PIL import Image
from typer.testing import CliRunner, Result

from searchdet.cli import app


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["doctor", "--images", *words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    grey = smooth()[..., 2]
    made = tmp_path / "in"
    (made / "deep").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    (made / "a.jpg").write_bytes(saved(smooth(), "JPEG", exif=exif))
    tifffile.imwrite(made / "deep/b.tif", grey.astype(np.uint16) * 16, metadata=None)
    tifffile.imwrite(made / "c.tif", grey.astype(np.uint16) * 257, photometric="miniswhite")
    tifffile.imwrite(
        made / "d.tif", np.zeros((9, 9, 5), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    (made / "e.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    (made / "f.raw1").write_bytes(saved(smooth(), "PNG"))
    (made / "g.txt").write_text("beside")
    (made / ".h.png").write_bytes(saved(smooth(), "PNG"))
    (made / "i.png").write_bytes(b"no picture")
    return made


def test_each_file_is_listed_with_how_it_is_read(folder: Path) -> None:
    result = run(str(folder))
    assert result.exit_code == 3
    text = result.stdout
    for line in (
        "ok       a.jpg: JPEG 40x56, 8 bits, orientation 6, by Pillow",
        "warning  deep/b.tif: TIFF 56x40, uint16, 0 to 4095 used (levels), by Pillow",
        "ok       c.tif: TIFF 56x40, uint16, 0 to 65535 used (container), by tifffile",
        "left out e.jxl: is a JPEG XL file by its content",
        "left out f.raw1: is a PNG file by its content",
        "left out g.txt: no picture by its suffix",
        "left out .h.png: hidden",
        "2 ok, 1 warning, 2 problem, 4 left out",
    ):
        assert line in text, text
    assert "problem  d.tif: has 5 bands" in text
    assert "--value-range LOW,HIGH" in text
    assert "Rename it" in text


def test_as_json_and_with_a_range(folder: Path) -> None:
    result = run(str(folder), "--json", "--value-range", "0,16383")
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert told["schema"] == "searchdet.doctor.images/1"
    assert told["counts"] == {"ok": 3, "warning": 0, "problem": 2, "left out": 4}
    rows = {row["name"]: row for row in told["images"]}
    assert len(rows) == 9
    assert rows["deep/b.tif"]["values"] == {
        "stored": "uint16",
        "low": 0.0,
        "high": 16383.0,
        "by": "given",
    }
    assert (rows["a.jpg"]["orientation"], rows["a.jpg"]["width"]) == (6, 40)
    assert rows["d.tif"]["hint"]


def test_nothing_wrong_is_exit_0_and_no_folder_is_2(folder: Path) -> None:
    assert run(str(folder / "deep")).exit_code == 0
    missing = run(str(folder / "nowhere"))
    assert missing.exit_code == 2
    assert "there is no such folder" in missing.stderr
