"""Pictures that a folder holds and a run does not look at are counted; what lies beside them is not."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from images_factory import saved, smooth

from searchdet.errors import ImageError, UsageError
from searchdet.images import Scan, discover, read_image

JXL = b"\xff\x0a" + bytes(40)
JXL_BOX = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def fill(folder: Path, *names: str, data: bytes = b"x") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(smooth(), "PNG") if name.endswith(".png") else data)


def warnings_of(folder: Path, caplog: pytest.LogCaptureFixture, recursive: bool = False) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        discover([str(folder)], Scan(recursive=recursive))
    return [record.getMessage() for record in caplog.records]


def test_one_warning_counts_them_by_suffix(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "a.png", "b.jxl", "c.JXL", "d.psd", "e.cr2", "sub/f.jxl", "sub/g.png")
    [text] = warnings_of(tmp_path, caplog)
    assert f"{tmp_path}: 4 of its files are left out" in text
    assert "2 .jxl, 1 .cr2, 1 .psd" in text
    [text] = warnings_of(tmp_path, caplog, recursive=True)
    assert "3 .jxl, 1 .cr2, 1 .psd" in text


def test_what_lies_beside_pictures_is_not_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    beside = "a.json b.txt c.xml d.csv e.yaml Thumbs.db f.XMP g.npy h.zip README LICENSE i.aae j.tfw"
    fill(tmp_path, "a.png", "a.mask.png", ".hidden.jxl", ".git/x.jxl", *beside.split())
    assert warnings_of(tmp_path, caplog, recursive=True) == []


def test_a_picture_without_a_suffix_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, "a.png", "notes")
    fill(tmp_path, "IMG001", data=saved(smooth(), "JPEG"))
    [text] = warnings_of(tmp_path, caplog)
    assert "1 of its files is left out" in text
    assert "1 without suffix" in text
    [query] = discover([str(tmp_path / "IMG001")])
    assert read_image(query.path).pixels.shape == smooth().shape


def test_many_suffixes_are_said_in_short(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "a.png", *(f"x.q{number}" for number in range(9)), f"y.{'z' * 200}")
    [text] = warnings_of(tmp_path, caplog)
    assert "5 others" in text
    assert len(text) < 500


def test_a_folder_of_nothing_else_says_what_there_is(tmp_path: Path) -> None:
    fill(tmp_path, "b.jxl", "c.jxl")
    with pytest.raises(UsageError, match=r"no image in this folder.*but 2 \.jxl"):
        discover([str(tmp_path)])


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.jxl", JXL, "JPEG XL"),
        ("x.jpg", JXL_BOX, "JPEG XL"),
        ("x.bmp", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "JPEG 2000"),
        ("x.tif", b"8BPS" + bytes(40), "Photoshop"),
        ("x.webp", b"P6\n8 8\n255\n" + bytes(192), "PPM"),
        ("x.jpg", b"P5\n8 8\n255\n" + bytes(64), "PGM"),
        ("x.bmp", b"\0\0\1\0\1\0" + bytes(40), "Windows icon"),
        ("x.tif", b"SIMPLE  =                    T" + bytes(40), "FITS"),
    ],
)
def test_a_format_that_is_not_read_is_named(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    fill(tmp_path, name, data=data)
    with pytest.raises(ImageError, match=f"is a {words} file, which is not read") as caught:
        read_image(tmp_path / name)
    assert caught.value.code == "not_an_image"
    assert "PNG or JPEG" in caught.value.hint


def test_a_damaged_file_of_a_known_format_is_called_so(tmp_path: Path) -> None:
    fill(tmp_path, "x.jpg", data=b"\xff\xd8\xff" + bytes(40))
    with pytest.raises(ImageError, match="begins as a JPEG file, but is a damaged or an unusual one"):
        read_image(tmp_path / "x.jpg")


def test_avif_needs_a_pillow_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "x.jpg", data=saved(smooth(), "AVIF"))
    assert read_image(tmp_path / "x.jpg").pixels.shape == smooth().shape
    monkeypatch.setattr("searchdet.images.sniff._pillow_has_avif", lambda: False)
    with pytest.raises(
        ImageError, match="is an AVIF picture, which this Pillow cannot decode"
    ) as caught:
        read_image(tmp_path / "x.jpg")
    assert "pillow>=11.3" in caught.value.hint
