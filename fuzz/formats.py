"""Damage that a format's own checks do not catch: lengths, checksums and digests are right again."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mutations import NUMBERS, changed, damaged, text_of
from states import restated
from tiffs import entries

from searchdet.storage import tensors

MAGIC = b"\x89PNG\r\n\x1a\n"
WORDS = (
    *(b"FloatStorage", b"HalfStorage", b"LongStorage", b"BoolStorage", b"BFloat16Storage", b"cpu"),
    *(b"ComplexFloatStorage", b"QInt8Storage", b"_rebuild_tensor_v2", b"_rebuild_parameter", b"meta"),
    *(b"_rebuild_sparse_tensor", b"_rebuild_qtensor", b"_rebuild_meta_tensor_no_storage", b"cuda:0"),
    *(b"collections", b"OrderedDict", b"builtins", b"torch._utils", b"torch", b"state_dict", b"model"),
)
"""Words of pickles that torch takes; one stands for another."""
KINDS = (
    "F64",
    "F32",
    "F16",
    "BF16",
    "F8_E4M3",
    "F8_E5M2",
    "I64",
    "I32",
    "I8",
    "U8",
    "BOOL",
    "U16",
    "X",
)


def reshaped(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Damage within a file of a known format; any damage to another one."""
    for fits, change in FORMATS:
        if fits(data):
            try:
                return change(rng, data, others)
            except Exception:  # it was damaged before
                break
    return damaged(rng, data, others)


def _png(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Chunks with other content, other order or twice, all with the right checksum."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    number = rng.randrange(len(chunks))
    kind, body = chunks[number]
    draw = rng.random()
    if kind == b"IDAT" and draw < 0.6:
        body = zlib.compress(damaged(rng, zlib.decompress(body), ()))
    elif draw < 0.8:
        body = damaged(rng, body, ())
    elif draw < 0.9:
        kind = rng.choice(
            (b"tRNS", b"PLTE", b"eXIf", b"zTXt", b"iCCP", b"acTL", b"fcTL", b"fdAT", b"gAMA")
        )
    chunks[number : number + rng.choice((0, 1, 1, 1, 1))] = [(kind, body)]
    parts = [
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks
    ]
    return MAGIC + b"".join(parts)


def _jpeg(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Another content of one segment before the pixels, or another size."""
    segments, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        segments.append(at)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    start = rng.choice(segments)
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    if data[start + 1] in (0xC0, 0xC2) and rng.random() < 0.7:
        place = start + rng.choice((5, 7))
        number = rng.choice((1, 8, 300, 5000, 12000, 65535))
        return data[:place] + struct.pack(">H", number) + data[place + 2 :]
    body = damaged(rng, data[start + 4 : end], ())[:65000]
    again = rng.choice((1, 1, 1, 2, 20))
    segment = data[start : start + 2] + struct.pack(">H", len(body) + 2) + body
    return data[:start] + segment * again + data[end:]


_SIZES = {b"GIF8": ("<H", (6, 8)), b"BM": ("<i", (18, 22)), b"RIFF": ("<H", (24, 26, 27, 28, 30))}


def _sized(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Another declared size of a GIF, BMP or WebP."""
    code, places = next(found for magic, found in _SIZES.items() if data.startswith(magic))
    made = bytearray(data)
    for _ in range(rng.randint(1, 2)):
        number = rng.choice((1, 2, 57, 1000, 5000, 12000, 16383, 30000))
        struct.pack_into(code, made, rng.choice(places), number)
    return bytes(made)


def _tiff(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Another tag, type, count or value of an entry of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack(f"{order}I", data[4:8])
    (count,) = struct.unpack(f"{order}H", data[start : start + 2])
    made = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        entry = start + 2 + 12 * rng.randrange(count + 1)  # the last is the link to the next directory
        part, code = rng.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "H")))
        limit = (1 << (16 if code == "H" else 32)) - 1
        near = rng.choice(
            (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 338, 339, start)
        )
        number = rng.choice((near, rng.choice(NUMBERS) & limit, rng.randrange(1, 13)))
        struct.pack_into(order + code, made, entry + part, number)
    return bytes(made)


