"""Nothing of the user's is lost, and nothing old passes for new."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result
from worlds import BLUE, RED, draw, tree_hash

from searchdet import exports
from searchdet.cli import app
from searchdet.commands.console import Stopped, stoppable
from searchdet.config.pictures import KINDS
from searchdet.detector import Detector
from searchdet.errors import OutputError
from searchdet.index import file as index
from searchdet.index import opened
from searchdet.output.folder import Output
from searchdet.proposals.sam import SamProposer
from searchdet.storage import files

pytestmark = pytest.mark.model

EXAMPLES = ["--positive", "in/positive", "--negative", "in/negative"]


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.stderr
    return result


def test_an_index_takes_the_place_of_nothing_but_an_index(world: Path) -> None:
    (world / "docs").mkdir()
    (world / "docs/thesis.txt").write_text("years of work")
    (world / "note.txt").write_text("a note")
    run("detect", "in/images", *EXAMPLES, "-o", "out")
    before = tree_hash(world)
    for target in ("docs", "note.txt", "out", "in/images", "."):
        result = run("index", "in/images/a.png", "-o", target, code=2)
        assert "is not an index" in result.stderr
    assert tree_hash(world) == before
    (world / "idx").mkdir()
    run("index", "in/images/a.png", "-o", "idx")
    run("index", "in/images/none.png", "-o", "idx")
    (world / "link").symlink_to(world / "idx")
    run("index", "in/images/a.png", "-o", "link")
    assert (world / "link").is_symlink()


def test_an_index_that_cannot_take_its_place_leaves_the_old_one(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", "in/images", "-o", "idx")
    before = tree_hash(world / "idx")
    real = os.replace

    def replace(source: object, target: Path) -> None:
        if target.name == "index.json":
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    run("index", "in/images/a.png", "-o", "idx", code=5)
    assert tree_hash(world / "idx") == before
    run("index", "in/images/a.png", "-o", "new", code=5)
    assert not (world / "new").exists()


def test_a_reader_finds_an_index_at_any_moment_of_its_replacement(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", "in/images", "-o", "idx")
    seen = []

    def looking(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            seen.append(len(index.load(world / "idx").images))
            made = real(*args, **options)
            seen.append(len(index.load(world / "idx").images))
            return made

        return call

    for name in ("rename", "replace", "mkdir", "rmdir", "unlink"):
        monkeypatch.setattr(os, name, looking(getattr(os, name)))
    run("index", "in/images/a.png", "-o", "idx", "--no-cache")
    assert set(seen) == {1, 2}
    assert seen == sorted(seen, reverse=True)


def test_a_reader_meets_an_index_that_is_replaced_while_it_opens_it(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", "in/images", "-o", "idx")
    real = opened._opened

    def late(path: Path, facts: dict[str, object]) -> object:
        monkeypatch.setattr(opened, "_opened", real)
        run("index", "in/images/a.png", "-o", "idx")
        return real(path, facts)

    monkeypatch.setattr(opened, "_opened", late)
    assert len(index.load(world / "idx").images) == 1


def test_an_index_of_an_older_form_is_refused_and_made_again(world: Path) -> None:
    run("index", "in/images", "-o", "idx")
    before = tree_hash(world / "idx")
    facts = json.loads((world / "idx/index.json").read_text())
    rows = world / "idx" / facts.pop("rows")
    for path in rows.iterdir():
        path.rename(world / "idx" / path.name)
    rows.rmdir()
    (world / "idx/index.json").write_text(json.dumps(facts | {"schema": "searchdet.index/1"}))
    result = run("search", "idx", *EXAMPLES, code=2)
    assert "searchdet index" in result.stderr
    run("index", "in/images", "-o", "idx")
    assert tree_hash(world / "idx") == before


def test_precision_of_sam_is_in_key_and_record(
    world: Path, tiny_sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    real = SamProposer.propose
    monkeypatch.setattr(SamProposer, "propose", lambda *args: passes.append(1) or real(*args))
    common = ["detect", "in/images/a.png", *EXAMPLES, "--sam-checkpoint", str(tiny_sam), "-o", "out"]
    for precision, wanted in (("fp32", 1), ("bf16", 2), ("fp32", 2)):
        run(*common, "--points-per-side", "2", "--precision", precision)
        assert len(passes) == wanted
        record = json.loads((world / "out/records/in/images/a.png.json").read_text())
        assert record["proposer"]["precision"] == precision


def test_old_pictures_go_with_the_old_record(world: Path) -> None:
    save = ["--save", "overlay,crops,masks"]
    base = ["detect", "in/images/a.png", *EXAMPLES, "-o", "out"]
    run(*base, *save)
    assert list((world / "out/crops/in/images/a.png").iterdir())
    run(*base, *save, "--min-score", "0.99")
    assert not list((world / "out/crops/in/images/a.png").iterdir())
    assert not list((world / "out/masks/in/images/a.png").iterdir())
    run(*base)
    run(*base, "--min-score", "0.99", "--save", "none")
    assert not (world / "out/overlays/in/images/a.png.jpg").exists()
    result = run(*base, "--min-score", "0.99")
    assert "done before" not in result.stderr
    run(*base[:-1], "fresh", "--min-score", "0.99")
    shown = [(world / part / "overlays/in/images/a.png.jpg").read_bytes() for part in ("out", "fresh")]
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    ],
)
@pytest.mark.parametrize("where", ["describe", "heat"])
def test_no_memory_for_one_image_is_recorded(
    world: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, where: str
) -> None:
    real, seen = getattr(Detector, where), []

    def once(self: Detector, *args: object) -> object:
        seen.append(1)
        if len(seen) == 1:
            raise error
        return real(self, *args)

    monkeypatch.setattr(Detector, where, once)
    run("detect", "in/images", *EXAMPLES, "-o", "out", "--save", "heatmap", code=3)
    records = [json.loads(p.read_text()) for p in sorted((world / "out/records").iterdir())]
    assert [r["error"] and r["error"]["code"] for r in records] == ["oom", None]
    assert (world / "out/run.json").exists()


def test_a_bug_is_no_lack_of_memory(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Detector, "judged", broken)
    run("detect", "in/images", *EXAMPLES, "-o", "out", code=1)


def test_the_last_to_finish_exports_what_others_added(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("detect", "in/images/a.png", *EXAMPLES, "-o", "out", "--format", "none")
    real, calls = exports.write, []

    def slow(*args: object) -> object:
        made = real(*args)
        if not calls:
            other = ["detect", "in/images/none.png", *EXAMPLES, "-o", "out", "--format", "none"]
            calls.append(run(*other))
        return made

    monkeypatch.setattr(exports, "write", slow)
    Output(world / "out").finish({})
    assert len(json.loads((world / "out/coco.json").read_text())["images"]) == 2


def test_a_missing_image_does_not_replace_the_record_of_another(world: Path) -> None:
    for folder in ("x", "y"):
        (world / "far" / folder).mkdir(parents=True)
    Image.fromarray(draw([RED], 8)).save(world / "far/x/p.png")
    (world / "here").mkdir()
    os.chdir(world / "here")
    common = ["--positive", "../in/positive", "-o", "../out", "--proposals", "regions"]
    run("detect", "../far/x/p.png", *common)
    Path("list.txt").write_text("../far/y/p.png\n")
    before = tree_hash(world / "out/records")
    result = run("detect", "@list.txt", *common, code=5)
    assert "another image" in result.stderr
    assert tree_hash(world / "out/records") == before
    (world / "far/x/p.png").unlink()
    Path("list.txt").write_text("../far/x/p.png\n")
    run("detect", "@list.txt", *common, code=3)


def test_no_link_leads_pictures_out(world: Path) -> None:
    (world / "out").mkdir()
    (world / "elsewhere").mkdir()
    (world / "out/overlays").symlink_to(world / "elsewhere")
    result = run("detect", "in/images/a.png", *EXAMPLES, "-o", "out", code=5)
    assert "leads out" in result.stderr
    assert not list((world / "elsewhere").rglob("*"))


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_that_is_none_is_refused(world: Path, seconds: str) -> None:
    run("detect", "in/images/a.png", *EXAMPLES, "--timeout", seconds, code=2)


def test_a_search_does_not_mix_with_another(world: Path) -> None:
    run("index", "in/images", "-r", "-o", "idx")
    run("search", "idx", *EXAMPLES, "-o", "s")
    Image.fromarray(draw([BLUE], 5)[30:90, 20:60]).save(world / "in/blue.png")
    (world / "in/other/blue").mkdir(parents=True)
    (world / "in/blue.png").rename(world / "in/other/blue/1.png")
    run("search", "idx", "--positive", "in/other", "-o", "s", code=5)
    run("search", "idx", "--positive", "in/other", "-o", "s", "--overwrite")
    names = {c["name"] for c in json.loads((world / "s/coco.json").read_text())["categories"]}
    assert names == {"blue"}


def test_a_search_leaves_no_pictures_of_the_records_it_replaces(world: Path) -> None:
    long = "x" * 246 + ".png"
    (world / "in/images" / long).write_bytes((world / "in/images/a.png").read_bytes())
    run("index", "in/images", "-r", "-o", "idx")
    drawn = [name for name in KINDS if name != "anomaly"]  # which needs good parts
    run("detect", "in/images", "-r", *EXAMPLES, "-o", "out", "--save", ",".join(drawn))
    record = world / "out/records/none.png.json"
    record.write_text(record.read_text().replace('"none.png"', '"../../in/images/none.png"'))
    folders = ["thumbnails", "sources", *(KINDS[name].folder for name in drawn)]
    for folder in folders:
        assert [p for p in (world / "out" / folder).rglob("*") if p.is_file()], folder
    inputs = tree_hash(world / "in")
    run("search", "idx", *EXAMPLES, "-o", "out", "--overwrite", "--top", "1")
    assert not record.exists()
    for folder in folders:
        assert not [p for p in (world / "out" / folder).rglob("*") if p.is_file()], folder
    assert tree_hash(world / "in") == inputs


def test_a_folder_that_cannot_be_looked_into_is_said(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: object) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    result = run("detect", "in/images", "-r", *EXAMPLES, "--no-save")
    assert "deep: the folder cannot be looked into" in result.stderr


def ended() -> None:
    with stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped):
            ended()
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_is_remembered_of_weights_without_a_cache(cold_world: Path, tiny_sam: Path) -> None:
    cache = Path(os.environ["SEARCHDET_CACHE"])
    words = ["detect", "in/images/a.png", *EXAMPLES, "--sam-checkpoint", str(tiny_sam), "--no-save"]
    run(*words, "--points-per-side", "1", "--no-cache")
    run(*words, "--points-per-side", "1", "--cache-dir", "there")
    assert not list(cache.rglob("*"))
    assert list((cold_world / "there/sha256").iterdir())


def half_written(folder: Path) -> None:
    with files.scratch_folder(folder) as made:
        with files.binary_stream(made / "a") as stream:
            stream.write(b"part")
        raise OSError(28, "No space left on device")


def test_a_folder_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        half_written(tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_probes_of_one_folder_at_once_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, probed = files.write_bytes, []

    def while_another_probes(path: Path, data: bytes) -> None:
        real(path, data)
        probed.append(path)
        if len(probed) == 1:
            files.probe_folder(tmp_path)

    monkeypatch.setattr(files, "write_bytes", while_another_probes)
    files.probe_folder(tmp_path)
    assert len(set(probed)) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_modes_follow_the_umask_which_nothing_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: int
) -> None:
    def refuse(mask: int) -> int:
        raise AssertionError("another thread would write with this umask")

    before = os.umask(mask)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "umask", refuse)
            files.write_bytes(tmp_path / "new/a", b"x")
            with files.scratch_folder(tmp_path / "b") as made:
                files.write_bytes(made / "c", b"x")
                files.move_into(made, tmp_path / "b/d")
    finally:
        os.umask(before)
    for name in ("new", "b", "b/d"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o777 & ~mask
    for name in ("new/a", "b/d/c"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~mask
