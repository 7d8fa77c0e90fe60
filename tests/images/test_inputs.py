"""Which images are meant: lists in every encoding, globs with brackets, links, and what is left out."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from searchdet.errors import ExemplarError, UsageError
from searchdet.exemplars import find_negatives, find_positives
from searchdet.images import broken
from searchdet.images.inputs import Scan, discover
from searchdet.images.lists import paths_of

RUSSIAN = "фото тест.png"
NAMES = ["a.jpg", f"sub dir/{RUSSIAN}", "b.png"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts empty files below the working folder."""
    monkeypatch.chdir(tmp_path)

    def put(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return put


def names(*inputs: str, **scan: object) -> list[str]:
    return [query.name for query in discover(list(inputs), Scan(**scan))]  # type: ignore[arg-type]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


MARKS = {"utf-8": "\ufeff", "utf-16-le": "\ufeff", "utf-16-be": "\ufeff", "utf-32-le": "\ufeff"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\0"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_lists_in_every_encoding_of_unicode(
    here: Callable[..., Path], encoding: str, mark: str, end: str
) -> None:
    root = here(*NAMES)
    data = (mark + "".join(f"{name}{end}" for name in NAMES)).encode(encoding)
    (root / "list.txt").write_bytes(data)
    if encoding.startswith("utf-32") and not mark:  # of no program's making
        with pytest.raises(UsageError):
            discover(["@list.txt"], Scan(null=end == "\0"))
    else:
        assert names("@list.txt", null=end == "\0") == NAMES


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_are_no_nul_list(here: Callable[..., Path], encoding: str, mark: str) -> None:
    here(*NAMES)
    for text in ("\r\n".join(NAMES), f"{NAMES[0]}\n"):
        with pytest.raises(UsageError, match="line ends and no NUL"):
            paths_of((mark + text).encode(encoding), "list", null=True)


def test_nul_lists_stay_what_they_were(here: Callable[..., Path]) -> None:
    here("line\nfeed.png", "a.png", "x/1.png", "y/2.png")
    assert paths_of(b"line\nfeed.png", "-", null=True) == [Path("line\nfeed.png")]
    assert paths_of(b"x\0y\0", "-", null=True) == [Path("x"), Path("y")], "no UTF-16"
    assert paths_of(b"a.png\0x/1.png\0", "-", null=True) == [Path("a.png"), Path("x/1.png")]
    with pytest.raises(UsageError, match="NUL within a path") as caught:
        paths_of(b"a.png\0x/1.png\0", "-", null=False)
    assert "--null" in caught.value.hint


def test_marks_within_joined_lists(here: Callable[..., Path]) -> None:
    here("a.png", "b.png", "\ufeffc.png")
    mark = b"\xef\xbb\xbf"
    data = b"%sa.png\n%sb.png\n%sc.png\n" % (mark, mark, mark)
    assert paths_of(data, "-", null=False) == [Path("a.png"), Path("b.png"), Path("\ufeffc.png")]


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "cp866"])
@pytest.mark.parametrize("there", [True, False])
def test_another_encoding_is_named(here: Callable[..., Path], encoding: str, there: bool) -> None:
    if there:
        here(RUSSIAN)
    with pytest.raises(UsageError) as caught:
        paths_of(f"a.png\n{RUSSIAN}\n".encode(encoding), "@list.txt", null=False)
    assert f"@list.txt: line 2 of the list is not UTF-8, but looks like {encoding}." in str(
        caught.value
    )
    assert f"iconv -f {encoding} -t UTF-8" in caught.value.hint


