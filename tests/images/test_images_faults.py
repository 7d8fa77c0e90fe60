"""Every file of the factory as a query, tolerated and recorded, and as an exemplar, strictly."""

from __future__ import annotations

import io
import json
import struct
import sys
import time
from pathlib import Path

import images_factory as factory
import numpy as np
import pytest
from images_factory import Made
from PIL import Image
from worlds import call

from searchdet.errors import ExemplarError, ImageError
from searchdet.exemplars import find_positives, load
from searchdet.images import read as images
from searchdet.images import strips
from searchdet.images.read import from_pil, read_image

EVERY = factory.every()


def name_of(made: Made) -> str:
    return made.name


every_file = pytest.mark.parametrize("made", EVERY, ids=name_of)
sound_files = pytest.mark.parametrize("made", [m for m in EVERY if m.outcomes == {"ok"}], ids=name_of)


def put(folder: Path, made: Made) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / made.name
    path.write_bytes(made.data)
    return path


def outcome(path: Path) -> str:
    try:
        found = read_image(path)
    except ImageError as error:
        assert path.name in error.message
        return error.code
    assert found.pixels.dtype == np.uint8
    assert found.pixels.shape == (found.height, found.width, 3)
    assert found.alpha is None or found.alpha.shape == found.pixels.shape[:2]
    return "ok"


@pytest.mark.model
def test_names_are_distinct_and_a_seed_gives_the_same_files() -> None:
    assert len({made.name for made in EVERY}) == len(EVERY) > 140
    assert factory.every() == EVERY


@every_file
def test_a_query_ends_as_it_should(tmp_path: Path, made: Made) -> None:
    path = put(tmp_path, made)
    assert outcome(path) in made.outcomes
    if made.outcomes == {"ok"}:
        assert read_image(path).frames == made.frames


@every_file
def test_an_exemplar_is_used_or_refused_by_name(tmp_path: Path, made: Made) -> None:
    path = put(tmp_path / "pos" / "bolt", made)
    put(
        tmp_path / "pos" / "bolt", Made("sound.png", factory.saved(factory.smooth(), "PNG"), factory.OK)
    )
    if outcome(path) == "ok":
        names = [item.name for item in load(find_positives(tmp_path / "pos"))]
        assert f"pos/bolt/{made.name}" in names
        return
    with pytest.raises(ExemplarError, match="It is an exemplar") as caught:
        load(find_positives(tmp_path / "pos"))
    assert made.name in caught.value.message
    skipped: list[str] = []
    (left,) = load(find_positives(tmp_path / "pos"), skipped=skipped)
    assert (left.name, skipped) == ("pos/bolt/sound.png", [f"pos/bolt/{made.name}"])


@pytest.mark.parametrize("made", [*factory.cuts(), *factory.strangers()], ids=name_of)
def test_a_broken_mask_is_refused_by_name(tmp_path: Path, made: Made) -> None:
    folder = tmp_path / "pos" / "bolt"
    put(folder, Made("1.png", factory.saved(factory.smooth(), "PNG"), factory.OK))
    put(folder, Made("1.mask.png", made.data, made.outcomes))  # broken, or a photograph
    with pytest.raises(ExemplarError, match=r"1\.mask\.png"):
        load(find_positives(tmp_path / "pos"))


@pytest.mark.model
@pytest.mark.parametrize(
    "step", [pytest.param(6, marks=pytest.mark.sample), pytest.param(1, marks=pytest.mark.slow)]
)
def test_a_run_over_all_of_them_records_each(world: Path, step: int) -> None:
    folder = world / "in/odd"
    for made in EVERY[::step]:
        if len(made.data) < 1 << 20:
            put(folder, made)
    names = {path.name for path in folder.iterdir()}
    specials = factory.put_specials(folder)
    wanted = names | (specials.keys() - {"folder.jpg"})  # a folder is no image of its folder
    (world / "list").write_text("\n".join(f"in/odd/{name}" for name in sorted(wanted)))
    for path in (
        folder / "folder.jpg",
        folder / "loop.png",
        folder / "fifo.jpg",
        folder / "device.png",
    ):
        assert path.is_symlink() or path.exists()
    result = call("@list", "-o", "out", "--proposals", "regions", "--save", "none", "--format", "coco")
    assert result.exit_code == 3, result.stderr
    by_name = {made.name: made.outcomes for made in EVERY} | {n: {c} for n, c in specials.items()}
    records = world / "out/records/in/odd"
    assert {path.name.removesuffix(".json") for path in records.iterdir()} == wanted
    for path in records.iterdir():
        record = json.loads(path.read_text())
        failed = record["status"] == "failed"
        assert (record["error"]["code"] if failed else "ok") in by_name[path.name.removesuffix(".json")]
    done = sum(json.loads(path.read_text())["status"] != "failed" for path in records.iterdir())
    assert len(json.loads((world / "out/coco.json").read_text())["images"]) == done > 40 // step


