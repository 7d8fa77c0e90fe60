"""Settings from files: which goes before which, what is refused, and what `config` tells about it."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import typer
from typer.testing import CliRunner

from searchdet.cli import app
from searchdet.commands.settings import file as settingsfile
from searchdet.commands.settings import option_tree as commandtree

ROOT = commandtree.tree(typer.main.get_command(app))
COMMANDS = {" ".join(node.path): node for node in ROOT.commands()}


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def show(*words: str) -> dict[str, Any]:
    result = run("config", "show", "--json", *words)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["options"]


def refused(*words: str) -> str:
    """The one line that a command says and exits with 2."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.strip()


def write(path: str, text: str) -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(textwrap.dedent(text), encoding="utf-8")
    return target


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder; user/ has the user's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *a, **k: str(tmp_path / "user"))
    monkeypatch.delenv("SEARCHDET_CONFIG", raising=False)


# Order

FORMS = {
    "number": ("min-score", None, ("0.1", 0.1), ("0.2", 0.2), ("0.3", 0.3), (["0.4"], 0.4)),
    "path": ("positive", None, ('"a"', "user/a"), ('"b"', "b"), ("c", "c"), (["d"], "d")),
    "flag": ("recursive", False, ("true", True), ("false", False), ("1", True), ([], True)),
    "list": (
        "class-min-score",
        None,
        ('["a=1"]', ["a=1"]),
        ('["b=1", "c=1"]', ["b=1", "c=1"]),
        ("d=1 e=1", ["d=1", "e=1"]),
        (["f=1"], ["f=1"]),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_flag_variable_project_user_default(
    form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, default, user, project, variable, flag = FORMS[form]

    def is_now(value: Any, source: str, origin: str | None) -> None:
        for words in ((), ("detect",)):
            row = show(*words, *given)[name]
            assert row["value"] in (value, str(tmp_path / str(value))) or row["value"] == (value or [])
            assert (row["source"], row["from"]) == (source, origin)

    given: list[str] = []
    is_now(default, "default", None)
    write("user/searchdet.toml", f"{name} = {user[0]}")
    is_now(user[1], "file", f"{tmp_path / 'user/searchdet.toml'}:{name}")
    write("searchdet.toml", f"{name.replace('-', '_')} = {project[0]}")
    is_now(project[1], "file", f"searchdet.toml:{name.replace('-', '_')}")
    upper = "SEARCHDET_" + name.replace("-", "_").upper()
    monkeypatch.setenv(upper, variable[0])
    is_now(variable[1], "environment", upper)
    given = [f"--{name}", *flag[0]]
    is_now(flag[1], "flag", None)


def test_pyproject_stands_for_the_file_and_both_are_one_too_many() -> None:
    write(
        "pyproject.toml", "[tool.searchdet]\ndevice = 'cpu'\n[tool.searchdet.bank.build]\ntopk-no = 1\n"
    )
    assert "pyproject.toml:4: [bank.build] has no option 'topk-no'" in refused("config", "show")
    write("pyproject.toml", "[tool.searchdet.detect]\ndevice = 'cpu'\n")
    assert show()["device"]["from"] == "pyproject.toml:tool.searchdet.detect.device"
    write("searchdet.toml", "")
    line = refused("detect", "x.png")
    assert "searchdet.toml and [tool.searchdet] of pyproject.toml are both here" in line
    write("pyproject.toml", "[tool.ruff]\n# searchdet\n")
    assert show()["device"]["source"] == "default"
    write("pyproject.toml", "[tool]\nsearchdet = 3\n")
    assert "must be a table" in refused("config", "show")
    write("pyproject.toml", "[project\n")  # broken, and nothing to do with us
    assert show()["device"]["source"] == "default"


def test_a_table_goes_before_what_stands_outside_and_a_stronger_file_before_both() -> None:
    write(
        "searchdet.toml",
        """
        device = "cpu"
        precision = "fp32"
        [bank]
        precision = "bf16"
        pooling = "topk"
        [bank.build]
        pooling = "mean"
        """,
    )
    write("user/searchdet.toml", '[detect]\ndevice = "cuda"\ntopk = 7\n')
    detect, build, add = show("detect"), show("bank", "build"), show("bank", "add")
    assert detect["device"]["value"] == "cpu"
    assert detect["topk"]["value"] == 7
    assert detect["pooling"]["source"] == "default"
    assert (detect["precision"]["value"], add["precision"]["value"]) == ("fp32", "bf16")
    assert build["pooling"]["from"] == "searchdet.toml:bank.build.pooling"


def test_a_shared_key_keeps_off_options_of_another_kind_and_required_ones() -> None:
    write("searchdet.toml", 'positive = "pos"\nnegative = "neg"\noutput = "out"\n')
    assert show()["output"]["value"] == "out"
    assert show("demo")["output"]["value"] == "out"
    assert show("bank", "build")["positive"]["value"] == "pos"
    assert show("bank", "build")["output"] == {"value": None, "source": "default", "from": None}
    added = show("bank", "add")
    assert (added["positive"]["source"], added["negative"]["source"]) == ("default", "default")
    write("searchdet.toml", '[bank]\noutput = "bank.safetensors"\n')
    assert "Write it in [bank.build]" in refused("config", "show")


def test_a_named_file_is_the_only_one_and_it_can_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    write("user/searchdet.toml", "topk = 1")
    write("searchdet.toml", "min-score = 0.1")
    write("other/mine.toml", "device = 'cpu'\npositive = 'pos'")
    write("flag.toml", "topk = 9")

    def sources() -> set[str]:
        return {row["from"] for row in show().values() if row["from"]}

    assert len(sources()) == 2
    monkeypatch.setenv("SEARCHDET_CONFIG", "other/mine.toml")
    assert sources() == {"other/mine.toml:device", "other/mine.toml:positive"}
    assert show()["positive"]["value"] == "other/pos"
    assert show("--config", "flag.toml")["topk"]["value"] == 9
    assert show("--no-config")["device"]["source"] == "default"
    before = run("--config", "flag.toml", "config", "show", "--json")
    assert json.loads(before.stdout)["options"]["topk"]["value"] == 9
    monkeypatch.setenv("SEARCHDET_CONFIG", "")
    assert sources() == set()
    assert "no such file" in refused("detect", "x.png", "--config", "nowhere.toml")
    assert "exclude each other" in refused("detect", "x.png", "--config", "flag.toml", "--no-config")
    monkeypatch.setenv("SEARCHDET_CONFIG", "gone.toml")
    assert "SEARCHDET_CONFIG: gone.toml: no such file" in refused("detect", "x.png")


def test_relative_paths_start_from_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    write(
        "deep/er/s.toml",
        """
        positive = "pos"
        negative = "../neg"
        backbone-ckpt = "/weights/file.pth"
        sam-checkpoint = "~/sam.pth"
        class-min-score = ["a=0.4"]
        [bank.add]
        positive = ["bolt", "new.png"]
        negative = ["a.png", "b.png"]
        from-record = ["records/a.json", 3]
        """,
    )
    values = {name: row["value"] for name, row in show("--config", "deep/er/s.toml").items()}
    assert values["positive"] == "deep/er/pos"
    assert values["negative"] == "deep/er/../neg"
    assert values["backbone-ckpt"] == "/weights/file.pth"
    assert values["sam-checkpoint"] == "/home/somebody/sam.pth"
    assert values["class-min-score"] == ["a=0.4"]
    added = {
        name: row["value"] for name, row in show("bank", "add", "--config", "deep/er/s.toml").items()
    }
    assert added["positive"] == ["bolt", "deep/er/new.png"]
    assert added["negative"] == ["deep/er/a.png", "deep/er/b.png"]
    assert added["from-record"] == ["deep/er/records/a.json", 3]
    write("searchdet.toml", 'positive = "pos"')
    assert show()["positive"]["value"] == "pos"  # as if typed here, so records name files as before


# What is refused


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "\nmin-scor = 0.4",
            "searchdet.toml:2: no command has an option 'min-scor'. Did you mean 'min-score'?",
        ),
        (
            "[detect]\nmin_scor = 1",
            "searchdet.toml:2: [detect] has no option 'min_scor'. Did you mean 'min-score'?",
        ),
        ("[detct]\ntopk = 1", "searchdet.toml:1: [detct] is not a command. Did you mean 'detect'?"),
        ("\n[bank.biuld]\n", "searchdet.toml:2: [bank.biuld] is not a command. Did you mean 'build'?"),
        ("[bank.build]\ntopk = 3", "searchdet.toml:2: [bank.build] has no option 'topk'."),
        ("[topk]\n", "searchdet.toml:1: 'topk' is an option, not a table. Write topk = VALUE."),
        (
            "[[detect]]\n",
            "toml:1: no command has an option 'detect'. It is a command; its table is",
        ),
        ("help = true", "'help'"),
        ("config = 'x.toml'", "'config'"),
        ("[config.show]\njson = true", "[config] is not a command"),
        ("o = 'x'", "no command has an option 'o'"),
        ("topk = '3'", "searchdet.toml:1: 'topk' is the text '3'; it must be a whole number."),
        ("topk = 3.0", "'topk' is 3.0; it must be a whole number."),
        ("topk = true", "'topk' is true; it must be a whole number."),
        ("min-score = 'high'", "'min-score' is the text 'high'; it must be a number."),
        ("min-score = 2026-01-01", "'min-score' is 2026-01-01; it must be a number."),
        ("positive = 3", "'positive' is 3; it must be a path in quotes."),
        ("positive = ['a', 'b']", "it must be a path in quotes."),
        ("backbone = false", "'backbone' is false; it must be text in quotes."),
        ("recursive = 1", "'recursive' is 1; it must be true or false."),
        ("recursive = 'no'", "it must be true or false."),
        ("class-min-score = 'a=1'", "it must be a list, each item text in quotes."),
        ("class-min-score = [1]", "it must be a list, each item text in quotes."),
        ("[bank.add]\npositive = ['a']", "it must be a list of 2: text in quotes, a path in quotes."),
        (
            "min-score = 1\nmin_score = 2",
            "toml:2: 'min_score' and 'min-score' are the same option.",
        ),
        ("backbone-ckpt = 'a'\ndinov3-ckpt = 'b'", "are the same option."),
        ("topk = ", "searchdet.toml: not a TOML file: Invalid value (at"),
        ("topk = 1\ntopk = 2", "searchdet.toml: not a TOML file: Cannot overwrite a value"),
    ],
)
def test_what_a_file_must_not_say(text: str, says: str) -> None:
    write("searchdet.toml", text)
    for words in (["detect", "x.png"], ["bank", "show", "x"], ["demo"], ["config", "show"]):
        assert says in refused(*words)