def test_a_file_that_is_there_tells_the_encoding(here: Callable[..., Path]) -> None:
    here("日本.png", "café.png")
    for encoding, name in (("cp932", "日本.png"), ("cp1252", "café.png")):
        with pytest.raises(UsageError, match=f"looks like {encoding}"):
            paths_of(name.encode(encoding), "-", null=False)
    with pytest.raises(UsageError, match=r"not UTF-8\."):
        paths_of("ñandú.png".encode("cp1252"), "-", null=False)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_utf8_are_their_bytes_if_they_are_there(here: Callable[..., Path]) -> None:
    root = here()
    (root / os.fsdecode(b"\xf4.png")).touch()
    found = paths_of(b"\xf4.png\n\xf5.png\n", "-", null=False)
    assert [os.fsencode(path) for path in found] == [b"\xf4.png", b"\xf5.png"]


def test_quotes_and_spaces_around_a_path(here: Callable[..., Path]) -> None:
    here("b.png", " c.png", '"d.png"', "d.png")
    assert paths_of(b' c.png\n"d.png"\n"gone.png"\n', "-", null=False)[0] == Path(" c.png")
    for line in (b'"b.png"', b"b.png \r", b"\tb.png", b"'b.png'"):
        with pytest.raises(UsageError, match=r"-: line 2 .* quotes or spaces .* there is b\.png"):
            paths_of(b"d.png\n" + line + b"\n", "-", null=False)


@pytest.mark.skipif(sys.platform != "linux", reason="file systems that take these for one name")
def test_other_ways_to_write_a_path(here: Callable[..., Path]) -> None:
    nfc, nfd = "\xe9.png", "e\u0301.png"
    here("in/a.png", nfc)
    for line, says in (
        (b"in\\a.png", "backslashes, and there is in/a.png"),
        (nfd.encode(), "normal form"),
        (b"in%2Fa.png", "percent signs, and there is in/a.png"),
        (b"in/%61.png", "percent signs, and there is in/a.png"),
        (f"file://{quote(str(Path('in/a.png').absolute()))}".encode(), "an address of a file"),
        (f"file://host{Path(nfc).absolute()}".encode(), "an address of a file"),
    ):
        with pytest.raises(UsageError, match=f"-: line 1 .*{says}"):
            paths_of(line, "-", null=False)
    here(nfd, "in\\a.png")
    found = paths_of(b"in\\a.png\n%s\n%s\n" % (nfd.encode(), nfc.encode()), "-", null=False)
    assert [str(path) for path in found] == ["in\\a.png", nfd, nfc]


def test_names_with_percent_signs_stay(here: Callable[..., Path]) -> None:
    here("a b.png", "a%20b.png", "100%.png")
    found = paths_of(b"a%20b.png\n100%.png\ngone%20.png\n", "-", null=False)
    assert [str(path) for path in found] == ["a%20b.png", "100%.png", "gone%20.png"]


def test_an_input_that_is_empty_is_not_the_working_folder(here: Callable[..., Path]) -> None:
    here("a.png")
    with pytest.raises(UsageError, match="an input is empty"):
        discover(["a.png", ""])


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xef\xbb\xbf\r\n"])
def test_lists_without_a_path(data: bytes) -> None:
    with pytest.raises(UsageError, match="names no image"):
        paths_of(data, "-", null=False)


def test_a_damaged_list_is_said_so(here: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="damaged UTF-16-LE"):
        paths_of(b"\xff\xfea\0\x00\xd8b\0", "-", null=False)
    here("@2x.png")
    with pytest.raises(UsageError) as caught:
        discover(["@2x.png"])
    assert "write ./@2x.png" in caught.value.hint


def test_brackets_of_a_folder_that_is_there_are_no_pattern(here: Callable[..., Path]) -> None:
    root = here(
        "in/run[1]/a.png", "in/run[1]/[x].png", "in/run1/b.png", "in/run1/x.png", "in/run2/c.png"
    )
    assert names("in/run[1]/*.png") == ["in/run[1]/[x].png", "in/run[1]/a.png"]
    assert names(f"{root}/in/run[1]/*.png") == ["in/run[1]/[x].png", "in/run[1]/a.png"]
    assert names("in/run[12]/*.png") == ["in/run1/b.png", "in/run1/x.png", "in/run2/c.png"]
    assert names("i?/run[1]/[a-b].png") == ["in/run[1]/a.png"]
    assert names("*/run[1]/[x].png") == ["in/run[1]/[x].png"]
    assert names("**/run[1]/*") == ["in/run[1]/[x].png", "in/run[1]/a.png"]
    for wrong in ("in/run[3]/*.png", "in/run[1]/b.png*", "in/run*"):
        with pytest.raises(UsageError, match="no file matches"):
            discover([wrong])


