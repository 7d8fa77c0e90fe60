"""Names that begin like options, and files where folders are to be: the message says the next step."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner
from worlds import RED, call, draw

from searchdet.cli import app
from searchdet.errors import OutputError
from searchdet.storage import files

EXAMPLES = ["--positive", "in/positive", "--negative", "in/negative"]


@pytest.mark.parametrize("name", ["-x.jpg", "-o.jpg", "-r.png", "--root.png", "-h.jpeg", "-photos"])
@pytest.mark.parametrize("there", [True, False])
def test_a_name_that_begins_like_an_option(world: Path, name: str, there: bool) -> None:
    if there:
        (world / name).mkdir()
    elif name == "-photos":
        return
    result = CliRunner().invoke(app, ["detect", name, *EXAMPLES])
    assert result.exit_code == 2
    value = {"-o.jpg": "-o .jpg", "-photos": "-p hotos"}.get(name)
    more = f"; if the value of an option is, put a space between them: {value}."
    assert result.stderr.splitlines() == [
        f"error: {name}: begins like an option. If a file is meant, write ./{name}, or -- before it"
        + (more if value else ".")
    ]
    assert not list(world.glob("*jpg/records")), "nothing was taken for -o"


@pytest.mark.model
def test_such_a_file_is_searched_if_it_is_written_so(world: Path) -> None:
    Image.fromarray(draw([RED], 1)).save(world / "-x.png")
    for words in (["./-x.png"], ["--", "-x.png"]):
        result = call("--no-save", *words)
        assert result.exit_code == 0, result.stderr
        assert any(line.startswith("-x.png: 1 red") for line in result.stderr.splitlines())


def test_options_stay_options_whatever_lies_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-r", "--recursive", "-h", "--no-save"):
        (tmp_path / name).touch()
    result = CliRunner().invoke(app, ["detect", "-r", "--recursive", "--no-save", "--help"])
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("place", ["file", "file/deep/er"])
@pytest.mark.parametrize("command", ["detect", "export", "demo"])
def test_a_file_where_the_output_folder_is_to_be(made: Path, command: str, place: str) -> None:
    (made / "file").write_text("kept")
    words = {"detect": ["detect", "in/images/a.png", *EXAMPLES], "export": ["export", "out"]}
    result = CliRunner().invoke(app, [*words.get(command, [command]), "-o", place])
    assert result.exit_code == 5
    assert result.stderr.splitlines()[-1] == (
        "error: file: is a file, and a folder is needed there. "
        "Name another folder with -o, or move it away."
    )
    assert (made / "file").read_text() == "kept"


def test_a_folder_where_a_file_is_to_be(made: Path) -> None:
    (made / "folder").mkdir()
    result = CliRunner().invoke(app, ["report", "out", "-o", "folder"])
    assert result.exit_code == 5
    said = "error: folder: is a folder, and a file is to be written. Name a file."
    assert result.stderr.splitlines()[-1] == said


def test_a_link_to_nothing_where_the_folder_is_to_be(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "unmounted")
    with pytest.raises(OutputError, match="out: is a link to nothing, and a folder is needed there"):
        files.write_bytes(tmp_path / "out/records/a.json", b"")
