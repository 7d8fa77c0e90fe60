"""Masks of other tools as proposals: of every form, of the right image, upright, or refused by name."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchdet.config import ProposalOptions
from searchdet.errors import ImageError, UsageError
from searchdet.masks import rle
from searchdet.proposals import Proposals, load_proposer
from searchdet.proposals.types import ByImage, ImageId

SIZE = (40, 60)
PHOTO = np.zeros((*SIZE, 3), np.uint8)


def square(x: int, y: int, side: int = 10, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y : y + side, x : x + side] = True
    return mask


A, B = square(5, 6), square(30, 20, 12)


def found(path: Path, name: str = "a.jpg", orientation: int = 1, **options: Any) -> Proposals:
    proposer = load_proposer("masks", masks_from=path, **options)
    assert isinstance(proposer, ByImage)
    shape = SIZE if orientation < 5 else SIZE[::-1]
    return proposer.of(ImageId(name, orientation)).propose(np.zeros((*shape, 3), np.uint8))


def refused(path: Path, match: str, name: str = "a.jpg") -> None:
    with pytest.raises(ImageError, match=match) as error:
        found(path, name)
    assert error.value.code == "masks"
    assert name in error.value.message
    assert error.value.hint


def same(got: Proposals, *masks: np.ndarray) -> bool:
    return [code["counts"] for code in got.rles] == [rle.encode(mask)["counts"] for mask in masks]


def item(mask: np.ndarray | list[list[float]], image: object = 7, **more: Any) -> dict[str, Any]:
    shape = mask if isinstance(mask, list) else rle.encode(mask)
    return {"image_id": image, "segmentation": shape} | more


def coco(path: Path, annotations: list[dict[str, Any]], name: str = "a.jpg", **image: Any) -> Path:
    images = [{"id": 7, "file_name": name} | image, {"id": 8, "file_name": "empty.jpg"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def test_a_dataset_gives_encodings_and_polygons_with_their_scores(tmp_path: Path) -> None:
    ring = [[30.0, 20.0, 42.0, 20.0, 42.0, 32.0, 30.0, 32.0]]
    path = coco(tmp_path / "m.json", [item(A, score=0.4), item(ring, score=0.9, category_id=3)])
    got = found(path)
    assert same(got, B, A)
    assert got.quality.tolist() == pytest.approx([0.9, 0.4])
    assert got.size == SIZE
    assert got.details == {"given": 2}
    assert len(found(path, "empty.jpg")) == 0, "the file says that nothing is there"
    plain = found(coco(tmp_path / "n.json", [item(A), item(B)]))
    assert plain.quality.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["in/deep/a.jpg", "a.jpg", "deep/a.jpg"])
def test_an_image_is_found_below_a_folder_and_behind_other_systems_paths(
    tmp_path: Path, name: str
) -> None:
    for i, theirs in enumerate(["deep/a.jpg", r"C:\work\deep\a.jpg", "/data/deep/a.jpg"]):
        assert same(found(coco(tmp_path / f"{i}.json", [item(A)], theirs), name), A)


def test_an_image_that_is_not_in_the_file_fails(tmp_path: Path) -> None:
    path = coco(tmp_path / "m.json", [item(A)])
    refused(path, r"b\.jpg: --masks-from .*m\.json has nothing of an image", "b.jpg")


@pytest.mark.parametrize("form", ["coco", "folder"])
def test_two_images_that_lead_to_one_entry_are_told_apart_or_refused(tmp_path: Path, form: str) -> None:
    if form == "coco":
        path = coco(tmp_path / "m.json", [item(A)], "1.jpg")
    else:
        path = tmp_path
        np.savez(tmp_path / "1.masks.npz", masks=A[None])
    made = load_proposer("masks", masks_from=path)
    assert isinstance(made, ByImage)
    for _ in range(2):
        assert same(made.of(ImageId("in/x/1.jpg")).propose(PHOTO), A)
    with pytest.raises(ImageError, match=r"y/1\.jpg: .* fits this image and in/x/1\.jpg"):
        made.of(ImageId("in/y/1.jpg")).propose(PHOTO)


@pytest.mark.parametrize("form", ["coco", "folder"])
def test_an_entry_of_another_folder_is_not_of_this_image(tmp_path: Path, form: str) -> None:
    mask = square(5, 5)
    if form == "coco":
        path = coco(tmp_path / "m.json", [item(mask)], name="b/01.jpg")
    else:
        path = tmp_path / "masks"
        (path / "b").mkdir(parents=True)
        np.savez(path / "b" / "01.masks.npz", masks=mask[None])
    refused(path, "nothing of an image of that name", "a/01.jpg")
    assert same(found(path, "b/01.jpg"), mask)
    assert same(found(path, "in/b/01.jpg"), mask)
    assert same(found(path, "01.jpg"), mask)


def test_files_that_are_no_masks_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.savez(tmp_path / "a.masks.npz", masks=square(5, 5)[None])
    (tmp_path / "b.webp").write_bytes(b"RIFF")
    np.savez(tmp_path / "c.npz", masks=square(5, 5)[None])
    found(tmp_path)
    assert "2 files are left out" in caplog.text
    assert "b.webp" in caplog.text


def test_masks_of_another_size_and_bad_scores_are_refused_by_name(tmp_path: Path) -> None:
    small = coco(tmp_path / "m.json", [item(square(1, 1, 5, (20, 30)))], height=20, width=30)
    refused(small, "30x20, the image is 60x40")
    for score in (1.5, -1, "good", True):
        refused(coco(tmp_path / "s.json", [item(A, score=score)]), "annotation 1 of .*its score is")
    refused(coco(tmp_path / "s.json", [item(A, score=97, id=12)]), "annotation 12 of")


def test_a_list_of_results_needs_names(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps([item(A, 7, score=0.5), item(B, 7, score=0.7)]))
    with pytest.raises(UsageError, match="7 names no image") as error:
        found(path)
    assert "--masks-dataset" in error.value.hint
    dataset = coco(tmp_path / "d.json", [])
    assert same(found(path, masks_dataset=dataset), B, A)
    assert len(found(path, "empty.jpg", masks_dataset=dataset)) == 0
    path.write_text(json.dumps([item(A, "deep/a.jpg"), item(B, 9, file_name="b.jpg")]))
    assert same(found(path), A)
    assert same(found(path, "b.jpg"), B)
    for number in ([1], None, True):
        path.write_text(json.dumps([item(A, number, file_name=3)]))
        with pytest.raises(UsageError, match="names no image"):
            found(path)
    path.write_text(json.dumps([item(A, 9, file_name="a.jpg"), item(B, 9, file_name="b.jpg")]))
    with pytest.raises(UsageError, match=r"9 is of 'a\.jpg' and of 'b\.jpg'"):
        found(path)
    with pytest.raises(UsageError, match="has images itself"):
        found(dataset, masks_dataset=dataset)


def test_boxes_without_masks_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = coco(tmp_path / "m.json", [item(A), {"image_id": 7, "bbox": [1, 2, 3, 4]}])
    with caplog.at_level(logging.WARNING):
        assert same(found(path), A)
    assert "boxes without a mask propose nothing: 1" in caplog.text
    assert "searchdet masks" in caplog.text


def test_each_index_is_a_mask_and_255_is_void(tmp_path: Path) -> None:
    values = np.zeros(SIZE, np.uint8)
    values[A], values[B], values[0, :] = 1, 2, 255
    Image.fromarray(values).save(tmp_path / "a.png")
    assert same(found(tmp_path), A, B)
    many = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE) // 8
    (tmp_path / "many").mkdir()
    Image.fromarray(many).save(tmp_path / "many/a.png")
    assert len(found(tmp_path / "many", min_area=0.0)) == 299, "void is void only beside few"
    white = 255 * A.astype(np.uint8)
    (tmp_path / "white").mkdir()
    Image.fromarray(white).save(tmp_path / "white/a.mask.png")
    assert same(found(tmp_path / "white"), A)
    empty = tmp_path / "empty"
    empty.mkdir()
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(empty / "a.png")
    assert len(found(empty)) == 0


def test_a_folder_of_pictures_is_the_masks_of_one_image(tmp_path: Path) -> None:
    for folder in ("deep/a.masks", "deep/b.png"):
        for i, mask in enumerate([A, B]):
            path = tmp_path / folder / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(255 * mask.astype(np.uint8)).save(path)
    assert same(found(tmp_path, "in/deep/a.jpg"), A, B)
    assert same(found(tmp_path, "deep/b.png"), A, B)
    refused(tmp_path, "has nothing of an image", "0.png")


def test_arrays_are_dense_or_run_lengths(tmp_path: Path) -> None:
    path = tmp_path / "a.masks.npz"
    np.savez(path, masks=np.stack([A, B]), quality=np.asarray([0.25, 0.75]))
    got = found(tmp_path)
    assert same(got, B, A)
    assert got.quality.tolist() == [0.75, 0.25]
    texts = np.asarray([rle.encode(mask)["counts"] for mask in (A, B)])
    np.savez_compressed(path, masks=texts, size=np.asarray(SIZE))
    assert same(found(tmp_path), A, B)
    np.savez(path, masks=np.stack([A, B]).astype(np.uint8) * 255)
    assert same(found(tmp_path), A, B)
    np.savez(path, masks=np.zeros((0, *SIZE), bool))
    assert len(found(tmp_path)) == 0


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"masks": np.zeros((1, 20, 30), bool)}, "30x20, the image is 60x40"),
        ({"masks": np.zeros((1, *SIZE), np.float32)}, r"masks is float32 \(1, 40, 60\)"),
        ({"masks": np.asarray(["zz"]), "size": np.asarray(SIZE)}, "a.masks.npz"),
        ({"masks": A[None], "quality": np.asarray([1.0, 1.0])}, "there are 1 masks"),
        ({"masks": A[None], "quality": np.asarray([7.0])}, "a quality is 7"),
        ({"masks": np.arange(2400, dtype=np.uint8).reshape(1, *SIZE)}, "more than one value"),
        ({"other": A}, "archive of arrays"),
        ({"masks": np.asarray([{}], object)}, "a.masks.npz"),
        ({"masks": A[None], "quality": np.asarray([1j])}, "quality is complex"),
        ({"masks": np.asarray(["zz"]), "size": np.asarray([[40.0, 60.5]])}, "a.masks.npz"),
        ({"masks": np.asarray(["zz"]), "size": np.asarray(40)}, "a.masks.npz"),
    ],
)
def test_arrays_that_are_no_masks_are_refused(tmp_path: Path, arrays: Any, match: str) -> None:
    np.savez(tmp_path / "a.masks.npz", **arrays)
    refused(tmp_path, match)


def test_a_broken_archive_and_a_wrong_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.masks.npz").write_bytes(b"PK\3\4 no archive")
    refused(tmp_path, "a.masks.npz")
    np.savez_compressed(
        tmp_path / "a.masks.npz", masks=np.random.default_rng(0).random((2, *SIZE)) > 0.5
    )
    whole = (tmp_path / "a.masks.npz").read_bytes()
    for at in range(30, len(whole), 41):
        (tmp_path / "a.masks.npz").write_bytes(whole[:at] + b"\xff\0" + whole[at + 2 :])
        try:
            found(tmp_path)
        except ImageError as error:
            assert "a.masks.npz" in error.message
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "b.png")
    refused(tmp_path, "b.png: is 30x20, the image is 60x40", "b.jpg")


def test_two_files_of_one_image_and_folders_without_masks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(UsageError, match="has no masks"):
        found(tmp_path)
    np.savez(tmp_path / "a.masks.npz", masks=A[None])
    Image.fromarray(A.astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"a\.masks\.npz and a\.png are both masks of a"):
        found(tmp_path)
    with pytest.raises(UsageError, match="no such file or folder"):
        found(tmp_path / "nothing")
    with pytest.raises(UsageError, match="needs masks"):
        load_proposer("masks")
    with pytest.raises(UsageError, match="has masks of whole ones"):
        found(tmp_path, tile=64)


@pytest.mark.parametrize("form", ["coco", "npz", "png"])
def test_masks_of_the_photo_before_its_rotation_are_turned(
    tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path
    if form == "coco":
        path = coco(tmp_path / "m.json", [item(A)], height=40, width=60)
    elif form == "npz":
        np.savez(tmp_path / "a.masks.npz", masks=A[None])
    else:
        Image.fromarray(A.astype(np.uint8)).save(tmp_path / "a.png")
    with caplog.at_level(logging.WARNING):
        got = found(path, orientation=6)
    assert same(got, np.rot90(A, -1))
    assert "EXIF rotation" in caplog.text


def test_labelme_files_give_their_shapes(tmp_path: Path) -> None:
    points = [[5, 6], [15, 6], [15, 16], [5, 16]]
    shapes = [{"label": "x", "points": points, "shape_type": "polygon", "group_id": None}]
    made = {"shapes": shapes, "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    (tmp_path / "a.json").write_text(json.dumps(made))
    assert same(found(tmp_path), A)


def test_copies_go_and_the_filters_act(tmp_path: Path) -> None:
    whole = np.ones(SIZE, bool)
    masks = [item(m, score=s) for m, s in ((A, 0.2), (A, 0.8), (B, 0.5), (whole, 1.0))]
    path = coco(tmp_path / "m.json", masks)
    got = found(path)
    assert same(got, A, B)
    assert got.quality.tolist() == pytest.approx([0.8, 0.5])
    assert got.removed["duplicate"] == 1
    assert got.removed["area"] == 1, "the whole picture"
    assert same(found(path, scored_masks=1), A)
    assert same(found(path, min_area=5.0), B)
    assert same(found(path, max_area=100.0), whole, A, B)


def test_the_digest_is_of_all_that_is_there(tmp_path: Path) -> None:
    def digest() -> str:
        made = load_proposer("masks", masks_from=tmp_path)
        assert made.weights is not None
        return made.weights.sha256

    np.savez(tmp_path / "a.masks.npz", masks=A[None])
    one = digest()
    assert digest() == one
    np.savez(tmp_path / "b.masks.npz", masks=B[None])
    two = digest()
    np.savez(tmp_path / "b.masks.npz", masks=A[None])
    assert len({one, two, digest()}) == 3


def test_a_folder_needs_no_dataset_and_auto_takes_what_is_given(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.masks.npz", masks=A[None])
    assert load_proposer("auto", masks_from=tmp_path).name == "masks"
    with pytest.raises(UsageError, match="--masks-dataset is for a list"):
        load_proposer("masks", masks_from=tmp_path, masks_dataset=tmp_path / "d.json")
    with pytest.raises(UsageError, match="has none"):
        load_proposer("masks", masks_from=tmp_path).propose(PHOTO)


def test_options_keep_no_path_of_the_machine() -> None:
    from searchdet.records import proposal_settings

    settings = proposal_settings(ProposalOptions("masks", masks_from=Path("/home/me/m.json")))
    assert "masks_from" not in settings
    assert "masks_dataset" not in settings