def _zip(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """An archive of torch with other content of one member, or a sound one of other tensors."""
    if rng.random() < 0.5:
        return restated(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(item.filename, archive.read(item)) for item in archive.infolist()]
    number = 0 if rng.random() < 0.7 else rng.randrange(len(members))  # the first is the pickle
    name, body = members[number]
    draw = rng.random()
    if draw < 0.4:
        body = _word(rng, body)
    elif draw < 0.9:
        body = damaged(rng, body, ())
    elif draw < 0.95:
        name = rng.choice(("data.pkl", "x", "../x", name + "0"))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", rng.choice((0, 0, 0, zipfile.ZIP_DEFLATED))) as archive:
        for i, (own, content) in enumerate(members):
            if i != number or draw < 0.97:
                archive.writestr(*((name, body) if i == number else (own, content)))
    return made.getvalue()


def _word(rng: random.Random, body: bytes) -> bytes:
    """A pickle in which one word, or one small number, is another; lengths of words are right."""
    there = [word for word in WORDS if word in body]
    if there and rng.random() < 0.6:
        old, new = rng.choice(there), rng.choice(WORDS)
        for head in (b"X" + struct.pack("<I", len(old)), b"\x8c" + bytes([len(old)])):
            lead = head[:1] + (struct.pack("<I", len(new)) if head[:1] == b"X" else bytes([len(new)]))
            body = body.replace(head + old, lead + new, rng.choice((1, 1, -1)))
        return body.replace(b"\n" + old + b"\n", b"\n" + new + b"\n", 1)
    places = [i for i in range(len(body) - 1) if body[i : i + 1] == b"K"]  # numbers of one byte
    at = rng.choice(places)
    number = rng.choice((-1, 0, 1, 2, 2**16, 2**31 - 1, -(2**31)))
    return body[:at] + b"J" + struct.pack("<i", number) + body[at + 2 :]


def _pickle(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """An old file of torch with another word, or a sound one of other tensors."""
    return restated(rng, data) if rng.random() < 0.5 else _word(rng, data)


def _safetensors(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Another header of the right length, or other arrays and facts under the right digest."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if "searchdet" in header.get("__metadata__", {}) and rng.random() < 0.8:
        return _packed(rng, data)
    if rng.random() < 0.4:
        return restated(rng, data)
    if rng.random() < 0.4:
        chosen = header[rng.choice([name for name in header if name != "__metadata__"])]
        chosen["dtype"] = rng.choice(KINDS)
    else:
        header = changed(rng, header)
    text = text_of(header)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _packed(rng: random.Random, data: bytes) -> bytes:
    arrays, fields = tensors.unpack(data)
    facts: Any = dict(fields.values)
    draw = rng.random()
    if draw < 0.5 or not arrays:
        facts = changed(rng, facts)
    else:
        name = rng.choice(sorted(arrays))
        made = _array(rng, arrays.pop(name))
        if rng.random() < 0.9:
            arrays[name] = made
    if not isinstance(facts, dict):
        facts = {"facts": facts}
    return tensors.pack(arrays, _strict(facts))


def _array(rng: random.Random, array: np.ndarray) -> np.ndarray:
    """An array of another type, form, length or content."""
    draw = rng.randrange(6)
    with np.errstate(all="ignore"):
        if draw == 0:
            return array.astype(rng.choice((np.float64, np.float16, np.int64, np.uint8, np.bool_)))
    if draw == 1:
        return array.reshape(rng.choice(((-1,), (1, *array.shape), (*array.shape, 1))))
    if draw == 2:
        return array[: rng.randint(0, len(array))] if array.ndim else array
    if draw == 3:
        return np.concatenate([array] * rng.randint(2, 4)) if array.ndim else array
    flat = array.copy().reshape(-1)
    for _ in range(rng.randint(1, 3) if flat.size else 0):
        value = rng.choice((0, 1, -1, 255, 2**40, -(2**40), 2**62, np.nan, np.inf, 0.5))
        with np.errstate(all="ignore"):
            flat[rng.randrange(flat.size)] = np.asarray(value, np.float64).astype(flat.dtype)
    return flat.reshape(array.shape)


def _strict(value: Any) -> Any:
    """JSON values without those that the writer refuses."""
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    return [_strict(item) for item in value] if isinstance(value, list) else value


def _json(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Another value, in the same layout of lines where there are several objects."""
    lines = data.splitlines(keepends=True)
    if len(lines) > 1 and all(line.startswith(b"{") for line in lines):
        number = rng.randrange(len(lines))
        lines[number] = text_of(changed(rng, json.loads(lines[number]))) + b"\n"
        return b"".join(lines)
    return text_of(changed(rng, json.loads(data)), indent=rng.choice((None, 1))) + b"\n"


def _any_tiff(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return (_tiff if rng.random() < 0.5 else entries)(rng, data, others)


FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[..., bytes]], ...] = (
    (lambda data: data.startswith(MAGIC), _png),
    (lambda data: data.startswith(b"\xff\xd8"), _jpeg),
    (lambda data: data.startswith(tuple(_SIZES)), _sized),
    (lambda data: data[:4] in (b"II+\0", b"MM\0+"), entries),
    (lambda data: data[:4] in (b"II*\0", b"MM\0*"), _any_tiff),
    (lambda data: data.startswith(b"PK"), _zip),
    (lambda data: data.startswith((b"\x80\x02", b"\x80\x04")), _pickle),
    (lambda data: len(data) > 9 and data[8:9] == b"{", _safetensors),
    (lambda data: data.lstrip()[:1] in (b"{", b"["), _json),
)
"""How a format is recognised, and what is done to it."""
