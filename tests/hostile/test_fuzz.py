"""Random bytes, names, masks and records: an error of our tree or a sound result, nothing else.

The long form of it, with a watch on time and memory, is ``make fuzz``.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from places import ROOT
from profiles import examples
from pycocotools import mask as coco

from searchdet import exports, report
from searchdet.annotations.coco import Truth
from searchdet.config import Limits
from searchdet.errors import CheckpointError, ImageError, SearchdetError, UsageError
from searchdet.evaluation.scorecard import scorecard
from searchdet.images.inputs import Scan, discover
from searchdet.images.read import decode
from searchdet.masks import rle
from searchdet.output.folder import Output, read_records
from searchdet.records import RecordError, failed, read_record
from searchdet.weights.reading import read_state_dict

sys.path.insert(0, str(ROOT / "fuzz"))
import seeds
from seeds import Case
from states import restated
from targets import outcome
from watch import case_of

pytestmark = pytest.mark.model

few = settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
numbers = st.integers(0, 2**32)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Libraries warn of damaged files; that is not what is looked at here."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


@cache
def corpus(target: str) -> list[Case]:
    return seeds.SEEDS[target]()


def run(target: str, case: Case) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return outcome(target, case, Path(folder))


@many
@given(numbers)
def test_damaged_images(number: int) -> None:
    run("images", case_of(1, "images", number, corpus("images")))


HEADS = st.sampled_from(
    [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"RIFF"]
)


@many
@given(HEADS, st.binary(max_size=300))
def test_bytes_as_an_image(head: bytes, tail: bytes) -> None:
    try:
        found = decode(Path("x"), head + tail)
    except ImageError as error:
        assert error.code in ("decode", "not_an_image", "too_large", "bomb", "mode")
    else:
        assert found.pixels.ndim == 3


TARGETS = (
    *("banks", "records", "verdicts", "cache", "indexes"),
    *("masks", "labelme", "coco", "config", "lists"),
)


@pytest.mark.parametrize("target", TARGETS)
@few
@given(number=numbers)
def test_damaged_files_of_every_kind(target: str, number: int) -> None:
    run(target, case_of(2, target, number, corpus(target)))


@cache
def weights() -> bytes:
    buffer = io.BytesIO()
    torch.save({f"blocks.{i}.weight": torch.ones(3, 4) * i for i in range(5)}, buffer)
    return buffer.getvalue()


@many
@given(st.randoms(use_true_random=False), st.sampled_from([".pth", ".safetensors", ".bin"]))
def test_weight_files_of_other_tensors(rng: Any, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"w{suffix}"
        path.write_bytes(restated(rng, weights()))
        try:
            state = read_state_dict(path)
        except CheckpointError:
            return
        for tensor in state.values():
            assert bool(tensor.isfinite().all())
            assert tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


@pytest.mark.parametrize("target", ["images", *TARGETS])
def test_some_damage_is_refused_and_some_is_not_even_noticed(target: str) -> None:
    """Else the tests above would pass for nothing: the damage reaches the readers, and is not all."""
    found = {run(target, case_of(1, target, number, corpus(target))) for number in range(60)}
    assert found - {"accepted"}, found
    assert "accepted" in found, found


def test_some_tensors_are_taken_and_some_are_not(tmp_path: Path) -> None:
    """Else the test above would pass for nothing."""
    path, taken = tmp_path / "w.pth", Counter[bool]()
    for number in range(60):
        path.write_bytes(restated(random.Random(number), weights()))
        try:
            taken[bool(read_state_dict(path))] += 1
        except CheckpointError:
            taken[False] += 1
    assert taken[True] > 5
    assert taken[False] > 5


parts = st.binary(min_size=1, max_size=251).filter(
    lambda b: b not in (b".", b"..") and not {0, 47} & {*b}
)


@few
@given(st.lists(parts, min_size=1, max_size=3))
def test_any_file_name_comes_back_from_its_record(path: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, out = Path(name) / "in", Path(name) / "out"
        bare = b"/".join(path) + b".png"
        image = root / os.fsdecode(bare)
        image.parent.mkdir(parents=True)
        image.touch()
        (query,) = discover([str(image)], Scan(root=root))
        assert os.fsencode(query.name) == bare
        output = Output(out, ())
        output.save(failed(query.name, ImageError("decode", "x"), "0" * 64), None, query.path)
        (record,) = read_records(out)
        assert record.image == query.name
        assert output.path("records", query.name, ".json").is_relative_to(out / "records")


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=300)


@many
@given(st.lists(names, min_size=2, max_size=2, unique=True))
def test_two_names_never_share_a_file(two: list[str]) -> None:
    assume(not {".", ".."} & {*two})
    one, other = (Output(Path("out")).path("records", name, ".json") for name in two)
    assert one != other
    for path in (one, other):
        assert len(os.fsencode(path.name)) <= 255
        assert path.parent == Path("out/records")


masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


@many
@given(masks)
def test_masks_and_their_encodings_are_one(mask: np.ndarray) -> None:
    code = rle.encode(mask)
    size = mask.shape
    assert coco.decode(code).astype(bool).tolist() == mask.tolist()
    assert rle.decode([code], size)[0].tolist() == mask.tolist()
    assert rle.area(code) == coco.area(code) == mask.sum()
    rle.require(code, size)
    text = np.frombuffer(code["counts"].encode(), np.uint8)
    rle.require_all(text, np.asarray([0, len(text)]), size)
    found = rle.runs(code)
    painted = np.zeros(size, int)
    for column, top, bottom in zip(found.column, found.top, found.bottom, strict=True):
        painted[top:bottom, column] += 1
    assert (painted == mask).all()
    part, (y, x) = rle.window(code)
    whole = np.zeros(size, bool)
    whole[y : y + part.shape[0], x : x + part.shape[1]] = part
    assert (whole == mask).all()
    assert rle.encode_window(part, (y, x), size) == code or not mask.any()


@many
@given(st.lists(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=12), max_size=4))
def test_a_text_is_an_encoding_or_refused_and_all_checks_agree(texts: list[str]) -> None:
    size, verdicts = (6, 9), []
    for text in texts:
        code = {"size": [6, 9], "counts": text}
        try:
            rle.require(code, size)
        except ValueError:
            verdicts.append(False)
            continue
        verdicts.append(True)
        assert rle.decode([code], size).sum() == sum(
            np.subtract(rle.runs(code).bottom, rle.runs(code).top)
        )
    joined = "".join(texts).encode()
    ends = np.cumsum([0, *(len(text) for text in texts)])
    try:
        rle.require_all(np.frombuffer(joined, np.uint8), ends, size)
    except ValueError:
        assert not all(verdicts)
    else:
        assert all(verdicts)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all parts of a JSON value."""
    yield path
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in pairs:
        yield from places(inner, (*path, key))


