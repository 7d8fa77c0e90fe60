"""``--value-range``: pictures are read anew with it, and said to be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner, Result
from worlds import BLUE, RED, call, draw

from searchdet import Detector
from searchdet.bank import file as bankfile
from searchdet.cli import app
from searchdet.config import Settings, settings_from
from searchdet.errors import UsageError
from searchdet.images import read_image
from searchdet.output.folder import Output
from searchdet.records import read_record
from searchdet.report.pyramid import Pyramids


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def record(name: str, folder: str = "out") -> dict:
    return json.loads(Path(folder, "records", f"{name}.json").read_text())


@pytest.fixture
def deep(cold_world: Path) -> Path:
    """The image and the red exemplars of the world with 12 bits in 16."""
    for path in (cold_world / "in").rglob("*.png"):
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(np.uint16) * 16
        path.unlink()
        tifffile.imwrite(path.with_suffix(".tif"), pixels, photometric="rgb", metadata=None)
    return cold_world


def test_12_bits_give_the_records_of_8(cold_world: Path) -> None:
    call("in/images/a.png", "-o", "eight")
    pixels = draw([RED, BLUE], 5).astype(np.uint16) * 16
    tifffile.imwrite("deep.tif", pixels, photometric="rgb", metadata=None)
    result = call("deep.tif", "-o", "out")
    assert result.exit_code == 0, result.stderr
    eight, twelve = record("in/images/a.png", "eight"), record("deep.tif")
    assert twelve["detections"] == eight["detections"] != []
    assert eight["source"]["values"] is None
    assert eight["source"]["decoder"] == "Pillow"
    assert eight["value_range"] is None
    assert twelve["source"]["decoder"] == "tifffile"
    assert twelve["source"]["values"] == {
        "stored": "uint16",
        "low": 0.0,
        "high": 4095.0,
        "by": "levels",
    }


def test_one_warning_a_kind_names_the_file_and_the_option(deep: Path) -> None:
    result = call("in/images", "-r", "-o", "out")
    assert result.exit_code == 0, result.stderr
    lines = [line for line in result.stderr.splitlines() if "--value-range" in line]
    assert len(lines) == 2, lines  # examples, images
    assert all("0 to 4095" in line for line in lines)
    assert "examples like it" in lines[0]
    assert "a.tif" in lines[1]


def test_another_range_searches_again_with_other_pixels(deep: Path) -> None:
    assert call("in/images/a.tif", "-o", "out", "--value-range", "0,4095").exit_code == 0
    first = record("in/images/a.tif")
    assert first["value_range"] == [0.0, 4095.0]
    assert first["source"]["values"]["by"] == "given"
    again = call("in/images/a.tif", "-o", "out", "--value-range", "0,4095")
    assert "done before" in again.stderr
    other = call("in/images/a.tif", "-o", "out", "--value-range", "0,16383")
    assert "done before" not in other.stderr
    second = record("in/images/a.tif")
    assert second["sha256"] == first["sha256"]
    assert second["settings_sha256"] != first["settings_sha256"]
    assert second["source"]["values"]["high"] == 16383
    fresh = call("in/images/a.tif", "-o", "fresh", "--value-range", "0,16383", "--no-cache")
    assert fresh.exit_code == 0
    assert record("in/images/a.tif", "fresh") == second


def test_banks_and_indexes_are_of_a_range(deep: Path) -> None:
    examples = ("--positive", "in/positive", "--negative", "in/negative")
    origins = {}
    for name in ("0,4095", "0,8191"):
        made = run("bank", "build", *examples, "-o", f"{name}.bank", "--value-range", name)
        assert made.exit_code == 0, made.stderr
        assert "--value-range LOW" not in made.stderr
        facts = json.loads(run("bank", "show", f"{name}.bank", "--json").stdout)
        origins[name] = {row["sha256"] for row in facts["exemplars"]}
    assert not origins["0,4095"] & origins["0,8191"]
    assert run("index", "in/images", "-o", "idx", "--value-range", "0,4095").exit_code == 0
    found = run("search", "idx", "--bank", "0,4095.bank", "-o", "hits", "--json")
    assert found.exit_code == 0, found.stderr
    line = json.loads(found.stdout.splitlines()[0])
    assert line["value_range"] == [0.0, 4095.0]
    assert line["source"]["values"]["by"] == "given"
    added = run(
        "bank", "add", "0,4095.bank", "--negative", "in/images/none.tif", "--value-range", "0,99"
    )
    assert added.exit_code == 0, added.stderr


@pytest.mark.parametrize("given", [(), ("--value-range", "0,8191")])
def test_verdicts_are_of_the_pixels_that_were_judged(deep: Path, given: tuple[str, ...]) -> None:
    """By the cache and by the images, which are read as the record says, whatever range is set now."""
    examples = ("--positive", "in/positive", "--negative", "in/negative")
    assert run("bank", "build", *examples, "-o", "one.bank", *given).exit_code == 0
    assert call("in/images/a.tif", "-o", "out", "--root", "in/images", *given).exit_code == 0
    found = record("a.tif")
    verdict = {key: found[key] for key in ("image", "sha256", "settings_sha256")}
    best = found["detections"][0]
    verdict |= {"candidate": best["id"], "predicted": best["label"], "label": best["label"]}
    said = {"schema": "searchdet.verdicts/1", "verdicts": [verdict | {"verdict": "right"}]}
    Path("out/verdicts.json").write_text(json.dumps(said))
    whole = Path("one.bank").read_bytes()
    banks = []
    for more in ((), ("--images", "in/images")):
        Path("one.bank").write_bytes(whole)
        words = ("bank", "add", "one.bank", "--from-verdicts", "out/verdicts.json", *more)
        added = run(*words)
        assert added.exit_code == 0, added.stderr
        banks.append(bankfile.load(Path("one.bank")).positives)
        assert "0 verdicts added, 1 were there already" in run(*words).stderr
    assert banks[0].origins == banks[1].origins
    assert float(np.sum(banks[0].vectors * banks[1].vectors, axis=1).min()) > 0.99
    Path("one.bank").write_bytes(whole)
    taken = ("--from-record", "out/records/a.tif.json", str(best["id"]))
    words = ("bank", "add", "one.bank", *taken, "--label", best["label"], "--image", "in/images/a.tif")
    assert (one := run(*words)).exit_code == 0, one.stderr
    assert bankfile.load(Path("one.bank")).positives.origins == banks[0].origins


def test_full_pictures_of_the_report_are_of_the_range(deep: Path) -> None:
    folders = set()
    for high in (4095, 8191):
        words = ("--root", "in/images", "--value-range", f"0,{high}")
        assert call("in/images/a.tif", "-o", "out", *words).exit_code == 0
        kept = read_record(Path("out/records/a.tif.json"))
        assert kept is not None
        place = Pyramids(Path("out/report-pictures"), Output(Path("out")), Path("in/images"), 1).of(
            kept
        )
        assert place is not None
        folders.add(place[0])
        with Image.open(Path("out") / place[0] / "0-0-0.jpg") as tile:
            shown = np.asarray(tile, float)
        wanted = read_image(Path("in/images/a.tif"), given=(0.0, float(high))).pixels
        assert np.abs(shown - wanted).mean() < 4
    assert len(folders) == 2


def test_what_is_no_range_is_refused() -> None:
    for wrong in ("5", "1,1", "9,2", "a,b", "nan,1", "0,inf", "1,2,3", ""):
        with pytest.raises(UsageError, match="--value-range"):
            settings_from({"value_range": wrong})
    assert settings_from({"value_range": "-1000,3000.5"}).reading.bounds == (-1000.0, 3000.5)
    assert Settings().reading.bounds is None
    refused = run("detect", "x.png", "--positive", "p", "--value-range", "9,2")
    assert refused.exit_code == 2
    assert "--value-range is '9,2'" in refused.stderr


def test_a_detector_reads_with_its_range(deep: Path) -> None:
    found = Detector.from_folders("in/positive", value_range="0,4095", backbone="filterbank")
    source = found.detect("in/images/a.tif").source
    assert source is not None
    assert source.values is not None
    assert source.values.by == "given"


def test_a_heif_or_avif_or_jfif_is_searched(cold_world: Path) -> None:
    picture = Image.fromarray(draw([RED, BLUE], 5))
    picture.save("in/images/x.avif", quality=95)
    for name in ("j.jfif", "e.jpe", "i.jif"):
        picture.save(f"in/images/{name}", "JPEG", quality=98)
    result = call("in/images", "-o", "out")
    assert result.exit_code == 0, result.stderr
    for name in ("x.avif", "j.jfif", "e.jpe", "i.jif", "a.png"):
        assert record(name)["detections"], name
