"""What a TIFF says of its first picture, read from its tags alone: no pixel is decoded.

Decoders differ in which of these they heed; what is read with which one follows from here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

MOST_ENTRIES = 1000
"""Entries of a directory that are looked at."""
MOST_VALUES = 64
"""Values of an entry that are read; no tag that is looked at has more."""
MOST_DIRECTORIES = 1000
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 16: "Q", 17: "q"}
"""Types of values as letters of ``struct``; fractions and texts are not looked at."""
_OFFSETS = {False: 273, True: 324}
"""Where the strips lie, or the tiles."""
_KEPT = frozenset(
    (254, 256, 257, 258, 259, 262, 266, 274, 277, 278, 280, 281, 284, 317, 322, 323, 338, 339, 340, 341)
) | {50706}
BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK = 1, 2, 3, 4, 5
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
REDUCED, OF_A_MASK = 1, 4
"""Bits of tag 254: what a picture is to the first one."""

Number = int | float
Values = Mapping[int, tuple[Number, ...]]


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of the first picture, with the defaults of the standard. bits, formats: of each sample.
    declared: the least and greatest value that the file says there is, None where it says nothing.
    pages: how many pictures there are, at most MOST_DIRECTORIES; full: without reduced copies and
    masks of the first. preview: a reduced copy, or the small
    picture that goes before the data of a sensor. little: the order of bytes; fill: that of bits.
    parts: strips or tiles that the picture needs; absent: how many of them the file does not hold."""

    width: int
    height: int
    bits: tuple[int, ...]
    formats: tuple[int, ...]
    photometric: int
    planar: int
    samples: int
    extras: tuple[int, ...]
    compression: int
    orientation: int
    declared: tuple[float | None, float] | None
    tile: tuple[int, int] | None
    pages: int
    preview: bool
    little: bool
    fill: int
    full: int = 1
    parts: int = 1
    absent: int = 0

    @property
    def depth(self) -> int:
        """Bits of a sample, the most where they differ."""
        return max(self.bits)

    @property
    def format(self) -> int:
        """How a sample is stored, the first where they differ."""
        return self.formats[0]

    @property
    def stored(self) -> str:
        """The type of a sample as a word: ``uint16``, ``int16``, ``float32``."""
        return {UNSIGNED: "uint", SIGNED: "int", FLOAT: "float"}.get(self.format, "?") + str(self.depth)


def read_tags(data: bytes) -> Tags | None:
    """The tags of a TIFF, classic or big; None where they cannot be read."""
    try:
        order, big, first = _head(data)
        values, following = _directory(data, order, big, first)
        tags = _tags(values, *_pages(data, order, big, first, following), order == "<")
        return replace(tags, absent=_absent(data, order, big, first, tags))
    except (struct.error, ValueError, OverflowError, IndexError):
        return None