def test_a_file_of_other_bytes_or_a_folder_is_refused() -> None:
    Path("searchdet.toml").write_bytes(b"backbone = '\xff'")
    assert "not a TOML file" in refused("config", "show")
    Path("searchdet.toml").unlink()
    Path("searchdet.toml").mkdir()
    assert "cannot be read" in refused("config", "show")
    Path("bom.toml").write_bytes(b"\xef\xbb\xbftopk = 5\r\n")
    assert show("--config", "bom.toml")["topk"]["value"] == 5


@pytest.mark.parametrize("command", ["", *COMMANDS, "bank", "config", "config show", "config init"])
def test_help_and_version_do_not_mind_a_broken_file(command: str) -> None:
    write("searchdet.toml", "= broken")
    for words in (["--help"], ["-h"]):
        assert run(*command.split(), *words).exit_code == 0
        if command in COMMANDS:
            assert run(*command.split(), "--config", "searchdet.toml", *words).exit_code == 0
    assert run("--version").exit_code == 0
    assert "Usage" in run("bank").output
    assert run("config", "path").exit_code == 0


def test_a_range_or_choice_of_an_option_names_the_file() -> None:
    """No option has one now; Click's own check of a flag is that of a file too."""
    small = typer.Typer()

    @small.command("detect")
    def _detect(level: int = typer.Option(1, "--level", min=1, max=5)) -> None: ...

    small.command("other")(lambda: None)
    file = settingsfile.read(write("searchdet.toml", "level = 9"))
    assert file is not None
    with pytest.raises(settingsfile.UsageError, match=r"searchdet.toml:1: 'level' is 9; .*5"):
        settingsfile.load([file.path], typer.main.get_command(small))