@cache
def whole_records() -> list[tuple[dict[str, Any], list[tuple[Any, ...]]]]:
    found = [json.loads(case.data) for case in corpus("records")]
    return [(record, list(places(record))[1:]) for record in found]


@many
@given(st.data(), values)
def test_records_with_any_value_anywhere(data: st.DataObject, value: Any) -> None:
    record, ways = whole_records()[data.draw(st.integers(0, len(whole_records()) - 1))]
    way = ways[data.draw(st.integers(0, len(ways) - 1))]
    record = copy.deepcopy(record)
    inner = record
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "records").mkdir()
        path = folder / "records/a.json"
        path.write_text(json.dumps(record))
        try:
            read_record(path)
        except RecordError:
            with pytest.raises(UsageError):
                list(read_records(folder))
            return
        except ValueError:
            assert list(read_records(folder)) == []
            return
        Output(folder).known(record["image"], record["sha256"], record["settings_sha256"])
        for step in (_export, _report, _judge):
            try:
                step(folder)
            except SearchdetError as error:
                assert isinstance(error, UsageError), error


def _export(folder: Path) -> None:
    for limits in (Limits(), Limits(min_score=0.1, class_margin=0.1)):
        options = exports.Options(tuple(exports.FORMATS), limits)
        exports.write(folder, read_records(folder, rejected=limits.given), options)


def _report(folder: Path) -> None:
    report.write(folder)


def _judge(folder: Path) -> None:
    truth = Truth(seeds.truth(("deep/a.png", "b.jpg", "c.png"), seeds.shapes()))
    scorecard(truth, list(read_records(folder))).to_json()
