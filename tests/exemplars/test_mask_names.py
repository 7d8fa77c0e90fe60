"""Names of mask files, and pictures that are masks but are not named so."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from searchdet.annotations import Notes
from searchdet.errors import ExemplarError
from searchdet.exemplars import Found, find_file, find_negatives, find_positives, load

SIZE = (24, 32)
MARK = np.zeros(SIZE, bool)
MARK[4:12, 6:20] = True


def photo(path: Path, orientation: int = 1, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(5).integers(40, 250, (*size, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def mask(path: Path, white: int = 255, mark: np.ndarray = MARK) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mark.astype(np.uint8) * white).save(path)
    return path


NAMES = [
    "01.mask.png",
    "01_mask.png",
    "01-mask.png",
    "01.MASK.PNG",
    "01_Mask.bmp",
    "01.mask.tif",
    "01-mask.TIFF",
    "01_mask.gif",
    "01.jpg.mask.png",
    "masks/01.png",
    "mask/01.bmp",
    "Masks/01_mask.png",
    "masks/01.jpg.png",
]


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("name", NAMES)
def test_a_mask_may_have_any_of_the_usual_names(tmp_path: Path, name: str, white: int) -> None:
    image = photo(tmp_path / "pos" / "bolt" / "01.jpg")
    mask(image.parent / name, white)
    for found in (
        find_positives(tmp_path / "pos"),
        find_positives(image.parent),
        find_negatives(tmp_path / "pos"),
        find_file(image, "bolt/01.jpg", "bolt"),
    ):
        (made,) = load(found)
        assert made.mask_source == "file"
        assert (made.mask == MARK).all()


@pytest.mark.parametrize("folder", ["images", "Imgs", "img"])
def test_masks_may_lie_in_a_folder_beside_that_of_the_images(tmp_path: Path, folder: str) -> None:
    image = photo(tmp_path / "pos" / "bolt" / folder / "01.jpg")
    mask(tmp_path / "pos" / "bolt" / "masks" / "01.png")
    for root, label in ((tmp_path / "pos", "bolt"), (tmp_path / "pos" / "bolt", "bolt")):
        (made,) = load(find_positives(root))
        assert (made.label, made.mask_source) == (label, "file")
    (made,) = load(find_file(image, "bolt/01.jpg", "bolt"))
    assert made.mask_source == "file"


STRANGERS = [
    "01_gt.png",
    "gt_01.png",
    "01_label.bmp",
    "01-seg.tif",
    "01 (mask).png",
    "mask_01.png",
    "01mask.png",
    "labels/01.png",
    "SegmentationClass/01.png",
    "01_gt.jpg",
]


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("name", STRANGERS)
def test_a_mask_of_another_name_is_no_example(tmp_path: Path, name: str, white: int) -> None:
    image = photo(tmp_path / "pos" / "bolt" / "01.jpg")
    other = mask(image.parent / name, 255 if name.endswith("jpg") else white)
    for find in (find_positives, find_negatives):
        with pytest.raises(ExemplarError, match=r"looks like the mask of 01\.jpg") as caught:
            load(find(tmp_path / "pos"))
        assert str(other) in caught.value.message
        assert f"01.mask{other.suffix}" in caught.value.hint
    skipped: list[str] = []
    (left,) = load(find_positives(tmp_path / "pos"), skipped=skipped)
    assert left.name == "pos/bolt/01.jpg"
    assert len(skipped) == 1
    if other.parent == image.parent:
        with pytest.raises(ExemplarError, match="looks like the mask"):
            load(find_file(other, "bolt/x", "bolt"))


def test_a_class_of_masks_is_none(tmp_path: Path) -> None:
    photo(tmp_path / "pos" / "photos" / "01.jpg")
    photo(tmp_path / "pos" / "more" / "02.jpg")
    mask(tmp_path / "pos" / "masks" / "01.png")
    with pytest.raises(ExemplarError, match=r"looks like the mask of 01\.jpg"):
        load(find_positives(tmp_path / "pos"))


def test_photos_with_names_like_masks_stay_examples(tmp_path: Path) -> None:
    photo(tmp_path / "pos" / "mask" / "face_mask.jpg")
    photo(tmp_path / "pos" / "mask" / "01.jpg")
    photo(tmp_path / "pos" / "face" / "01.jpg")
    photo(tmp_path / "pos" / "face" / "01b.jpg")
    assert [item.label for item in load(find_positives(tmp_path / "pos"))] == ["face"] * 2 + [
        "mask"
    ] * 2
    assert len(load(find_negatives(tmp_path / "pos"))) == 4


def test_a_photo_named_as_the_mask_of_another_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "pos" / "face" / "01.jpg")
    other = photo(tmp_path / "pos" / "face" / "01_mask.jpg")
    with pytest.raises(ExemplarError, match=r"clearly black and white|colours") as caught:
        load(find_positives(tmp_path / "pos"))
    assert str(other) in caught.value.message


@pytest.mark.parametrize("name", ["02.mask.png", "masks/02.png", "02_mask.png", "02-mask.bmp"])
def test_a_mask_without_its_image_is_refused(tmp_path: Path, name: str) -> None:
    image = photo(tmp_path / "pos" / "bolt" / "01.jpg")
    mask(image.parent / "masks" / "01.png")
    other = mask(image.parent / name)
    with pytest.raises(ExemplarError, match="no image beside it") as caught:
        load(find_positives(tmp_path / "pos"))
    assert str(other) in caught.value.message


def test_two_masks_and_the_mask_itself_are_refused(tmp_path: Path) -> None:
    image = photo(tmp_path / "bolt" / "01.jpg")
    one = mask(image.parent / "01_mask.png")
    with pytest.raises(ExemplarError, match=r"is the mask of 01\.jpg"):
        find_file(one, "x", "bolt")
    mask(image.parent / "masks" / "01.png")
    with pytest.raises(ExemplarError, match="has both"):
        find_positives(image.parent)


def turned(root: Path, orientation: int, stored: bool, size: tuple[int, int] = SIZE) -> list[Found]:
    """A photo with an EXIF rotation and a mask of its stored frame or of the upright one."""
    image = photo(root / "pos" / "bolt" / "01.jpg", orientation, size)
    mark = np.zeros(size, bool)
    mark[4:12, 6:20] = True
    upright = mark.T[:, ::-1] if orientation == 6 else mark[::-1, ::-1]
    mask(image.parent / "01.mask.png", 255, mark if stored else np.ascontiguousarray(upright))
    return find_positives(root / "pos")


@pytest.mark.parametrize("stored", [True, False])
def test_the_size_tells_the_frame_of_a_rotated_photo(
    tmp_path: Path, stored: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        (made,) = load(turned(tmp_path, 6, stored))
    assert (made.mask == MARK.T[:, ::-1]).all()
    assert ("EXIF rotation" in caplog.text) == stored
    notes = Notes(strict=True)
    load(find_positives(tmp_path / "pos"), notes=notes)
    notes.tell()  # the size decides: nothing is guessed


@pytest.mark.parametrize(("orientation", "size"), [(3, SIZE), (6, (30, 30))])
def test_where_the_size_does_not_tell_it_is_said(
    tmp_path: Path, orientation: int, size: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        load(turned(tmp_path, orientation, True, size))
    assert "EXIF" in caplog.text
    assert "01.mask.png" in caplog.text
    notes = Notes(strict=True)
    load(find_positives(tmp_path / "pos"), notes=notes)
    with pytest.raises(ExemplarError, match="EXIF"):
        notes.tell()


def test_a_mask_with_the_rotation_of_its_photo_is_turned_with_it(tmp_path: Path) -> None:
    found = turned(tmp_path, 3, True)
    exif = Image.Exif()
    exif[0x0112] = 3
    path = tmp_path / "pos" / "bolt" / "01.mask.png"
    Image.open(path).save(path, exif=exif)
    notes = Notes(strict=True)
    (made,) = load(found, notes=notes)
    notes.tell()
    assert (made.mask == MARK[::-1, ::-1]).all()


def test_a_mask_that_fits_neither_frame_names_both(tmp_path: Path) -> None:
    image = photo(tmp_path / "pos" / "bolt" / "01.jpg", 6)
    Image.new("L", (9, 9), 255).save(image.parent / "01_mask.png")
    with pytest.raises(ExemplarError, match=r"9x9.*24x32 \(32x24 before its EXIF rotation\)"):
        load(find_positives(tmp_path / "pos"))


def test_lossy_masks_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in (1, 2):
        image = photo(tmp_path / "pos" / "bolt" / f"{number}.png")
        mask(image.parent / f"{number}.mask.jpg")
    with caplog.at_level(logging.WARNING):
        load(find_positives(tmp_path / "pos"))
    assert len(caplog.records) == 1
    assert "lossy" in caplog.text
    assert ": 2 (first:" in caplog.text


def test_the_index_chooses_the_object(tmp_path: Path) -> None:
    image = photo(tmp_path / "pos" / "bolt" / "01.jpg")
    both = MARK.astype(np.uint8) * 8
    both[20:, 20:] = 1
    Image.fromarray(both).save(image.parent / "01.mask.png")
    with pytest.raises(ExemplarError, match=r"2 indices \(1, 8\)") as caught:
        load(find_positives(tmp_path / "pos"))
    assert "--mask-index" in caught.value.hint
    (made,) = load(find_positives(tmp_path / "pos"), mask_index=8)
    assert (made.mask == MARK).all()


def test_classes_that_number_their_images_alike_hold_no_masks(tmp_path: Path) -> None:
    """A black and white thing of one class is no mask of another's image of the same number."""
    rng = np.random.default_rng(0)
    card = np.full((40, 30, 3), 250, np.uint8)
    card[10:20, 10:20] = 10
    for label, pixels in (("ace", rng.integers(0, 256, (40, 30, 3), np.uint8)), ("nine", card)):
        (tmp_path / "positive" / label).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "positive" / label / "04.png")
    found = load(find_positives(tmp_path / "positive"))
    assert [item.label for item in found] == ["ace", "nine"]
    (tmp_path / "positive/nine").rename(tmp_path / "positive/ace masks")
    with pytest.raises(ExemplarError):
        load(find_positives(tmp_path / "positive"))


