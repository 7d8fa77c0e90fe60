"""File names of annotations to files and records, however a tool wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchdet.annotations.names import Folder, Listed
from searchdet.errors import UsageError


def put(folder: Path, *names: str) -> Folder:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return Folder(folder)


NAMES = [
    ("a.jpg", "a.jpg"),
    ("train/a.jpg", "train/a.jpg"),
    ("train\\a.jpg", "train/a.jpg"),
    ("images/a.jpg", "a.jpg"),
    ("images\\a.jpg", "a.jpg"),
    ("./train/a.jpg", "train/a.jpg"),
    ("..\\..\\media\\upload\\1\\a.jpg", "a.jpg"),
    ("C:\\data\\set\\train\\a.jpg", "train/a.jpg"),
    ("/home/me/set/train/a.jpg", "train/a.jpg"),
    ("/data/local-files/?d=set/train/a.jpg", "train/a.jpg"),
    ("/data/local-files/?d=set%2Ftrain%2Fa%20b.jpg", "train/a b.jpg"),
    ("/data/upload/1/0a1b2c3d-a.jpg", "a.jpg"),
    ("images/0a1b2c3d-my%20photo.jpg", "my photo.jpg"),
    ("https://host/bucket/train/a%20b.jpg?token=x/y", "train/a b.jpg"),
    ("s3://bucket/train/a.jpg", "train/a.jpg"),
    ("a.jpg", "deep/er/a.jpg"),
    ("x/a.jpg", "deep/x/a.jpg"),
    ("и\u0306.jpg", "й.jpg"),
    ("й.jpg", "и\u0306.jpg"),
    ("IMG_1.JPG", "img_1.jpg"),
    ("train\\a.JPG", "train/A.jpg"),
    ("100%.jpg", "100%.jpg"),
    ("a?b.jpg", "a?b.jpg"),
    ("[a].jpg", "[a].jpg"),
]


@pytest.mark.parametrize(("name", "file"), NAMES)
def test_a_name_leads_to_its_file(tmp_path: Path, name: str, file: str) -> None:
    folder = put(tmp_path, file, "other/b.jpg")
    found = folder.find(name)
    assert found is not None
    assert found.samefile(tmp_path / file)


@pytest.mark.parametrize(("name", "file"), NAMES)
def test_a_record_leads_to_its_name(name: str, file: str) -> None:
    listed = Listed([(name, 7), ("other/b.jpg", 8)])
    assert listed.find(file) == 7
    assert listed.find(f"photos/{file}") == 7
    assert listed.find("c.jpg") is None


def test_the_literal_name_goes_first(tmp_path: Path) -> None:
    folder = put(tmp_path, "a.jpg", "images/a.jpg", "0a1b2c3d-a.jpg")
    assert folder.find("images/a.jpg") == tmp_path / "images/a.jpg"
    assert folder.find("a.jpg") == tmp_path / "a.jpg"
    assert folder.find("0a1b2c3d-a.jpg") == tmp_path / "0a1b2c3d-a.jpg"
    assert folder.find("/data/local-files/?d=images/a.jpg") == tmp_path / "images/a.jpg"
    assert folder.find("b.jpg") is None
    assert folder.find("") is None
    assert folder.find("x" * 300) is None


def test_a_name_that_fits_several_is_refused(tmp_path: Path) -> None:
    folder = put(tmp_path, "train/a.jpg", "val/a.jpg", "deep/val/a.jpg")
    with pytest.raises(UsageError, match=r"fits .*deep.val.a\.jpg and .*train.a\.jpg"):
        Folder(tmp_path).find("set/a.jpg")
    assert folder.find("set/val/a.jpg") == tmp_path / "val/a.jpg"
    listed = Listed([("train/a.jpg", 1), ("val/a.jpg", 2)])
    assert listed.find("a.jpg") is None
    assert listed.find("val/a.jpg") == 2


def test_a_base_name_of_all_images_costs_no_more_than_another() -> None:
    """Frames in a folder for each film: what is kept of a name that leads nowhere stays small."""
    listed = Listed((f"film{number}/0001.jpg", number) for number in range(3000))
    assert listed.find("0001.jpg") is None
    assert listed.find("film2999/0001.jpg") == 2999
    assert max(len(rows) for rows in listed._tails.values()) == 2
