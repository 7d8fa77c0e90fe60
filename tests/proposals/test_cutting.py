"""All fields at once against one field after the other: the same parts and the same boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_frame import CASES, fields, make

from searchdet.proposals import cutting
from searchdet.proposals import frame as frames
from searchdet.proposals.cutting import Cut, Cutter

SMALL = (128, 256)


def one_by_one(many: torch.Tensor, frame: frames.Frame) -> list[Cut | None]:
    return Cutter(frame, "cpu").cut(many, -1.0, 0.0)


def check(got: list[Cut | None], wanted: list[Cut | None]) -> None:
    assert [g is None for g in got] == [w is None for w in wanted]
    for one, two in zip(got, wanted, strict=True):
        if one is not None and two is not None:
            assert one.box == two.box
            assert (one.part.row, one.part.column) == (two.part.row, two.part.column)
            assert np.array_equal(one.part.values, two.part.values)


@pytest.mark.parametrize(("model", "size"), CASES)
def test_fields_at_once_are_cut_as_one_by_one(
    model: tuple[int, int], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = make(model, size)
    many = torch.from_numpy(np.stack(fields(model[0], 24)))
    wanted = one_by_one(many, frame)
    assert any(item is not None for item in wanted)
    check(Cutter(frame, "cpu").at_once(many, -1.0, 0.0), wanted)
    monkeypatch.setattr(cutting, "_CHUNK", 1)
    check(Cutter(frame, "cpu").at_once(many, -1.0, 0.0), wanted)


def test_single_cells_and_fields_without_pixels() -> None:
    """A cell between pixels of a smaller image shows in no pixel near it, or in none at all."""
    frame = make(SMALL, (37, 50))
    many = torch.full((300, 128, 128), -1.5)
    rng = np.random.default_rng(1)
    for field in many[1:]:
        for _ in range(3):
            y, x = rng.integers(0, 128, 2)
            field[y, x] = float(rng.uniform(-0.5, 6))
    wanted = one_by_one(many, frame)
    assert 30 < sum(item is None for item in wanted) < 270
    check(Cutter(frame, "cpu").at_once(many, -1.0, 0.0), wanted)


def test_what_the_outermost_cells_do_not_tell_is_looked_for_in_the_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = make(SMALL, (37, 50))
    many = torch.full((1, 128, 128), -3.0)
    many[0, 20:60, 30:70] = 4.0
    many[0, 10, 12] = 0.1
    wanted = one_by_one(many, frame)
    asked = []
    real = frames.box

    def box(*given: object) -> object:
        asked.append(given)
        return real(*given)

    monkeypatch.setattr(frames, "box", box)
    check(Cutter(frame, "cpu").at_once(many, -1.0, 0.0), wanted)
    assert len(asked) == 1
    assert Cutter(frame, "cpu").at_once(many[:0], -1.0, 0.0) == []
