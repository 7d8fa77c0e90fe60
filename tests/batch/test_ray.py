"""The Ray engine: the records of one process, whatever ends its actors."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rayfaults
from PIL import Image
from places import QUICK, ROOT, TESTS
from typer.testing import CliRunner, Result
from worlds import BLUE, RED, draw, tree_hash

from searchdet.batch import RaySearch, WorkerSpec, cluster, raycluster
from searchdet.batch import runner as batch
from searchdet.cli import app
from searchdet.config import BackboneOptions, Examples, ProposalOptions, Settings
from searchdet.detector import Detector
from searchdet.images import Scan, discover
from searchdet.output import Output

pytestmark = [pytest.mark.model, pytest.mark.process]

if importlib.util.find_spec("ray") is None:
    pytest.skip("ray is not installed", allow_module_level=True)
if sys.platform == "win32":
    pytest.skip("processes are found in /proc", allow_module_level=True)

KILLS = int(os.environ.get("RAY_KILLS", "3"))
EXAMPLES = Examples(positive=Path("in/positive"), negative=Path("in/negative"))
SETTINGS = Settings(
    backbone=BackboneOptions(QUICK), proposals=ProposalOptions("regions", scored_masks=60)
)
WORDS = ["in/images", "-r", "--positive", "in/positive", "--negative", "in/negative"]
Make = Callable[..., RaySearch]


@pytest.fixture(scope="module")
def nodes() -> Iterator[object]:
    """A cluster with one node, on this machine. Only who has its token reaches it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(TESTS)]))
        from ray.cluster_utils import Cluster  # it reads the variables when it is imported

        health = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500}
        head = {"num_cpus": 2, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args={**head, "_system_config": health})
        yield made
        made.shutdown()


