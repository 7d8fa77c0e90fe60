"""Requests that chance has changed: an answer each, nothing written, and the server goes on."""

from __future__ import annotations

import os
from pathlib import Path

import livefake
import mutations
import pytest
from asking import Asker
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
    server, _, address = livefake.serve(cold_world / "in" / "images")
    found = mutations.fuzzed(address.port, address.token, REQUESTS, seed=1)
    asker = Asker(address.port, address.token)
    assert asker.get("/api/state")["done"] == 3
    assert asker.get("/api/images")["images"]
    server.stop()
    assert tree_hash(cold_world) == before
    assert {200, 400, 401, 404} <= found.keys()
    figure("requests mutated", REQUESTS)