def test_what_is_no_file_is_refused_as_query_and_exemplar(tmp_path: Path) -> None:
    folder = tmp_path / "pos" / "bolt"
    folder.mkdir(parents=True)
    for name, code in factory.put_specials(folder).items():
        assert outcome(folder / name) == code
    (folder / "folder.jpg").rmdir()
    for name in ("fifo.jpg", "device.png", "gone.png", "loop.png"):
        place = tmp_path / name / "bolt"
        place.mkdir(parents=True)
        (folder / name).rename(place / name)
        with pytest.raises(ExemplarError, match=name):
            load(find_positives(place.parent))


def peak_above_start() -> int:
    """Bytes by which memory was above what it is now, since ``clear_refs``."""
    rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return (int(rows["VmHWM"].split()[0]) - int(rows["VmRSS"].split()[0])) << 10


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
@pytest.mark.parametrize("made", list(factory.bombs()), ids=name_of)
def test_a_bomb_is_refused_at_once_and_takes_no_memory(tmp_path: Path, made: Made) -> None:
    path = put(tmp_path, made)
    Path("/proc/self/clear_refs").write_text("5")
    started = time.process_time()
    assert outcome(path) in made.outcomes
    assert time.process_time() - started < 1
    assert peak_above_start() < 200 << 20


@linux
@pytest.mark.parametrize(("mode", "limit"), [("RGB", 14), ("RGBA", 18), ("P", 12)])
def test_a_large_image_takes_little_more_than_its_pixels(tmp_path: Path, mode: str, limit: int) -> None:
    path = tmp_path / "large.png"
    side = 5000
    Image.new(mode, (side, side)).save(path, compress_level=1)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_above_start()
    found = read_image(path)
    taken = peak_above_start() - before + found.pixels.nbytes
    assert taken / side**2 < limit, "bytes a pixel"


@sound_files
def test_strips_give_the_same_pixels(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, made)
    whole = read_image(path)
    monkeypatch.setattr(strips, "STRIP_PIXELS", 150)
    parts = read_image(path)
    assert (parts.pixels == whole.pixels).all()
    assert (parts.alpha is None) == (whole.alpha is None)
    assert whole.alpha is None or (parts.alpha == whole.alpha).all()


@pytest.mark.parametrize("made", list(factory.orientations()), ids=name_of)
def test_all_orientations_are_the_same_picture(tmp_path: Path, made: Made) -> None:
    path = put(tmp_path / "pos" / "bolt", made)
    assert (read_image(path).pixels == factory.smooth()).all()
    (exemplar,) = load(find_positives(tmp_path / "pos"))
    assert (exemplar.pixels == factory.smooth()).all()


def test_a_picture_of_the_caller_is_not_turned() -> None:
    (made,) = (made for made in EVERY if made.name == "turned6.png")
    with Image.open(io.BytesIO(made.data)) as turned:
        assert (from_pil(turned).pixels == factory.smooth()).all()
        assert turned.size == (40, 56)


def tiff_chain(pages: int, last: int = 0) -> bytes:
    """A TIFF of many pages that all show the same bytes; last: where the last one leads."""
    tags = ((256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 8), (278, 4), (279, 16))
    size = 2 + 12 * len(tags) + 4
    out = bytearray(b"II*\0" + struct.pack("<I", 24) + bytes(16))
    for page in range(pages):
        entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
        following = 24 + (page + 1) * size if page < pages - 1 else last
        out += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return bytes(out)


def test_pages_are_counted_only_so_far(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_chain(7))
    assert read_image(path).frames == 7
    path.write_bytes(tiff_chain(20_000))
    started = time.process_time()
    assert read_image(path).frames == images.MOST_PAGES
    assert time.process_time() - started < 2


def test_a_broken_second_page_is_a_decode_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_chain(2, last=9) + b"\0" * 40)
    assert outcome(path) in ("decode", "ok")
    sound = tiff_chain(1, last=24 + 102)
    path.write_bytes(sound + struct.pack("<H", 1) + struct.pack("<HHII", 262, 3, 1, 1) + bytes(4))
    assert outcome(path) == "decode"


def test_a_webp_is_refused_earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.webp"
    Image.fromarray(factory.smooth()).save(path)
    monkeypatch.setattr(images, "WEBP_PIXELS", 1000)
    assert outcome(path) == "too_large"
    with pytest.raises(ImageError) as caught:
        read_image(path, 10)
    assert "--max-pixels" in caught.value.hint