def test_a_mask_of_another_size_is_refused_before_its_pixels_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "obj/01.png")
    Image.new("RGBA", (300, 200)).save(tmp_path / "obj/01.mask.png")
    decoded: list[tuple[int, int]] = []
    before = PngImageFile.load

    def load_noted(image: PngImageFile) -> object:
        decoded.append(image.size)
        return before(image)

    monkeypatch.setattr(PngImageFile, "load", load_noted)
    with pytest.raises(ExemplarError, match=r"01\.mask\.png: is 300x200, the image is 32x24"):
        load(find_positives(tmp_path))
    assert (300, 200) not in decoded


@pytest.mark.parametrize("name", ["1.mask.tif", "1.mask.gif", "1.mask.png", "1.mask.webp"])
@pytest.mark.parametrize("more", [0, 2])
def test_masks_of_several_pages_are_told(
    tmp_path: Path, name: str, more: int, caplog: pytest.LogCaptureFixture
) -> None:
    image = photo(tmp_path / "pos" / "bolt" / "1.jpg")
    first, other = (Image.fromarray(found.astype(np.uint8) * 255) for found in (MARK, ~MARK))
    how = {"lossless": True} if name.endswith("webp") else {}
    pages = {"save_all": True, "append_images": [other] * more} if more else {}
    first.save(image.parent / name, **how, **pages)
    (made,) = load(find_positives(tmp_path / "pos"))
    assert (made.mask == MARK).all()
    assert ("several pages" in caplog.text) == (more > 0)
    strict = Notes(strict=True)
    load(find_positives(tmp_path / "pos"), notes=strict)
    with pytest.raises(ExemplarError, match="several pages") if more else nullcontext():
        strict.tell()


def test_reduced_copies_of_a_mask_are_no_pages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = photo(tmp_path / "pos" / "bolt" / "1.jpg")
    values = MARK.astype(np.uint8) * 255
    with tifffile.TiffWriter(image.parent / "1.mask.tif") as file:
        file.write(values)
        file.write(values[::2, ::2], subfiletype=1)
    (made,) = load(find_positives(tmp_path / "pos"))
    assert (made.mask == MARK).all()
    assert not caplog.records


def test_a_mask_that_its_own_exif_turns_away_says_so(tmp_path: Path) -> None:
    image = photo(tmp_path / "pos" / "bolt" / "1.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = Image.fromarray(MARK.astype(np.uint8) * 255)
    mask.save(image.parent / "1.mask.png", exif=exif)
    with pytest.raises(ExemplarError, match=r"mask\.png: is, turned by its own EXIF, 24x32"):
        load(find_positives(tmp_path / "pos"))
