"""Images, examples, banks, outputs and indexes in an S3 store: as in folders, byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from stores import BUCKET, FAULTS, Fault, Gate, connect, objects, put_tree, s3
from typer.testing import CliRunner

from searchdet.cli import app

pytest.importorskip("s3fs", reason="needs the extra `cloud`")
pytest.importorskip("moto", reason="needs moto's server")
AT = f"s3://{BUCKET}"
GIVEN = ["--positive", f"{AT}/in/positive", "--negative", f"{AT}/in/negative"]
HERE = ["--positive", "in/positive", "--negative", "in/negative"]
DETECT = ["detect", f"{AT}/in/images", "--recursive", *GIVEN]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Gate, str]]:
    with s3() as made:
        yield made


@pytest.fixture
def gate(server: tuple[Gate, str], world: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate, address = server
    gate.reset()
    store = connect(monkeypatch, address)
    put_tree(store, world / "in", f"{BUCKET}/in")
    gate.reset()
    return gate


@pytest.fixture
def store(gate: Gate) -> Any:
    import fsspec

    return fsspec.filesystem("s3", use_listings_cache=False)


STEP = int(os.environ.get("STORE_STEP", "5"))
"""Every so-manieth request fails; each of them in every way where it is 1."""


def call(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def files(folder: str) -> dict[str, bytes]:
    every = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in every}


def plain(found: dict[str, bytes]) -> dict[str, bytes]:
    """Without times, and where images lie."""
    return {n: data for n, data in found.items() if n != "run.json" and not n.startswith("sources/")}


def test_a_run_in_a_store_is_that_of_a_folder(store: Any) -> None:
    assert call("detect", "in/images", "--recursive", *HERE, "-o", "out")[0] == 0
    assert call(*DETECT, "-o", f"{AT}/out")[0] == 0
    made = objects(store, f"{BUCKET}/out")
    assert plain(made) == plain(files("out"))
    assert "records/deep/a.png.json" in made
    assert json.loads(made["sources/a.png.json"]) == {"path": f"{AT}/in/images/a.png"}
    assert json.loads(made["run.json"])["counts"] == json.loads(files("out")["run.json"])["counts"]
    assert not [name for name in made if name.startswith(".")]


def test_what_is_done_is_listed_once_and_not_searched_again(gate: Gate, store: Any) -> None:
    assert call(*DETECT, "-o", f"{AT}/out")[0] == 0
    before = objects(store, f"{BUCKET}/out")
    gate.reset()
    code, _, said = call(*DETECT, "-o", f"{AT}/out")
    assert (code, said.count("done before")) == (0, 3)
    puts = [line for line in gate.calls if line.startswith("PUT") and "/records/" in line]
    assert not puts
    assert not [line for line in gate.calls if "thumbnails" in line or "overlays" in line]
    assert plain(objects(store, f"{BUCKET}/out")) == plain(before)


def test_an_image_that_is_not_there_is_recorded_as_failed(store: Any) -> None:
    Path("list.txt").write_text(f"{AT}/in/images/a.png\n{AT}/in/images/nothing.png\n")
    words = ["detect", "@list.txt", "--root", f"{AT}/in/images", *HERE, "-o", f"{AT}/out"]
    assert call(*words)[0] == 3
    record = json.loads(objects(store, f"{BUCKET}/out")["records/nothing.png.json"])
    assert record["error"]["code"] == "missing"
    assert json.loads(objects(store, f"{BUCKET}/out")["records/a.png.json"])["status"] == "ok"


def test_globs_lists_and_roots(store: Any) -> None:
    store.pipe_file(f"{BUCKET}/list.txt", f"{AT}/in/images/a.png\n".encode())
    for words, names in {
        (f"{AT}/in/images/*.png",): ["a.png", "none.png"],
        (f"{AT}/in/images/**/a.png",): ["a.png", "deep/a.png"],
        (f"{AT}/in/images/deep/a.png", "--root", f"{AT}/in/images"): ["deep/a.png"],
        (f"@{AT}/list.txt",): ["a.png"],
    }.items():
        code, printed, said = call("detect", *words, *HERE, "--no-save", "--json")
        assert code == 0, said
        assert [json.loads(line)["image"] for line in printed.splitlines()] == names
    assert call("detect", f"{AT}/in/images/*.jpg", *HERE, "--no-save")[0] == 2
    for name in ("odd[1]/p[2].png", "odd[1]/.hidden.png"):
        store.copy(f"{BUCKET}/in/images/a.png", f"{BUCKET}/{name}")
    for word in ("odd[1]/p[2].png", "odd[1]", "odd[[]1]/*"):
        code, printed, said = call("detect", f"{AT}/{word}", *HERE, "--no-save", "--json")
        assert code == 0, said
        (found,) = (json.loads(line)["image"] for line in printed.splitlines())
        assert found.endswith("p[2].png")
    assert call("detect", f"{AT}/in/images/a.png", "--root", f"{AT}/x", *HERE, "--no-save")[0] == 2
    assert call("detect", f"{AT}/nothing", *HERE, "--no-save")[0] == 2


def test_examples_and_earlier_runs_in_a_folder_are_left_out(store: Any) -> None:
    assert call(*DETECT, "-o", f"{AT}/in/old")[0] == 0
    code, printed, said = call("detect", f"{AT}/in", "--recursive", *GIVEN, "--no-save", "--json")
    assert code == 0
    names = [json.loads(line)["image"] for line in printed.splitlines()]
    assert names == ["images/a.png", "images/deep/a.png", "images/none.png"]
    assert "Folders left out of the search: 2 of examples" in said
    assert "1 of earlier runs" in said


def test_a_glob_leaves_out_what_a_folder_leaves_out(store: Any) -> None:
    assert call(*DETECT, "-o", f"{AT}/in/old")[0] == 0
    code, printed, said = call("detect", f"{AT}/in/**/*", *GIVEN, "--no-save", "--json")
    assert code == 0, said
    names = [json.loads(line)["image"] for line in printed.splitlines()]
    assert names == ["images/a.png", "images/deep/a.png", "images/none.png"]
    assert "1 of earlier runs" in said


def test_what_is_known_of_an_image_stays_while_its_store_is_away(gate: Gate, store: Any) -> None:
    words = ["detect", f"{AT}/in/images/a.png", *HERE, "-o", "out"]
    assert call(*words)[0] == 0
    before = plain(files("out"))
    gate.reset()
    assert call(*words)[0] == 0
    body = 1 + next(
        i for i, line in enumerate(gate.calls) if line.startswith("GET /photos/in/images/a")
    )
    gate.reset(Fault(body))
    code, _, said = call(*words)
    assert (code, "FAILED (unreachable)" in said) == (3, True)
    gate.reset()
    assert plain(files("out")) == before


def test_banks_reports_exports_and_merges(store: Any) -> None:
    bank = f"{AT}/b.bank"
    assert call("bank", "build", *GIVEN, "-o", bank)[0] == 0
    assert call("bank", "build", *HERE, "-o", "b.bank")[0] == 0
    assert store.cat_file(f"{BUCKET}/b.bank") == Path("b.bank").read_bytes()
    assert call("bank", "audit", bank)[0] == 0
    for part in ("1/2", "2/2"):
        words = ["detect", f"{AT}/in/images", "--recursive", "--bank", bank, "--shard", part]
        code, _, said = call(*words, "-o", f"{AT}/out", "--format", "none")
        assert code == 0, said
    assert call("merge", f"{AT}/out", f"{AT}/in/images", "--recursive", "--report")[0] == 0
    made = objects(store, f"{BUCKET}/out")
    assert {"report.html", "coco.json"} <= made.keys()
    words = ["detect", "in/images", "--recursive", "--bank", "b.bank", "--format", "none"]
    assert call(*words, "-o", "out")[0] == 0
    assert call("merge", "out", "in/images", "--recursive", "--report")[0] == 0
    assert made["coco.json"] == files("out")["coco.json"]
    assert call("export", f"{AT}/out", "--to", "csv,yolo")[0] == 0
    assert call("export", "out", "--to", "csv,yolo")[0] == 0
    both = objects(store, f"{BUCKET}/out"), files("out")
    assert both[0].keys() >= {name for name in both[1] if name.startswith("yolo/")}
    assert both[0]["detections.csv"] == both[1]["detections.csv"]


def test_an_index_in_a_store_is_searched_as_one_here(gate: Gate, store: Any) -> None:
    assert call("index", "in/images/a.png", "in/images/none.png", "-o", "idx")[0] == 0
    assert call("index", f"{AT}/in/images", "-o", f"{AT}/idx")[0] == 0
    assert call("index", f"{AT}/in/images", "--recursive", "--add", "-o", f"{AT}/idx")[0] == 0
    assert call("index", "in/images", "--recursive", "--add", "-o", "idx")[0] in (0, 2)
    shutil.rmtree("idx")
    assert call("index", "in/images", "--recursive", "-o", "idx")[0] == 0
    here, there = (call("search", at, *HERE)[1] for at in ("idx", f"{AT}/idx"))
    assert sorted(here.splitlines()) == sorted(there.splitlines())
    assert here
    assert call("index", "--remove", "none.png", "-o", f"{AT}/idx")[0] == 0
    assert "none.png" not in call("search", f"{AT}/idx", *HERE, "--top", "0")[1]
    assert call("index", "--merge", f"{AT}/idx", "-o", f"{AT}/idx2")[0] == 0
    assert call("search", f"{AT}/idx2", *HERE)[1] == call("search", f"{AT}/idx", *HERE)[1]
    names = {name.partition("/")[0] for name in objects(store, f"{BUCKET}/idx")}
    assert len(names) == 2, "old rows are gone"


def test_an_index_takes_the_place_of_nothing_else(store: Any) -> None:
    code, _, said = call("index", "in/images", "-o", f"{AT}/in")
    assert code == 2
    assert "not an index" in said


def test_of_two_writers_of_an_index_the_second_is_refused(store: Any) -> None:
    from searchdet.config.address import Remote
    from searchdet.errors import UsageError
    from searchdet.index.stored import at_hand

    assert call("index", "in/images", "-o", f"{AT}/idx")[0] == 0
    at = Remote(f"{AT}/idx")
    first = at_hand(at, True)
    folder = first.__enter__()
    assert call("index", "in/images", "--recursive", "--add", "-o", f"{AT}/idx")[0] == 0
    before = call("search", f"{AT}/idx", *HERE, "--top", "0")[1]
    facts = json.loads((folder / "index.json").read_bytes())
    size = int(json.loads(objects(store, f"{BUCKET}/idx")["index.json"])["bytes"]["vectors"])
    rows = folder / facts["rows"] / "vectors"
    rows.write_bytes(rows.read_bytes().ljust(size, b"\0"))  # as large as that of the other one
    (folder / "index.json").write_text(json.dumps(facts))
    with pytest.raises(UsageError, match="another process"):
        first.__exit__(None, None, None)
    assert call("search", f"{AT}/idx", *HERE, "--top", "0")[1] == before


def test_addresses_where_only_paths_go(gate: Gate) -> None:
    for words in (
        [*DETECT, "--cache-dir", f"{AT}/cache", "-o", "out"],
        [*DETECT, "-o", "ftp://host/out"],
        [*DETECT, "-o", "s3://key:secret@photos/out"],
        [*DETECT, "-o", "https://host/out"],
    ):
        code, _, said = call(*words)
        assert code in (2, 5), words
        assert "secret" not in said
    assert not Path("s3:").exists()


@pytest.fixture
def web(world: Path) -> Iterator[str]:
    """A web server of the working folder; of names with ``short`` it sends less than it promises."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if "short" in self.path:
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"half")
                self.close_connection = True
            else:
                super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(world)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_images_of_a_web_server(web: str) -> None:
    Path("list.txt").write_text(f"{web}/in/images/a.png?sig=abc\n{web}/no.png\n{web}/short.png\n")
    code, printed, said = call("detect", "@list.txt", *HERE, "-o", "out", "--json")
    assert code == 3
    records = {record["image"]: record for record in map(json.loads, printed.splitlines())}
    assert records["a.png"]["status"] == "ok"
    assert records["no.png"]["error"]["code"] == "missing"
    assert records["short.png"]["error"]["code"] == "unreachable"
    noted = json.loads(files("out")["sources/a.png.json"])["path"]
    assert noted.startswith(f"{web}/in/images/a.png#"), "another query may be another image"
    everything = said + printed + "".join(map(str, files("out").values()))
    assert "sig=abc" not in everything
    code, _, said = call("detect", f"@{web}/list2.txt?sig=abc", *HERE, "--no-save")
    assert code == 2
    assert "sig=abc" not in said
    Path("list.txt").write_text(f"{web}/no.png?sig=1\n")
    assert call("detect", "@list.txt", *HERE, "-o", "out2")[0] == 3
    Path("list.txt").write_text(f"{web}/no.png?sig=2\n")
    assert call("detect", "@list.txt", *HERE, "-o", "out2")[0] == 3, "signed anew, tried again"
    code, _, said = call("detect", f"{web}/in/images/*.png", *HERE, "--no-save")
    assert code == 2
    assert "no listing" in said