# config show, path, init


def test_show_is_a_table_or_json() -> None:
    write("searchdet.toml", "[detect]\nmin-score = 0.4\n")
    lines = [re.sub(" {2,}", "  ", line) for line in run("config", "show").stdout.splitlines()]
    assert len(lines) == len(COMMANDS["detect"].options)
    assert "min-score  0.4  searchdet.toml:detect.min-score" in [
        re.sub(" {2,}", "  ", one) for one in lines
    ]
    assert "recursive  false  default" in lines
    built = show("bank", "build", "-o", "x")
    assert built["output"] == {"value": "x", "source": "flag", "from": None}
    assert list(show("--min-score", "0.9")) == [option.name for option in COMMANDS["detect"].options]
    assert show("--min-score", "0.9")["min-score"]["source"] == "flag"


def test_show_says_what_it_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Did you mean 'detect'?" in refused("config", "show", "detct")
    assert "Name one of add" in refused("config", "show", "bank")
    assert run("config", "show", "bank", "build", "more").exit_code == 2
    assert "no file sets the options" in refused("config", "show", "config", "path")
    wrong = run("config", "show", "detect", "--nothing")
    assert wrong.exit_code == 2
    assert "--nothing" in wrong.stderr
    assert "internal" not in wrong.stderr
    monkeypatch.setenv("SEARCHDET_TOPK", "many")
    assert run("config", "show").exit_code == 2


def test_path_lists_what_is_looked_at(tmp_path: Path) -> None:
    write("searchdet.toml", "= broken")
    write("pyproject.toml", "[project]\n")
    found = run("config", "path").stdout.splitlines()
    assert found[0].startswith(f"{tmp_path}/searchdet.toml  broken (")
    assert found[1] == f"{tmp_path}/pyproject.toml  without [tool.searchdet]"
    assert found[2] == f"{tmp_path}/user/searchdet.toml  not there"
    write("searchdet.toml", "topk = 1")
    assert run("config", "path").stdout.splitlines()[0].endswith("  read")
    assert run("config", "path", "--no-config").stdout == ""


