"""Requests that chance has changed: an answer each, nothing written, and the server goes on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import oddrequests
import pytest
import served
from places import Figure
from worlds import tree_hash

from searchdet.serve import body, protocol

REQUESTS = int(os.environ.get("SERVE_REQUESTS", "300"))


@pytest.mark.model
def test_mutated_requests_are_answered_and_write_nothing(
    cold_world: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "SECONDS", 0.3)  # many are never whole
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.3)
    before = tree_hash(cold_world)
    out = cold_world / "out"
    with served.serving(served.job(cold_world / "in" / "images", out)) as made:
        found = oddrequests.fuzzed(made.address.port, made.address.token, REQUESTS, seed=1)
        assert made.asker.get("/api/state")["done"] == 3
        assert made.asker.get("/api/images")["images"]
    shutil.rmtree(out)
    assert tree_hash(cold_world) == before
    assert {200, 400, 401, 404} <= found.keys()
    figure("requests mutated", REQUESTS)