@pytest.fixture(autouse=True)
def _own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's nodes have the machine's own address, which no other test may reach."""
    real = raycluster._require_answer
    monkeypatch.setattr(
        raycluster, "_require_answer", lambda where: real(where) if where.startswith("127.") else None
    )


@pytest.fixture
def search(nodes: object) -> Iterator[Make]:
    """Makes an engine that is ready, and ends it."""
    made: list[RaySearch] = []

    def start(output: str, prepare: Callable[[], None], timeout: float | None = None) -> RaySearch:
        target = Output(Path(output), (), False, ())
        target.check([])
        job = WorkerSpec(EXAMPLES, SETTINGS, target, prepare, relay=30)
        made.append(RaySearch(job, timeout, nodes.address, 2))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.close()


def detect(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["detect", *words])
    assert result.exit_code == code, result.stderr
    return result


def more_images(count: int) -> None:
    for i in range(count):
        colours = [RED, BLUE] if i % 2 else [BLUE, RED, BLUE]
        Image.fromarray(draw(colours, 100 + i)).save(f"in/images/{i:03}.png")


def local(output: str) -> dict[str, bytes]:
    """The records that one process makes."""
    target = Output(Path(output), (), False, ())
    detector = Detector.build(EXAMPLES, SETTINGS)
    for _ in batch.run(detector, discover(["in/images"], Scan(recursive=True)), target):
        pass
    return records(output)


def records(output: str) -> dict[str, bytes]:
    folder = Path(output) / "records"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}


def test_files_and_lines_are_those_of_one_process_and_nothing_is_done_again(
    world: Path, nodes: object
) -> None:
    more_images(6)
    (world / "in/images/bad.png").write_bytes(b"no image")
    here = detect(*WORDS, "-o", "here", "--json", code=3)
    words = [*WORDS, "-o", "there", "--json", "--engine", "ray", "--ray-address", nodes.address]
    there = detect(*words, "--actors", "2", code=3)
    assert there.stdout == here.stdout
    assert "bad.png: FAILED (not_an_image)" in there.stderr
    run = json.loads((world / "there/run.json").read_text())
    engine = run.pop("engine")
    assert (engine["name"], engine["actors"], engine["actors_lost"]) == ("ray", 2, 0)
    assert engine["nodes"] == 1
    assert run["counts"] == json.loads((world / "here/run.json").read_text())["counts"]
    for output in ("here", "there"):
        (world / output / "run.json").unlink()
    assert tree_hash(world / "there") == tree_hash(world / "here")
    again = detect(*words, "--actors", "1", code=3)
    assert again.stdout == there.stdout
    assert again.stderr.count("[done before]") == 9
    assert json.loads((world / "there/run.json").read_text())["known"] == 9


def test_images_that_end_their_process_are_recorded_and_the_rest_goes_on(
    cold_world: Path, search: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LOSSES", 2)
    monkeypatch.setattr(cluster, "TRIES", 2)
    more_images(4)
    expected = local("here")
    for width in (141, 142, 144):
        fault_image(width)
    queries = discover(["in/images"], Scan(recursive=True))
    engine = search("there", rayfaults.misbehave)
    results = list(engine.run(queries))
    assert [one.record.image for one in results] == [query.name for query in queries]
    failed = {one.record.image: one.record.error.code for one in results if one.record.failed}
    assert failed == {
        "fault141.png": "crash",
        "fault142.png": "crash",
        "fault144.png": "crash",
    }
    found = records("there")
    assert {name: found.pop(f"{name}.json")[:2] for name in failed}
    assert found == expected


def fault_image(width: int) -> None:
    Image.fromarray(draw([BLUE, BLUE, BLUE], 5)[:, :width]).save(f"in/images/fault{width}.png")


def test_an_image_over_time_is_recorded(cold_world: Path, search: Make) -> None:
    """The others have their records already, so that only this one takes time."""
    expected = local("there")
    fault_image(143)
    engine = search("there", rayfaults.misbehave, 5)
    results = list(engine.run(discover(["in/images"], Scan(recursive=True))))
    failed = {one.record.image: one.record.error.code for one in results if one.record.failed}
    assert failed == {"fault143.png": "timeout"}
    assert [one.known for one in results] == [not one.record.failed for one in results]
    found = records("there")
    found.pop("fault143.png.json")
    assert found == expected


def test_nothing_is_lost_or_done_twice_where_workers_are_killed(
    cold_world: Path, nodes: object, search: Make
) -> None:
    more_images(8 + 5 * KILLS)
    expected = local("here")
    engine = search("there", rayfaults.slowly)
    killer = threading.Thread(target=kill_actors, args=(raylet(nodes.head_node), KILLS), daemon=True)
    killer.start()
    queries = discover(["in/images"], Scan(recursive=True))
    results = [one.record.image for one in engine.run(queries)]
    killer.join(1)
    assert not killer.is_alive(), "the run ended before all kills"
    assert engine.facts()["engine"]["actors_lost"] == KILLS
    assert results == [query.name for query in queries]
    assert records("there") == expected


def raylet(node: object) -> int:
    """The process whose children the actors of a node are."""
    return node.all_processes["raylet"][0].process.pid


def actors_of(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            name = (path / "cmdline").read_bytes()
            above = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if above == parent and name.startswith(b"ray::Searcher"):
            found.append(int(path.name))
    return found


def kill_actors(parent: int, count: int) -> None:
    """One at a time, each time after some more records."""
    seen, chance = 0, random.Random(7)
    while count:
        time.sleep(0.05)
        now = len(list(Path("there/records").rglob("*.json")))
        alive = actors_of(parent)
        if now < seen + 2 or not alive:
            continue
        os.kill(chance.choice(alive), 9)
        seen, count = now, count - 1


def test_a_node_that_is_lost_is_no_loss(cold_world: Path, nodes: object, search: Make) -> None:
    more_images(24)
    expected = local("here")
    second = nodes.add_node(num_cpus=2)
    engine = search("there", rayfaults.slowly)
    queries = discover(["in/images"], Scan(recursive=True))
    results = []
    for one in engine.run(queries):
        results.append(one.record.image)
        if second is not None and (actors_of(raylet(second)) or len(results) > 12):
            nodes.remove_node(second, allow_graceful=False)
            second = None
    assert engine.facts()["engine"]["actors_lost"] >= 1, "both may have been there"
    assert results == [query.name for query in queries]
    assert records("there") == expected


def test_a_cluster_that_is_not_there_is_named(cold_world: Path, nodes: object) -> None:
    words = [*WORDS, "--engine", "ray", "--actors", "2", "--ray-address"]
    assert "Ray's client" in detect(*words, "ray://127.0.0.1:1", code=2).stderr
    assert "127.0.0.1:1: the cluster cannot be joined" in detect(*words, "127.0.0.1:1", code=2).stderr


def test_what_is_left_open_or_wrong_is_told_before_anything_is_searched(
    world: Path, nodes: object
) -> None:
    words = [*WORDS, "-o", "there", "--engine", "ray", "--ray-address", nodes.address]
    assert "Say how many processes search: --actors N" in detect(*words, code=2).stderr
    assert "--device cuda" in detect(*words, "--device", "cuda:0", code=2).stderr
    nowhere = ["in/images", "--positive", "in/nowhere", *words[6:]]
    assert "in/nowhere" in detect(*nowhere, code=4).stderr


def test_a_cluster_of_ones_own_ends_with_the_run_and_says_nothing(world: Path) -> None:
    """Started with the run: stdout holds records alone, and no process and no file is left."""
    before = set(Path("/tmp").glob("searchdet-ray-*"))
    words = ["detect", *WORDS, "-o", "out", "--json", "--engine", "ray", "--actors", "1"]
    run = [sys.executable, "-m", "searchdet", *words]
    done = subprocess.run(run, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["image"] for line in done.stdout.splitlines()] == [
        "a.png",
        "deep/a.png",
        "none.png",
    ]
    said = [line for line in done.stderr.splitlines() if not line.startswith("WARNING: ")]
    assert len(said) == 6, done.stderr
    left = set(Path("/tmp").glob("searchdet-ray-*")) - before
    assert not left