def test_init_writes_what_can_be_used_and_never_overwrites() -> None:
    assert run("config", "init").exit_code == 0
    text = Path("searchdet.toml").read_text(encoding="utf-8")
    for name in COMMANDS:
        sources = {row["source"] for row in show(*name.split()).values()}
        assert sources <= {"default"}, name
    before = {name: show(*name.split()) for name in COMMANDS}
    again = run("config", "init")
    assert again.exit_code == 5
    assert "already there" in again.stderr
    assert Path("searchdet.toml").read_text(encoding="utf-8") == text
    write("searchdet.toml", re.sub(r"(?m)^#(?=[a-z])", "", text))
    for name in COMMANDS:
        for key, row in show(*name.split()).items():
            assert row["source"] == "file", (name, key)
            old = before[name][key]["value"]
            assert old in (None, [], row["value"]), (name, key)
    assert run("config", "init", "sub/new.toml").exit_code == 0
    Path("searchdet.toml").unlink()
    write("pyproject.toml", "[tool.searchdet]\n")
    assert "pyproject.toml has [tool.searchdet] already" in refused("config", "init")


# All commands


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_can_be_set_from_a_file(command: str) -> None:
    assert COMMANDS[command].options
    for option in COMMANDS[command].options:
        value = commandtree.sample(option.shape)
        for name in option.names:
            write("searchdet.toml", f"[{'.'.join(option.path)}]\n{name} = {json.dumps(value)}\n")
            row = show(*option.path)[option.name]
            assert row["value"] == value, name
            assert row["from"] == f"searchdet.toml:{'.'.join(option.path)}.{name}"


def test_the_tree_has_all_commands_and_their_options() -> None:
    assert {"detect", "eval", "demo", "models list", "bank build", "bank add"} <= set(COMMANDS)
    assert not any(name.startswith("config") for name in COMMANDS)
    names = {option.name for option in COMMANDS["detect"].options}
    assert {"positive", "min-score", "save", "json", "backbone-ckpt", "debug"} <= names
    assert not names & {"help", "config", "no-config"}


def test_detect_and_eval_use_what_the_file_says(world: Path) -> None:
    write("searchdet.toml", 'positive = "in/positive"\nno-save = true\njson = true\nmin-score = 0.4\n')
    result = run("detect", "in/images/a.png")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["scoring"]["min_score"] == 0.4
    flags = ["--positive", "in/positive", "--no-save", "--json", "--min-score"]
    assert run("detect", "in/images/a.png", "--no-config", *flags, "0.4").stdout == result.stdout
    other = json.loads(run("detect", "in/images/a.png", "--min-score", "0.5").stdout)
    assert other["scoring"]["min_score"] == 0.5
    write("eval.toml", '[detect]\npositive = "in/positive"\nmin-score = 0.3\n')
    Path("photos").mkdir()
    shutil.copy("in/images/a.png", "photos")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 30, 40, 60], "area": 2400}
    truth = {
        "images": [{"id": 1, "file_name": "a.png", "width": 140, "height": 120}],
        "annotations": [{**box, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "red"}],
    }
    write("truth.json", json.dumps(truth))
    done = run("eval", "truth.json", "out", "--images", "photos", "--config", "eval.toml")
    assert done.exit_code == 0, done.stderr
    assert json.loads(Path("out/records/a.png.json").read_text())["scoring"]["min_score"] == 0.3


# Variables


def test_a_variable_that_sets_nothing_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHDET_MIN_SCOR", "0.4")
    monkeypatch.setenv("SEARCHDET_ZZZ", "")
    result = run("config", "show", "--json")
    assert result.exit_code == 0
    json.loads(result.stdout)
    assert result.stderr.splitlines() == [
        "WARNING: the variable SEARCHDET_MIN_SCOR sets nothing. Did you mean SEARCHDET_MIN_SCORE?",
        "WARNING: the variable SEARCHDET_ZZZ sets nothing.",
    ]
    assert run("models", "list").stderr.count("WARNING") == 2
    assert "WARNING" not in run("detect", "--help").output


def test_every_variable_that_the_program_reads_is_known() -> None:
    folder = Path(settingsfile.__file__).parent
    read = {
        name
        for path in folder.rglob("*.py")
        for name in re.findall(
            r"[\"'`](SEARCHDET_[A-Z_]*[A-Z])[\"'`]", path.read_text(encoding="utf-8")
        )
    }
    assert "SEARCHDET_CACHE" in read
    strange = settingsfile.strange_variables(typer.main.get_command(app), dict.fromkeys(read, ""))
    assert not list(strange)