def steps(count: int, step: int) -> list[int]:
    return sorted({*range(1, count + 1, step), count})


@pytest.mark.parametrize(
    "step", [pytest.param(11, marks=pytest.mark.sample), pytest.param(STEP, marks=pytest.mark.slow)]
)
def test_the_store_fails_at_each_call_in_turn(gate: Gate, store: Any, step: int) -> None:
    assert call(*DETECT, "-o", f"{AT}/clean")[0] == 0
    calls, clean = len(gate.calls), plain(objects(store, f"{BUCKET}/clean"))
    for turn, at in enumerate(steps(calls, step)):
        out = f"out{at}"
        for kind in FAULTS if step == 1 else [FAULTS[turn % len(FAULTS)]]:
            where = f"{out}-{kind}"
            gate.reset(Fault(at, kind, lasting=at % 3 != 0))
            code, _, said = call(*DETECT, "-o", f"{AT}/{where}")
            gate.reset()
            made = plain(objects(store, f"{BUCKET}/{where}"))
            assert code in (0, 3, 5), (at, kind, said)
            assert code == 0 or "error: " in said or "FAILED" in said
            for name, data in made.items():  # whole, each of them
                if name.endswith(".json"):
                    json.loads(data)
                if name.startswith("records/") and json.loads(data)["status"] == "failed":
                    assert json.loads(data)["error"]["code"] in ("unreachable", "missing")
                elif name.startswith(("records/", "thumbnails/", "overlays/", "exemplars/")):
                    assert data == clean[name]
            assert call(*DETECT, "-o", f"{AT}/{where}")[0] == 0
            assert plain(objects(store, f"{BUCKET}/{where}")) == clean, (at, kind)