def _head(data: bytes) -> tuple[str, bool, int]:
    """Byte order, whether it is a BigTIFF, and where the first directory lies."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("no TIFF")
    (version,) = struct.unpack_from(order + "H", data, 2)
    if version == 42:
        return order, False, struct.unpack_from(order + "I", data, 4)[0]
    if version == 43 and struct.unpack_from(order + "HH", data, 4) == (8, 0):
        return order, True, struct.unpack_from(order + "Q", data, 8)[0]
    raise ValueError("no TIFF")


def _directory(data: bytes, order: str, big: bool, at: int) -> tuple[Values, int]:
    """The values of a directory, and where the next one lies (0: nowhere)."""
    values: dict[int, tuple[Number, ...]] = {}
    for tag, place in _entries(data, order, big, at):
        if tag in _KEPT and tag not in values and (found := _entry(data, order, big, place)):
            values[tag] = found
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    return values, _next(data, order, big, at, count)


def _entries(data: bytes, order: str, big: bool, at: int) -> Iterator[tuple[int, int]]:
    """The tag of each entry of a directory, and where the entry lies."""
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    start, size = at + (8 if big else 2), 20 if big else 12
    for number in range(min(count, MOST_ENTRIES)):
        place = start + number * size
        yield struct.unpack_from(order + "H", data, place)[0], place


def _absent(data: bytes, order: str, big: bool, at: int, tags: Tags) -> int:
    """How many of the parts that a picture needs have no offset, or that of the header: they were left
    out as empty, or the file is damaged, and decoders make them black."""
    wanted = _OFFSETS[tags.tile is not None]
    place = next((place for tag, place in _entries(data, order, big, at) if tag == wanted), None)
    if place is None:  # JPEG of the old kind
        return 0
    try:
        offsets = _entry(data, order, big, place, tags.parts)
    except struct.error:
        return tags.parts
    return tags.parts - sum(1 for offset in offsets if offset)


def _entry(data: bytes, order: str, big: bool, at: int, most: int = MOST_VALUES) -> tuple[Number, ...]:
    """The first values of an entry; nothing for a type that is not looked at."""
    (kind,) = struct.unpack_from(order + "H", data, at + 2)
    (count,) = struct.unpack_from(order + ("Q" if big else "I"), data, at + 4)
    letter = _TYPES.get(kind)
    if letter is None or not count:
        return ()
    place, room = at + (12 if big else 8), 8 if big else 4
    if count * struct.calcsize(letter) > room:
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
    return struct.unpack_from(f"{order}{min(count, most)}{letter}", data, place)


def _next(data: bytes, order: str, big: bool, at: int, count: int) -> int:
    end = at + (8 + 20 * count if big else 2 + 12 * count)
    if end + (8 if big else 4) > len(data):
        return 0
    return int(struct.unpack_from(order + ("Q" if big else "I"), data, end)[0])


def _pages(data: bytes, order: str, big: bool, first: int, following: int) -> tuple[int, int]:
    """How many pictures there are, and how many without reduced copies and masks."""
    seen, full = {first}, 1
    while following and following not in seen and len(seen) < MOST_DIRECTORIES:
        if following + (8 if big else 2) > len(data):
            break
        place = following
        try:
            values, following = _directory(data, order, big, following)
        except struct.error:  # cut: the pages before it are whole
            break
        seen.add(place)
        full += not int(values.get(254, (0,))[0]) & (REDUCED | OF_A_MASK)
    return len(seen), full


def _tags(values: Values, pages: int, full: int, little: bool) -> Tags:
    def one(tag: int, default: int | None = None) -> int:
        found = values.get(tag, () if default is None else (default,))
        return int(found[0])

    samples = one(277, 1)
    if not 1 <= samples <= 65535 or one(256) < 1 or one(257) < 1:
        raise ValueError("no picture")
    bits = tuple(int(value) for value in values.get(258, (1,)))
    tile = (one(322), one(323)) if 322 in values and 323 in values else None
    across, down = tile or (one(256), one(278, one(257)))
    parts = -(-one(256) // max(1, across)) * -(-one(257) // max(1, down))
    return Tags(
        width=one(256),
        height=one(257),
        bits=bits if len(bits) > 1 else bits * min(samples, MOST_VALUES),
        formats=tuple(int(value) for value in values.get(339, (UNSIGNED,))),
        photometric=one(262, BLACK_IS_ZERO),
        planar=one(284, 1),
        samples=samples,
        extras=tuple(int(value) for value in values.get(338, ())),
        compression=one(259, 1),
        orientation=one(274, 1) if one(274, 1) in range(1, 9) else 1,
        declared=_declared(values),
        tile=tile,
        pages=pages,
        preview=bool(one(254, 0) & 1) or 50706 in values,
        little=little,
        fill=one(266, 1),
        full=full,
        parts=parts * (samples if one(284, 1) == 2 else 1),
    )


def _declared(values: Values) -> tuple[float | None, float] | None:
    """SMin- and SMaxSampleValue, else MaxSampleValue; of several samples the widest."""
    for least, most in ((340, 341), (None, 281)):
        if most in values:
            high = float(max(values[most]))
            low = None if least is None or least not in values else float(min(values[least]))
            return (low, high) if high > (low or 0.0) and abs(high) < float("inf") else None
    return None
