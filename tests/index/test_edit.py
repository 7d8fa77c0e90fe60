"""An index that grows, shrinks and is joined: what it holds is what one made at once would hold."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result
from worlds import rows_of

from searchdet.backbones.filterbank import FilterbankBackbone
from searchdet.cli import app
from searchdet.errors import OutputError, UsageError
from searchdet.index import file as index
from searchdet.index.rows import MASKS, ROWS
from searchdet.storage.journal import Lock

pytestmark = pytest.mark.model
QUICK = ("--backbone", "filterbank", "--proposals", "regions", "--no-cache")
FILES = (*ROWS, *MASKS)


def call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.stderr
    return result


def draw(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (64, 48), (20, 90, 40))
    x = int(rng.integers(0, 40))
    picture.paste(tuple(rng.integers(0, 255, 3).tolist()), (x, 10, x + 20, 30))
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    picture.save(name)


@pytest.fixture(autouse=True)
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six images in in/."""
    monkeypatch.chdir(tmp_path)
    for i in range(6):
        draw(f"in/{i}.png", i)


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each image that is described."""
    seen: list[int] = []
    real = FilterbankBackbone.feature_map

    def counted(self: FilterbankBackbone, pixels: Any) -> Any:
        seen.append(1)
        return real(self, pixels)

    monkeypatch.setattr(FilterbankBackbone, "feature_map", counted)
    return seen


def content(folder: str) -> dict[str, bytes]:
    """All that an index holds, as far as it counts."""
    sizes = json.loads((Path(folder) / "index.json").read_text())["bytes"]
    rows = rows_of(Path(folder))
    return {name: (rows / name).read_bytes()[: sizes[name]] for name in FILES}


def names(folder: str) -> list[str]:
    return [item.image.name for item in index.load(Path(folder)).images]


def test_only_new_images_are_described_and_it_is_as_if_made_at_once(described: list[int]) -> None:
    call("index", "in/0.png", "in/1.png", "in/2.png", "--root", "in", "-o", "idx", *QUICK)
    described.clear()
    said = call("index", "in", "-o", "idx", "--add", *QUICK).stderr
    assert "3 new images, 0 changed" in said
    assert len(described) == 3
    call("index", "in", "-o", "whole", *QUICK)
    assert content("idx") == content("whole")
    described.clear()
    before = (Path("idx") / "index.json").read_bytes()
    assert "0 new images, 0 changed" in call("index", "in", "-o", "idx", "--add", *QUICK).stderr
    assert described == []
    assert (Path("idx") / "index.json").read_bytes() == before


def test_a_changed_image_takes_its_own_place(described: list[int]) -> None:
    call("index", "in", "-o", "idx", *QUICK)
    draw("in/2.png", 99)
    draw("in/6.png", 6)
    described.clear()
    assert "1 new image, 1 changed" in call("index", "in", "-o", "idx", "--add", *QUICK).stderr
    assert len(described) == 2
    call("index", "in", "-o", "whole", *QUICK)
    assert content("idx") == content("whole")
    Path("in/2.png").write_bytes(b"no picture")
    before = (Path("idx") / "index.json").stat()
    said = call("index", "in", "-o", "idx", "--add", *QUICK, code=3).stderr
    assert "2.png: FAILED (not_an_image)" in said
    assert "0 new images, 0 changed" in said
    assert content("idx") == content("whole"), "what it held of it stays"
    draw("in/4.png", 77)
    said = call("index", "in", "-o", "idx", "--add", *QUICK, code=3).stderr
    assert "0 new images, 1 changed" in said
    assert (Path("idx") / "index.json").stat() != before
    assert len(names("idx")) == 7


def test_images_go_by_name_and_by_pattern() -> None:
    draw("in/deep/a.png", 7)
    call("index", "in", "-r", "-o", "idx", *QUICK)
    call("index", "-o", "idx", "--remove", "deep/*", "--remove", "3.png")
    assert names("idx") == ["0.png", "1.png", "2.png", "4.png", "5.png"]
    before = content("idx")
    assert "holds no such image" in call("index", "-o", "idx", "--remove", "x*", code=2).stderr
    assert content("idx") == before
    Path("in/3.png").unlink()
    call("index", "in", "-o", "whole", *QUICK)
    assert content("idx") == content("whole")


def test_a_name_is_no_pattern_where_an_image_is_called_so() -> None:
    for name in ("a[1].png", "a1.png"):
        draw(f"in/{name}", 8)
    call("index", "in", "-o", "idx", *QUICK)
    call("index", "-o", "idx", "--remove", "a[1].png")
    assert {"a1.png", "0.png"} <= set(names("idx"))
    assert "a[1].png" not in names("idx")
    assert "holds no such image" in call("index", "-o", "idx", "--remove", "[a]*", code=2).stderr


def test_what_a_first_run_left_that_was_ended_is_no_other_folder() -> None:
    left = Path("idx") / ".searchdet-00000000-1-x.tmp"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    lock = Lock(Path("idx") / index.LOCK, "held", "")
    call("index", "in/0.png", "--root", "in", "-o", "idx", *QUICK, code=2)
    assert left.is_dir(), "what another process works in stays, however old"
    lock.release()
    (Path("idx") / index.LOCK).touch()
    call("index", "in/0.png", "--root", "in", "-o", "idx", *QUICK)
    Path("idx/index.json").unlink()
    call("index", "in/0.png", "--root", "in", "-o", "idx", *QUICK)
    assert names("idx") == ["0.png"]
    Path("other").mkdir()
    Path("other/notes.txt").write_text("mine")
    assert "is not an index" in call("index", "in", "-o", "other", *QUICK, code=2).stderr


def test_an_image_does_not_come_twice() -> None:
    call("index", "in/0.png", "--root", "in", "-o", "idx", *QUICK)
    found = index.load(Path("idx"))
    twice = [(found.images[0].image, found.packed(found.images[0]))]
    with pytest.raises(UsageError, match="already"):
        index.append(Path("idx"), twice, found.made)
    assert names("idx") == ["0.png"]


def test_shards_are_one_index() -> None:
    parts = []
    for i in (1, 2, 3):
        parts += ["--merge", f"part{i}"]
        call("index", "in", "-o", f"part{i}", "--shard", f"{i}/3", *QUICK)
    assert "of 3 indexes" in call("index", "-o", "idx", *parts).stderr
    assert sorted(names("idx")) == [f"{i}.png" for i in range(6)]
    refused = call("index", "-o", "idx", "--merge", "part1", code=2)
    assert "its images would be gone" in refused.stderr
    call("index", "-o", "idx", *parts, "--merge", "idx")
    assert len(names("idx")) == 6, "an image that several hold comes once"
    whole, one = (index.load(Path(name)) for name in ("idx", "part1"))
    held = next(item for item in whole.images if item.image.name == one.images[0].image.name)
    mine, theirs = whole.regions(held), one.regions(one.images[0])
    assert np.array_equal(mine.described.embedded.vectors, theirs.described.embedded.vectors)
    draw("other/0.png", 50)
    call("index", "other", "-o", "other.idx", *QUICK)
    said = call("index", "-o", "idx", "--merge", "idx", "--merge", "other.idx", code=2).stderr
    assert "different images called '0.png'" in said
    assert len(names("idx")) == 6


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--feat-short-side", "256"), "feat_short_side|short_side"),
        (("--keep", "5"), "--keep is 5 here and 600 there"),
    ],
)
def test_other_settings_are_refused(words: tuple[str, ...], says: str) -> None:
    call("index", "in/0.png", "--root", "in", "-o", "idx", *QUICK)
    before = content("idx")
    result = call("index", "in", "-o", "idx", "--add", *QUICK, *words, code=2)
    assert "made with other models or settings" in result.stderr
    assert any(part in result.stderr for part in says.split("|"))
    assert content("idx") == before


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "idx"),
        ("in", "-o", "idx", "--remove", "0.png"),
        ("in", "-o", "idx", "--merge", "idx"),
        ("-o", "idx", "--remove", "0.png", "--merge", "idx"),
        ("in", "-o", "none", "--add"),
        ("-o", "none", "--remove", "0.png"),
    ],
)
def test_what_does_not_go_together_is_refused(words: tuple[str, ...]) -> None:
    call("index", "in/0.png", "--root", "in", "-o", "idx", *QUICK)
    call("index", *words, *QUICK, code=2)
    assert names("idx") == ["0.png"]


def test_what_the_default_settings_made_they_add_to() -> None:
    """By what was chosen, not by the word `auto`."""
    call("index", "in/0.png", "--root", "in", "-o", "idx", "--backbone", "filterbank", "--no-cache")
    said = call("index", "in", "-o", "idx", "--add", *QUICK).stderr
    assert "5 new images" in said
    other = call("index", "in", "-o", "idx", "--add", *QUICK, "--min-area", "1", code=2).stderr
    assert "proposer differs" in other


@pytest.mark.parametrize("at", range(4))
def test_what_is_added_counts_once_all_is_there(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends while it adds leaves an index that is whole, and the next one goes on."""
    call("index", "in/0.png", "in/1.png", "--root", "in", "-o", "idx", *QUICK)
    before = content("idx")
    real, done = index.Writer.add, []

    def broken(self: Any, *item: Any) -> Any:
        if len(done) == at:
            raise OutputError("no room")
        done.append(1)
        return real(self, *item)

    with monkeypatch.context() as patch:
        patch.setattr(index.Writer, "add", broken)
        call("index", "in", "-o", "idx", "--add", *QUICK, code=5)
    assert content("idx") == before
    assert names("idx") == ["0.png", "1.png"]
    call("index", "in", "-o", "idx", "--add", *QUICK)
    call("index", "in", "-o", "whole", *QUICK)
    assert content("idx") == content("whole")


