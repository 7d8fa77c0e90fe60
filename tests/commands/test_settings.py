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
from places import PACKAGE, QUICK
from typer.testing import CliRunner

from searchdet.cli import app
from searchdet.commands.settings import file as settingsfile
from searchdet.commands.settings.keys import keys_of, sample

ROOT = typer.main.get_command(app)
KEYS = list(keys_of(ROOT))
COMMANDS = list(dict.fromkeys(" ".join(key.path) for key in KEYS))


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def show(*words: str) -> dict[str, Any]:
    result = run("config", "show", "--json", *words)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["options"]


def refused(*words: str) -> str:
    """The one line that a command says and exits with 2."""
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.strip()


def write(path: str, text: str) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_backbone: None) -> None:
    """An empty working folder; user/ has the user's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *a, **k: str(tmp_path / "user"))
    monkeypatch.delenv("SEARCHDET_CONFIG", raising=False)


FORMS = {
    "number": ("min-score", None, ("0.1", 0.1), ("0.2", 0.2), ("0.3", 0.3), (["0.4"], 0.4)),
    "path": ("positive", None, ('"a"', "user/a"), ('"b"', "b"), ("c", "c"), (["d"], "d")),
    "flag": ("recursive", False, ("true", True), ("false", False), ("1", True), ([], True)),
    "list": (
        "class-min-score",
        None,
        *(('["a=1"]', ["a=1"]), ('["b=1", "c=1"]', ["b=1", "c=1"])),
        *(("d=1 e=1", ["d=1", "e=1"]), (["f=1"], ["f=1"])),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_flag_variable_project_user_default(
    form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, default, user, project, variable, flag = FORMS[form]

    def is_now(value: Any, source: str, origin: str | None, *given: str) -> None:
        row = show(*given)[name]
        assert row["value"] in (value, str(tmp_path / str(value))) or row["value"] == (value or [])
        assert (row["source"], row["from"]) == (source, origin)

    is_now(default, "default", None)
    write("user/searchdet.toml", f"{name} = {user[0]}")
    is_now(user[1], "file", f"{tmp_path / 'user/searchdet.toml'}:{name}")
    write("searchdet.toml", f"{name.replace('-', '_')} = {project[0]}")
    is_now(project[1], "file", f"searchdet.toml:{name.replace('-', '_')}")
    upper = "SEARCHDET_" + name.replace("-", "_").upper()
    monkeypatch.setenv(upper, variable[0])
    is_now(variable[1], "environment", upper)
    is_now(flag[1], "flag", None, f"--{name}", *flag[0])


def test_pyproject_stands_for_the_file_and_both_are_one_too_many() -> None:
    write("pyproject.toml", "[tool.searchdet.detect]\ndevice = 'cpu'\n")
    assert show()["device"]["from"] == "pyproject.toml:tool.searchdet.detect.device"
    write("searchdet.toml", "")
    line = refused("detect", "x.png")
    assert "searchdet.toml and [tool.searchdet] of pyproject.toml are both here" in line
    write("pyproject.toml", "[project\n# broken, and nothing to do with us")
    assert show()["device"]["source"] == "default"
    write("pyproject.toml", "[tool]\nsearchdet = 3\n")
    assert "must be a table" in refused("config", "show")


def test_a_table_goes_before_what_stands_outside_and_a_stronger_file_before_both() -> None:
    outside = 'device = "cpu"\nprecision = "fp32"\n'
    write("searchdet.toml", outside + '[bank]\nprecision = "bf16"\n[bank.build]\npooling = "mean"\n')
    write("user/searchdet.toml", '[detect]\ndevice = "cuda"\ntopk = 7\n')
    detect, build, add = show("detect"), show("bank", "build"), show("bank", "add")
    assert (detect["device"]["value"], detect["topk"]["value"]) == ("cpu", 7)
    assert detect["pooling"]["source"] == "default"
    assert (detect["precision"]["value"], add["precision"]["value"]) == ("fp32", "bf16")
    assert build["pooling"]["from"] == "searchdet.toml:bank.build.pooling"


def test_a_key_outside_keeps_off_options_of_another_type_and_required_ones() -> None:
    write("searchdet.toml", 'positive = "pos"\noutput = "out"\n')
    assert show()["output"]["value"] == show("demo")["output"]["value"] == "out"
    assert show("bank", "build")["output"] == {"value": None, "source": "default", "from": None}
    assert show("bank", "build")["positive"]["value"] == "pos"
    assert show("bank", "add")["positive"]["source"] == "default"


def test_a_named_file_is_the_only_one_and_it_can_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    write("searchdet.toml", "min-score = 0.1")
    write("other/mine.toml", "device = 'cpu'\npositive = 'pos'")
    write("flag.toml", "topk = 9")
    monkeypatch.setenv("SEARCHDET_CONFIG", "other/mine.toml")
    sources = {row["from"] for row in show().values() if row["from"]}
    assert sources == {"other/mine.toml:device", "other/mine.toml:positive"}
    assert show("--config", "flag.toml")["topk"]["value"] == 9
    assert show("--no-config")["device"]["source"] == "default"
    before = run("--config", "flag.toml", "config", "show", "--json")
    assert json.loads(before.stdout)["options"]["topk"]["value"] == 9
    assert "no such file" in refused("detect", "x.png", "--config", "nowhere.toml")
    assert "exclude each other" in refused("detect", "x.png", "--config", "flag.toml", "--no-config")
    monkeypatch.setenv("SEARCHDET_CONFIG", "")
    assert {row["source"] for row in show().values()} == {"default"}
    monkeypatch.setenv("SEARCHDET_CONFIG", "gone.toml")
    assert "SEARCHDET_CONFIG: gone.toml: no such file" in refused("detect", "x.png")


def test_relative_paths_start_from_the_folder_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    paths = 'positive = "../pos"\nbackbone-ckpt = "/w/file.pth"\nsam-checkpoint = "~/sam.pth"\n'
    write("deep/s.toml", paths + '[bank.add]\nnegative = ["a.png"]\nfrom-record = ["r/a.json", 3]\n')
    rows = show("--config", "deep/s.toml") | show("bank", "add", "--config", "deep/s.toml")
    assert show("--config", "deep/s.toml")["positive"]["value"] == "deep/../pos"
    assert rows["backbone-ckpt"]["value"] == "/w/file.pth"
    assert show("--config", "deep/s.toml")["sam-checkpoint"]["value"] == "/home/somebody/sam.pth"
    assert rows["negative"]["value"] == ["deep/a.png"]
    assert rows["from-record"]["value"] == ["deep/r/a.json", 3]


REFUSED = [
    (
        "min-scor = 0.4",
        "searchdet.toml: no command has an option 'min-scor'. Did you mean 'min-score'?",
    ),
    ("[detect]\nmin_scor = 1", "[detect] has no option 'min_scor'. Did you mean 'min-score'?"),
    ("[detct]\ntopk = 1", "searchdet.toml: [detct] is not a command. Did you mean 'detect'?"),
    ("[bank.biuld]\n", "[bank.biuld] is not a command. Did you mean 'build'?"),
    ("[bank.build]\ntopk = 3", "[bank.build] has no option 'topk'."),
    ("[topk]\n", "[topk] is not a command."),
    ("[[detect]]\n", "no command has an option 'detect'."),
    ("help = true", "'help'"),
    ("config = 'x.toml'", "'config'"),
    ("[config.show]\njson = true", "[config] is not a command"),
    ("o = 'x'", "no command has an option 'o'"),
    ("topk = '3'", "searchdet.toml: topk is '3'; it must be a whole number."),
    ("[detect]\ntopk = 3.0", "detect.topk is 3.0; it must be a whole number."),
    ("topk = true", "topk is true; it must be a whole number."),
    ("min-score = 'high'", "min-score is 'high'; it must be a number."),
    ("positive = 3", "positive is 3; it must be a path in quotes."),
    ("backbone = false", "backbone is false; it must be text in quotes."),
    ("recursive = 1", "recursive is 1; it must be true or false."),
    ("class-min-score = [1]", "it must be a list, each item text in quotes."),
    ("[bank.add]\npositive = ['a']", "it must be a list of 2: text in quotes, a path in quotes."),
    ("[search]\ntop = -1", "search.top is -1; "),
    ("min-score = 1\nmin_score = 2", "'min_score' and 'min-score' are the same option."),
    ("backbone-ckpt = 'a'\ndinov3-ckpt = 'b'", "are the same option."),
    ("topk = ", "searchdet.toml: not a TOML file: Invalid value (at"),
]


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_what_a_file_must_not_say(text: str, says: str) -> None:
    write("searchdet.toml", text)
    for words in (["detect", "x.png"], ["bank", "show", "x"], ["config", "show"]):
        assert says in refused(*words)


def test_a_file_of_other_bytes_or_a_folder_is_refused() -> None:
    Path("searchdet.toml").write_bytes(b"backbone = '\xff'")
    assert "not a TOML file" in refused("config", "show")
    Path("searchdet.toml").unlink()
    Path("searchdet.toml").mkdir()
    assert "cannot be read" in refused("config", "show")


@pytest.mark.parametrize("command", ["", *COMMANDS, "bank", "config show", "config init"])
def test_help_does_not_mind_a_broken_file(command: str) -> None:
    write("searchdet.toml", "= broken")
    more = ["--config", "searchdet.toml"] if command in COMMANDS else []
    assert run(*command.split(), *more, "--help").exit_code == 0
    found = run("config", "path").stdout
    assert "searchdet.toml  broken (" in found
    assert found.endswith("/user/searchdet.toml  not there\n")


def test_show_tells_all_in_a_table_or_says_what_it_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    write("searchdet.toml", "[detect]\nmin-score = 0.4\n")
    lines = [re.sub(" {2,}", "  ", line) for line in run("config", "show").stdout.splitlines()]
    assert len(lines) == len([key for key in KEYS if key.path == ("detect",)])
    assert "min-score  0.4  searchdet.toml:detect.min-score" in lines
    assert "recursive  false  default" in lines
    assert "Did you mean 'detect'?" in refused("config", "show", "detct")
    assert "Name one of add" in refused("config", "show", "bank")
    assert "no file sets the options" in refused("config", "show", "config", "path")
    assert run("config", "show", "bank", "build", "more").exit_code == 2
    wrong = run("config", "show", "detect", "--nothing")
    assert (wrong.exit_code, "--nothing" in wrong.stderr, "internal" in wrong.stderr) == (
        2,
        True,
        False,
    )
    monkeypatch.setenv("SEARCHDET_TOPK", "many")
    assert run("config", "show").exit_code == 2


@pytest.mark.model
def test_init_writes_what_can_be_used_and_never_overwrites() -> None:
    assert run("config", "init").exit_code == 0
    text = Path("searchdet.toml").read_text(encoding="utf-8")
    before = {name: show(*name.split()) for name in COMMANDS}
    assert {row["source"] for rows in before.values() for row in rows.values()} == {"default"}
    assert run("config", "init").exit_code == 5
    assert Path("searchdet.toml").read_text(encoding="utf-8") == text
    write("searchdet.toml", re.sub(r"(?m)^#(?=[a-z])", "", text))
    for name in COMMANDS:
        for key, row in show(*name.split()).items():
            assert row["source"] == "file", (name, key)
            assert before[name][key]["value"] in (None, [], row["value"]), (name, key)
    Path("searchdet.toml").unlink()
    write("pyproject.toml", "[tool.searchdet]\n")
    assert "pyproject.toml has [tool.searchdet] already" in refused("config", "init")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_can_be_set_from_a_file(command: str) -> None:
    table = ".".join(command.split())
    keys = [key for key in KEYS if key.path == tuple(command.split())]
    lines = [f"{key.names[-1]} = {json.dumps(sample(key.hint))}\n" for key in keys]
    write("searchdet.toml", f"[{table}]\n{''.join(lines)}")
    rows = show(*command.split())
    for key in keys:
        row = rows[key.names[0]]
        assert row["value"] == sample(key.hint), key.names
        assert row["from"] == f"searchdet.toml:{table}.{key.names[-1]}"


def test_detect_and_eval_use_what_the_file_says(world: Path) -> None:
    own = f'positive = "in/positive"\nbackbone = "{QUICK}"\n'
    write("searchdet.toml", f"{own}no-save = true\njson = true\nmin-score = 0.4\n")
    result = run("detect", "in/images/a.png")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["scoring"]["min_score"] == 0.4
    flags = ["--positive", "in/positive", "--no-save", "--json", "--min-score", "0.4"]
    flags += ["--backbone", QUICK]
    assert run("detect", "in/images/a.png", "--no-config", *flags).stdout == result.stdout
    write("eval.toml", f"[detect]\n{own}min-score = 0.3\n")
    Path("photos").mkdir()
    shutil.copy("in/images/a.png", "photos")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 30, 40, 60], "area": 2400}
    images = [{"id": 1, "file_name": "a.png", "width": 140, "height": 120}]
    truth = {"images": images, "annotations": [{**box, "iscrowd": 0}]}
    write("truth.json", json.dumps(truth | {"categories": [{"id": 1, "name": "red"}]}))
    done = run("eval", "truth.json", "out", "--images", "photos", "--config", "eval.toml")
    assert done.exit_code == 0, done.stderr
    assert json.loads(Path("out/records/a.png.json").read_text())["scoring"]["min_score"] == 0.3


def test_a_variable_that_sets_nothing_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHDET_MIN_SCOR", "0.4")
    monkeypatch.setenv("SEARCHDET_ZZZ", "")
    result = run("config", "show", "--json")
    assert (result.exit_code, bool(json.loads(result.stdout))) == (0, True)
    assert result.stderr.splitlines() == [
        "WARNING: the variable SEARCHDET_MIN_SCOR sets nothing. Did you mean SEARCHDET_MIN_SCORE?",
        "WARNING: the variable SEARCHDET_ZZZ sets nothing.",
    ]
    assert run("models", "list").stderr.count("WARNING") == 2
    assert "WARNING" not in run("detect", "--help").output


def test_every_variable_that_the_program_reads_is_known() -> None:
    words = r"[\"'`](SEARCHDET_[A-Z_]*[A-Z])[\"'`]"
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    read = {name for text in texts for name in re.findall(words, text)}
    assert "SEARCHDET_CACHE" in read
    assert not list(settingsfile.strange_variables(ROOT, dict.fromkeys(read, "")))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("name", ["searchdet.toml", "pyproject.toml"])
def test_files_with_byte_order_marks(encoding: str, name: str) -> None:
    text = "min-score = 0.4\r\n" if name == "searchdet.toml" else "[tool.searchdet]\nmin-score = 0.4\n"
    mark = "\ufeff" if encoding.endswith("be") else ""
    Path(name).write_bytes((mark + text).encode(encoding))
    assert show()["min-score"]["value"] == 0.4
    Path(name).write_bytes("# Größe searchdet\n".encode("cp1252"))
    assert f"{name}: not a TOML file" in refused("config", "show")
