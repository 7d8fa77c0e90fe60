"""The flag of the process that says how exact a card is, and threads that want it at once."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from searchdet.weights import Compute

pytestmark = pytest.mark.model
CARD = Compute("cuda", "fp32")


@pytest.fixture
def flag(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """The flag as PyTorch keeps it: set on the way in, what was found put back on the way out."""
    held = {"tf32": True}

    @contextlib.contextmanager
    def flags(*_: object, allow_tf32: bool, **__: Any) -> Iterator[None]:
        before, held["tf32"] = held["tf32"], allow_tf32
        try:
            yield
        finally:
            held["tf32"] = before

    monkeypatch.setattr(torch.backends.cudnn, "flags", flags)
    return held


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_thread_that_leaves_takes_the_exactness_of_no_other(
    flag: dict[str, bool], order: tuple[int, ...]
) -> None:
    entered = [threading.Event() for _ in order]
    leave = [threading.Event() for _ in order]

    def work(i: int) -> None:
        with CARD.exact():
            entered[i].set()
            leave[i].wait(60)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(order))]
    for thread, ready in zip(threads, entered, strict=True):
        thread.start()
        assert ready.wait(60)
    for i in order:
        assert flag["tf32"] is False
        leave[i].set()
        threads[i].join(60)
    assert flag["tf32"] is True
    with CARD.exact(), CARD.exact():
        assert flag["tf32"] is False
    assert flag["tf32"] is True


def test_an_error_inside_puts_the_flag_back(flag: dict[str, bool]) -> None:
    with pytest.raises(RuntimeError, match="inside"), CARD.exact():
        raise RuntimeError("inside")
    assert flag["tf32"] is True


def test_on_the_cpu_no_flag_is_touched(flag: dict[str, bool]) -> None:
    with Compute("cpu", "fp32").exact(), Compute("cpu", "fp32").autocast():
        assert flag["tf32"] is True