def test_who_has_it_open_sees_what_was_there(described: list[int]) -> None:
    call("index", "in/0.png", "in/1.png", "--root", "in", "-o", "idx", *QUICK)
    held = index.load(Path("idx"))
    vectors = np.array(held.arrays["vectors"])
    call("index", "in", "-o", "idx", "--add", *QUICK)
    assert np.array_equal(held.arrays["vectors"], vectors)
    assert len(held.images) == 2
    # made again of what it held first, rows that grew since are not written over
    call("index", "in/0.png", "in/1.png", "--root", "in", "-o", "idx", *QUICK)
    assert names("idx") == ["0.png", "1.png"]
    assert len(list(Path("idx").glob("rows-*"))) == 1


def test_two_do_not_write_at_once() -> None:
    """From what one reads of the index on to its end, also where there is none yet."""
    lock = Lock(Path("idx") / index.LOCK, "held", "")
    assert "another process writes it" in call("index", "in", "-o", "idx", *QUICK, code=2).stderr
    lock.release()
    call("index", "in/0.png", "--root", "in", "-o", "idx", *QUICK)
    lock = Lock(Path("idx") / index.LOCK, "held", "")
    try:
        for words in (("in", "--add"), ("in",), ("--remove", "0.png"), ("--lists",)):
            refused = call("index", *words, "-o", "idx", *QUICK, code=2)
            assert "another process writes it" in refused.stderr
    finally:
        lock.release()
    call("index", "in", "-o", "idx", "--add", *QUICK)
    assert len(names("idx")) == 6


def test_a_file_that_is_longer_than_what_counts_is_whole() -> None:
    call("index", "in/0.png", "--root", "in", "-o", "idx", *QUICK)
    for name in FILES:
        with (rows_of(Path("idx")) / name).open("ab") as stream:
            stream.write(os.urandom(7))
    assert names("idx") == ["0.png"]
    call("index", "in", "-o", "idx", "--add", *QUICK)
    call("index", "in", "-o", "whole", *QUICK)
    assert content("idx") == content("whole")
    with pytest.raises(UsageError):
        index.load(Path("in"))
