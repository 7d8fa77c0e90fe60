"""The decision rule: one table of cases for the rule itself, arrays, stored records, and JavaScript."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import rulecases
from conftest import REQUIRE_BROWSER
from rulecases import LABEL, Case, cases, every_case

from searchdet.records import ACCEPTED, INVALID, Limits, detections, limits_for, reason_of
from searchdet.records.rule import REASONS
from searchdet.scoring import Scores, accepted, decide, final

NODE = shutil.which("node")
DRIVER = Path(__file__).parent / "run_rule.mjs"
NAN = float("nan")


def test_the_table_has_every_reason_and_no_name_twice() -> None:
    table = cases()
    assert {case.reason for case in table} == set(REASONS) - {INVALID}
    assert len({case.name for case in table}) == len(table) >= 30


@every_case
def test_the_rule(case: Case) -> None:
    assert reason_of(case.standing, case.limits) == case.reason
    missing = {name: NAN for name in ("margin", "class_margin") if getattr(case.standing, name) is None}
    assert reason_of(replace(case.standing, **missing), case.limits) == case.reason


def scores_of(table: list[Case]) -> Scores:
    """A row for each case, each of a class of its own."""

    def column(name: str) -> np.ndarray:
        values = [getattr(case.standing, name) for case in table]
        return np.asarray([NAN if value is None else value for value in values])

    count = len(table)
    blank, none = np.full(count, NAN), np.full(count, -1)
    return Scores(
        valid=np.ones(count, bool),
        label=np.arange(count),
        pos=blank,
        neg=blank,
        shape=blank,
        context=blank,
        size=blank,
        score=column("score_before_suppression"),
        margin=column("margin"),
        gap=column("class_margin"),
        nearest_positive=none,
        nearest_positive_cosine=blank,
        nearest_negative=none,
    )


def test_arrays_follow_the_rule() -> None:
    table = cases()
    scores = scores_of(table)
    limits = [case.limits for case in table]
    factor = np.asarray([case.standing.suppression_factor for case in table])
    assert final(scores, factor).tolist() == [case.standing.score for case in table]
    found = dict(zip([case.name for case in table], decide(scores, limits, factor), strict=True))
    assert found == {case.name: case.reason for case in table}
    assert accepted(scores, limits, factor).tolist() == [case.reason == ACCEPTED for case in table]
    nothing = replace(scores, valid=np.zeros(len(table), bool))
    assert set(decide(nothing, limits, factor)) == {INVALID}
    assert not accepted(nothing, limits, factor).any()


@every_case
def test_stored_records_follow_the_rule(case: Case) -> None:
    record, given = case.record(), case.override()
    assert limits_for(record, given)[LABEL] == case.limits
    accepted = case.reason == ACCEPTED
    assert len(detections(record, given)) == accepted
    every = {name: getattr(case.limits, name) for name in ("min_score", "min_margin", "class_margin")}
    assert len(detections(record, Limits(**every))) == accepted, "all limits given, whatever the run's"


def test_javascript_follows_the_rule() -> None:
    if NODE is None:
        if REQUIRE_BROWSER:
            raise RuntimeError("node is missing: the rule of the report's page is not tested")
        pytest.skip("node is missing: the rule of the report's page is tested in the browser only")
    rule = resources.files("searchdet.report") / "assets" / "rule.js"
    words = [NODE, str(DRIVER), str(rule), str(rulecases.PATH)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = {case.name: case.reason for case in cases()}
    assert json.loads(done.stdout) == {"null": expected, "NaN": expected}