@pytest.mark.parametrize(
    "step", [pytest.param(9, marks=pytest.mark.sample), pytest.param(STEP, marks=pytest.mark.slow)]
)
def test_an_index_is_the_old_one_or_the_new_one_wherever_the_store_fails(
    gate: Gate, store: Any, step: int
) -> None:
    def found() -> str:
        return call("search", f"{AT}/idx", *HERE, "--top", "0")[1]

    add = ["index", f"{AT}/in/images", "--recursive", "--add", "-o", f"{AT}/idx"]
    assert call("index", f"{AT}/in/images", "-o", f"{AT}/idx")[0] == 0
    kept, old = objects(store, f"{BUCKET}/idx"), found()
    gate.reset()
    assert call(*add)[0] == 0
    calls, new = len(gate.calls), found()
    assert old != new
    for turn, at in enumerate(steps(calls, step)):
        store.rm(f"{BUCKET}/idx", recursive=True)
        for name, data in kept.items():
            store.pipe_file(f"{BUCKET}/idx/{name}", data)
        gate.reset(Fault(at, FAULTS[turn % len(FAULTS)]))
        code, _, said = call(*add)
        gate.reset()
        assert code in (0, 2, 3, 5), (at, said)
        assert found() in ((old, new) if code else (new,))
        assert call(*add)[0] == 0
        assert found() == new


def test_credentials_are_said_nowhere(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "AWS_SECRET_ACCESS_KEY", "very-secret")
    code, printed, said = call(*DETECT, "-o", f"{AT}/out", "--debug", "--json")
    assert code == 0
    assert "very-secret" not in printed + said
    assert not any(b"very-secret" in data for data in objects(store, f"{BUCKET}/out").values())