def test_other_signs_in_names(here: Callable[..., Path]) -> None:
    here("what?/a.png", "whats/b.png", "x*y/c.png", "xzy/d.png", "[/e.png", "a]b[/f.png")
    assert names("what?/*.png") == ["what?/a.png"]
    assert names("x*y/*") == ["x*y/c.png"]
    assert names("[/*.png") == ["[/e.png"]
    assert names("a]b[/?.png") == ["a]b[/f.png"]


def test_globs_pass_hidden_names_and_end_in_loops(here: Callable[..., Path]) -> None:
    root = here("in/.hidden/a.png", "in/b.png", "in/.c.png", "in/deep/d.png")
    for name in ("one", "two"):
        (root / "in" / name).symlink_to(root / "in")
    assert names("in/**/*.png") == ["in/b.png", "in/deep/d.png"]
    assert names("in/**") == ["in/b.png", "in/deep/d.png"]
    assert names("in/.h*/*.png") == ["in/.hidden/a.png"]


def run_of_ours(folder: Path) -> None:
    (folder / "run.json").write_text(json.dumps({"schema": "searchdet.run/1"}))


def test_examples_and_earlier_runs_are_left_out_and_said_once(
    here: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = here(
        *("a.png", "deep/b.png", "pos/red/1.png", "x/neg/2.png", "old/overlays/a.png.jpg"),
        *("x/killed/records/a.json", "x/killed/thumbnails/a.jpg", "x/killed/sources/a.json"),
        *("theirs/c.png", "theirs/run.json", "list/d.png", "list/run.json"),
    )
    run_of_ours(root / "old")
    (root / "list/run.json").write_text("[]")
    given = {"recursive": True, "examples": (Path("pos"), root / "x/../x/neg")}
    wanted = ["a.png", "deep/b.png", "list/d.png", "theirs/c.png"]
    assert names(".", **given) == wanted
    assert said(caplog) == [
        "Folders left out of the search: 2 of examples (pos, x/neg), "
        "2 of earlier runs (old, x/killed). Name one to search it."
    ]
    caplog.clear()
    assert names("**/*.[pj][np]g", **given) == wanted
    assert names("*/*.png", "*.png", **given) == [*wanted[1:], "a.png"]
    assert len(said(caplog)) == 2


def test_what_is_named_itself_is_searched(
    here: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = here("pos/red/1.png", "old/overlays/a.jpg")
    run_of_ours(root / "old")
    given = {"recursive": True, "examples": (Path("pos"),)}
    assert names("pos", **given) == ["red/1.png"]
    assert names("pos/red", "old/overlays", "pos/*/*.png", **given) == [
        "1.png",
        "a.jpg",
        "pos/red/1.png",
    ]
    assert said(caplog) == []
    here("old/mine/b.png", "old/masks/a.jpg/001.png")
    assert names("old", **given) == ["mine/b.png"]
    assert said(caplog) == [
        "Folders left out of the search: 2 of earlier runs (old/masks, old/overlays). "
        "Name one to search it."
    ]


def test_links_in_inputs_are_said(here: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    root = here("in/a.png", "away/1.png", "away/2.png", "in/deep/b.png")
    (root / "in/link").symlink_to(root / "away")
    (root / "in/deep/again").symlink_to(root / "away")
    (root / "in/loop").symlink_to(root / "in")
    (root / "in/up").symlink_to(root)
    (root / "in/gone").symlink_to(root / "nowhere")
    (root / "in/gone.png").symlink_to(root / "nowhere.png")
    assert names("in", recursive=True) == ["a.png", "deep/b.png", "gone.png"]
    assert said(caplog) == [
        "Linked folders not looked into: 2 (in/deep/again, in/link). See --follow-symlinks.",
        "Links to nothing: 1 (in/gone).",
    ]
    caplog.clear()
    assert names("in", recursive=True, follow_symlinks=True) == [
        *("a.png", "deep/b.png", "gone.png", "link/1.png", "link/2.png")
    ]
    assert said(caplog) == ["Links to nothing: 1 (in/gone)."]
    caplog.clear()
    assert names("in") == ["a.png", "gone.png"]
    with pytest.raises(UsageError, match=r"in/gone: is a link to .*nowhere, which is not there"):
        discover(["in/gone"])


def test_a_real_folder_goes_before_links_to_it(here: Callable[..., Path]) -> None:
    root = here("in/z/1.png")
    (root / "in/a").symlink_to(root / "in/z")
    assert names("in", recursive=True, follow_symlinks=True) == ["z/1.png"]


def test_linked_folders_of_examples_are_followed(here: Callable[..., Path]) -> None:
    root = here("neg/1.png", "away/2.png", "away/deep/3.png", "other/4.png", "pos/red/5.png")
    (root / "neg/link").symlink_to(root / "away")
    (root / "away/on").symlink_to(root / "other")
    (root / "other/back").symlink_to(root / "away")
    (root / "pos/red/more").symlink_to(root / "other")
    found = [item.name for item in find_negatives(root / "neg")]
    assert found == ["neg/1.png", "neg/link/2.png", "neg/link/deep/3.png", "neg/link/on/4.png"]
    found = [item.name for item in find_positives(root / "pos")]
    assert found == [
        "pos/red/5.png",
        *(f"pos/red/more/{name}" for name in ("4.png", "back/2.png", "back/deep/3.png")),
    ]


def test_links_of_examples_that_lead_nowhere(
    here: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = here("pos/red/1.png", "neg/2.png")
    (root / "neg/up").symlink_to(root)
    assert [item.name for item in find_negatives(root / "neg")] == ["neg/2.png"]
    assert said(caplog) == [f"{root / 'neg'}: links to a folder above are not followed (up)."]
    (root / "neg/gone").symlink_to(root / "nowhere")
    (root / "pos/blue").symlink_to(root / "nowhere")
    for find, name in ((find_negatives, "neg/gone"), (find_positives, "pos/blue")):
        assert broken(root / name)
        with pytest.raises(ExemplarError, match=rf"{name}: is a link to nothing"):
            find(root / Path(name).parts[0])
    (root / "pos/blue").unlink()
    (root / "pos/blue").symlink_to(root)
    with pytest.raises(ExemplarError, match="pos/blue: is a link to a folder above it"):
        find_positives(root / "pos")


def test_a_folder_of_examples_that_cannot_be_read(
    here: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = here("neg/1.png", "neg/closed/2.png")
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ExemplarError, match="closed: the folder cannot be looked into"):
        find_negatives(root / "neg")


def test_names_are_one_from_every_working_folder_with_a_root(
    here: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = here("set/in/a.png", "other/b.png")
    (root / "short").symlink_to(root / "set")
    for folder, name in (("", "set/in/a.png"), ("set", "in/a.png"), ("set/in", "a.png")):
        monkeypatch.chdir(root / folder)
        for base in (root / "set", root / "short"):
            assert names(name, root=base) == ["in/a.png"]
            assert names(str(root / "short/in/a.png"), root=base) == ["in/a.png"]
            assert names(str(Path(name).parent), root=base) == ["in/a.png"]
    with pytest.raises(UsageError, match="lies outside --root"):
        names("a.png", root=root / "other")
