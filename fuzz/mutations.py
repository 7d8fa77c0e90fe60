"""Random damage to bytes and to JSON values. Pure; equal random states give equal damage."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

MOST_BYTES = 1 << 22
"""No case grows beyond that."""
NUMBERS: tuple[int, ...] = (0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256)
NUMBERS += (1000, 4096, 10000, 12000)
NUMBERS += (32767, 32768, 65535, 65536, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32)
NUMBERS += ((1 << 40), (1 << 53), (1 << 63) - 1, (1 << 64) - 1)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1e-308, 1e308, float("nan"), float("inf"), -float("inf")),
    *(
        2**31,
        2**53,
        2**63,
        10**30,
        -(2**63),
        "",
        "a",
        "0",
        "nan",
        "\0",
        "\n",
        "\ud800",
        "../x",
        "/etc/x",
    ),
    *("=1+1", "</script>", "x" * 300, "ä", [], {}, [[]], [0, 0, 0, 0], [1e300] * 4, {"a": None}, ""),
)
"""What JSON values are replaced by."""
DEEP = "@deep@"
"""Stands for lists within lists, thousands deep; see ``text_of``."""

Damage = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def damaged(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One to five kinds of damage, one after another. others: files to take pieces from."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        data = rng.choice(DAMAGES)(rng, data, others)
    return data[:MOST_BYTES]


def bits(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One to eight bits turned over, in one half of the cases within the first 64 bytes."""
    made = bytearray(data)
    reach = min(64, len(made)) if rng.random() < 0.5 else len(made)
    for _ in range(rng.randint(1, 8) if made else 0):
        made[rng.randrange(reach)] ^= 1 << rng.randrange(8)
    return bytes(made)


def other_bytes(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A few bytes anew."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64)) if made else 0):
        made[rng.randrange(len(made))] = rng.randrange(256)
    return bytes(made)


def cut(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The end gone."""
    return data[: rng.randint(0, len(data))]


def without(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A piece gone."""
    start, length = rng.randint(0, len(data)), rng.choice((1, 2, 4, 16, 256))
    return data[:start] + data[start + length :]


def inserted(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Random bytes or zeros within."""
    start, length = rng.randint(0, len(data)), rng.choice((1, 2, 4, 16, 256, 5000))
    return (
        data[:start] + (rng.randbytes(length) if rng.random() < 0.5 else bytes(length)) + data[start:]
    )


def spliced(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The head of one file and the tail of another, or a piece of another over its own bytes."""
    other = rng.choice(others) if others else data
    at, start = rng.randint(0, len(data)), rng.randint(0, len(other))
    if rng.random() < 0.5:
        return data[:at] + other[start:]
    piece = other[start : start + rng.choice((4, 32, 512))]
    return data[:at] + piece + data[at + len(piece) :]


def repeated(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A piece several times."""
    start, length = rng.randint(0, len(data)), rng.choice((1, 8, 64, 512))
    piece = data[start : start + length]
    return data[:start] + piece * rng.choice((2, 3, 10, 200)) + data[start + length :]


def numbered(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A number of 1, 2, 4 or 8 bytes that programs stumble over; often near the start."""
    size, order = rng.choice((1, 2, 4, 8)), rng.choice("<>")
    number = rng.choice(NUMBERS) & ((1 << 8 * size) - 1)
    code = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size], number)
    reach = min(64, len(data)) if rng.random() < 0.5 else len(data)
    at = rng.randint(0, reach)
    return data[:at] + code + data[at + size :]


DAMAGES: tuple[Damage, ...] = (
    *(bits, other_bytes, cut, without, inserted, spliced, repeated),
    *(numbered, numbered),
)


def changed(rng: random.Random, value: Any) -> Any:
    """A JSON value with one to four of its parts replaced, removed, repeated or exchanged."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        value = _changed(rng, value, value)
    return value


def _changed(rng: random.Random, value: Any, root: Any) -> Any:
    if isinstance(value, (dict, list)) and value and rng.random() < 0.9:
        return _inside(rng, value, root)
    draw = rng.random()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and draw < 0.5:
        return rng.choice((value + 1, value - 1, -value, value * 1000, value / 3, int(value == 0)))
    if isinstance(value, str) and draw < 0.5:
        return _text(rng, value)
    if draw < 0.55:
        return _picked(rng, root)
    if draw < 0.57:
        return DEEP
    return rng.choice(VALUES)


def _inside(rng: random.Random, value: Any, root: Any) -> Any:
    """A container with one of its members changed."""
    made = dict(value) if isinstance(value, dict) else list(value)
    key = rng.choice(list(made)) if isinstance(made, dict) else rng.randrange(len(made))
    draw = rng.random()
    if draw < 0.08:
        del made[key]
    elif draw < 0.14 and isinstance(made, list):
        made[key:key] = [made[key]] * rng.choice((1, 2, 50))
    elif draw < 0.2 and isinstance(made, dict):
        made[rng.choice(("x", "", "bbox", "size", f"{key}x"))] = made.pop(key)
    else:
        made[key] = _changed(rng, made[key], root)
    return made


def _text(rng: random.Random, value: str) -> str:
    at = rng.randint(0, len(value))
    piece = rng.choice(("", "0", "~", "\x7f", "P", "o", "\n", "\ud800", "é", "/", "..", "P" * 20))
    return value[:at] + piece + value[at + rng.randint(0, 3) :]


def _picked(rng: random.Random, root: Any) -> Any:
    """Some part of the whole."""
    value = root
    while isinstance(value, (dict, list)) and value and rng.random() < 0.7:
        value = rng.choice(list(value.values()) if isinstance(value, dict) else value)
    return value


def text_of(value: Any, **layout: Any) -> bytes:
    """A changed value as JSON, with NaN and with what is too deep."""
    deep = "[" * 5000 + "]" * 5000
    return json.dumps(value, **layout).replace(f'"{DEEP}"', deep).encode()
