"""Requests to the server, sound ones and what chance makes of them."""

from __future__ import annotations

import json
import random
import socket
from typing import Any

SOUND = [
    ("GET", "/", ""),
    ("GET", "/assets/base.js", ""),
    ("GET", "/api/state", ""),
    ("GET", "/api/images?since=3", ""),
    ("GET", "/api/images/0", ""),
    ("GET", "/api/images/0/at?x=40&y=60", ""),
    ("GET", "/api/images/1/picture?side=256", ""),
    ("GET", "/api/exemplars/0123abcd.jpg", ""),
    ("GET", "/api/review?label=red&count=5", ""),
    ("POST", "/api/pictures?label=red&name=x.png", "picture"),
    *(
        ("POST", "/api/events", json.dumps({"event": event}))
        for event in (
            {"kind": "pick", "image": "a.png", "row": 3, "label": "red"},
            {"kind": "pick", "image": "a.png", "row": 5, "label": None},
            {"kind": "judge", "image": "a.png", "row": 3, "verdict": "wrong", "label": None},
            {"kind": "judge", "image": "none.png", "row": 1, "verdict": "right", "label": "red"},
            {"kind": "draw", "image": "a.png", "box": [10, 10, 70, 90], "label": "red"},
            {"kind": "remove", "exemplar": "a.png#3"},
            {"kind": "add_class", "label": "blue"},
            {"kind": "rename_class", "label": "red", "to": "crimson"},
            {"kind": "second_pass", "on": True},
            {"kind": "undo"},
            {"kind": "redo"},
        )
    ),
]
_WORDS = (
    "../", "%2e%2e%2f", "%00", "\\", "/etc/passwd", "a.png", "-1", "0", "99999999999999999999", "1e400",
    "NaN", "null", "[]", "{}", '"', "'", "<script>", "%", "%zz", "?", "&", "#", ";", " ", "\t", "\r\n",
    "\x00", "\x7f", "ü", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "kind", "row",
)  # fmt: skip


def mutated(rng: random.Random, port: int, token: str) -> bytes:
    """One request, with between none and four changes by chance."""
    method, path, body = rng.choice(SOUND)
    kind = "image/png" if body == "picture" else "application/json"
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"X-Searchdet-Token: {token}",
        *([f"Content-Type: {kind}", f"Content-Length: {len(body)}"] if body else []),
        "Connection: close",
    ]
    for _ in range(rng.randrange(5)):
        change = rng.randrange(6)
        if change == 0:
            lines[0] = _changed(rng, lines[0])
        elif change == 1:
            body = _changed(rng, body)
        elif change == 2:
            at = rng.randrange(1, len(lines))
            lines[at] = _changed(rng, lines[at])
        elif change == 3:
            lines.insert(rng.randrange(1, len(lines)), rng.choice(_HEADERS))
        elif change == 4:
            lines[0] = lines[0].replace(method, rng.choice(("PUT", "HEAD", "POST", "GET", "X" * 99)), 1)
        else:
            path = "/".join(_changed(rng, part) for part in path.split("/"))
            lines[0] = f"{method} {path} HTTP/1.1"
    if rng.random() < 0.7:  # so that most bodies come whole
        size = f"Content-Length: {len(body.encode('latin-1', 'replace'))}"
        lines = [size if line.startswith("Content-Length") else line for line in lines]
    text = "\r\n".join(lines) + "\r\n\r\n" + body
    return text.encode("latin-1", "replace")


_HEADERS = (
    "Content-Length: 5", "Transfer-Encoding: chunked", "Expect: 100-continue", "Upgrade: websocket",
    "Connection: Upgrade", "Cookie: searchdet=;;;=,\x01", "Range: bytes=0-99999999999", "Host: evil",
    "Origin: http://evil.example", "Authorization: Basic !!!", "Token: \xff\xfe", "Accept: */*" * 99,
    "Content-Type: multipart/form-data; boundary=", "Sec-Fetch-Site: cross-site", " folded",
    "If-None-Match: *", "Content-Encoding: gzip", "X-HTTP-Method-Override: DELETE",
)  # fmt: skip


def _changed(rng: random.Random, text: str) -> str:
    at, word = rng.randrange(len(text) + 1), rng.choice(_WORDS)
    return rng.choice(
        (
            lambda: text[:at] + word + text[at:],
            lambda: text[:at],
            lambda: text[:at] + text[at + rng.randrange(1, 9) :],
            lambda: text[:at] + chr(rng.randrange(256)) + text[at + 1 :],
            lambda: text + text[at:] * rng.randrange(20),
        )
    )()


def status_of(port: int, sent: bytes) -> int | None:
    """Status of the answer, after those that only say to go on; None where the server only closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(sent)
            answer = b""
            while len(answer) < 16 and (part := connection.recv(4096)):
                answer += part
                if answer.startswith(b"HTTP/1.1 100") and b"\r\n\r\n" in answer:
                    answer = answer.partition(b"\r\n\r\n")[2]
        except ConnectionError:
            return None
    word = answer[9:12]
    return int(word) if answer.startswith(b"HTTP/1.") and word.isdigit() else None


def fuzzed(port: int, token: str, count: int, seed: int) -> dict[Any, int]:
    """How often each status came. Raises AssertionError for another one than 2xx, 3xx and 4xx."""
    rng, found = random.Random(seed), dict[Any, int]()
    for _ in range(count):
        sent = mutated(rng, port, token)
        status = status_of(port, sent)
        found[status] = found.get(status, 0) + 1
        if status is not None and not 200 <= status < 500:
            raise AssertionError(f"{status} to {sent!r}")
    return found
