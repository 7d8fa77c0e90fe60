from __future__ import annotations

import contextlib

import numpy as np
import pytest
from bridged import RING, SIZE, block
from hypothesis import given
from hypothesis import strategies as st

from searchdet.integrations.brush import decode, encode


def bits(text: str) -> list[int]:
    text = text.replace(" ", "")
    text += "0" * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


HEAD = "{:032b} 00111 0010 0011 0111 1111"


def test_a_stream_that_was_written_by_hand_is_read() -> None:
    # 1 x 2 pixels: four bytes of 0, then four values 7, 8, 9, 255, one after another
    text = HEAD.format(8) + "1 00 011 00000000" + "0 00 011 00000111 00001000 00001001 11111111"
    assert decode(bits(text), (1, 2)).tolist() == [[False, True]]
    # colours without opacity are nothing
    text = HEAD.format(4) + "0 00 011 00000111 00001000 00001001 00000000"
    assert decode(bits(text), (1, 1)).tolist() == [[False]]


def test_we_write_the_shortest_run_that_holds_it() -> None:
    mask = np.asarray([[False, True, True]])
    text = HEAD.format(12) + "1 00 011 00000000" + "1 00 111 11111111"
    assert encode(mask) == bits(text)
    assert decode(encode(mask), (1, 3)).tolist() == mask.tolist()


@pytest.mark.parametrize(
    "mask",
    [RING, np.zeros(SIZE, bool), np.ones((300, 300), bool), block(0, 0, 1, 1), block(59, 39, 60, 40)],
)
def test_what_is_written_is_read_again(mask: np.ndarray) -> None:
    assert (decode(encode(mask), mask.shape) == mask).all()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_any_mask_comes_back(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    assert (decode(encode(mask), (height, width)) == mask).all()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "too early"),
        ([300], "0 to 255"),
        ([True], "0 to 255"),
        (bits(HEAD.format(8)), "not of an image of 1x1"),
        (bits(HEAD.format(4)), "too early"),
        (bits(HEAD.format(4) + "1 00 111 00000000"), "over its end"),
    ],
)
def test_a_broken_stream_is_refused(data: list[int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(data, (1, 1))


@given(st.lists(st.integers(0, 255), max_size=60))
def test_no_stream_does_more_than_fail(data: list[int]) -> None:
    with contextlib.suppress(ValueError):
        assert decode(data, (2, 3)).shape == (2, 3)
