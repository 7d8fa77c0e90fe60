"""Who may ask what, and what a request may hold."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import served
from asking import Asker

from searchdet.errors import UsageError
from searchdet.serve import body, protocol
from searchdet.serve.address import Address, is_loopback, listen, token_for
from searchdet.serve.app import make_app
from searchdet.serve.changes import Changes

pytestmark = pytest.mark.model
JSON = {"Content_Type": "application/json"}


@pytest.fixture(scope="module")
def world_once(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    out = tmp_path_factory.mktemp("served") / "out"
    with served.serving(served.job(template / "in" / "images", out)) as made:
        yield made.desk, made.address


@pytest.fixture
def asker(world_once: tuple[Any, Any]) -> Asker:
    _, address = world_once
    return Asker(address.port, address.token)


def an_event() -> bytes:
    return json.dumps({"event": {"kind": "add_class", "label": "page"}}).encode()


EVERY = [
    ("/", None),
    ("/assets/base.js", None),
    ("/api/state", None),
    ("/api/images", None),
    ("/api/images/0", None),
    ("/api/images/0/at?x=1&y=1", None),
    ("/api/images/0/picture", None),
    ("/api/exemplars/00000000.jpg", None),
    ("/api/review", None),
    ("/api/stream", None),
    ("/api/events", an_event()),
    ("/api/pictures", b"x"),
    ("/elsewhere", None),
]


@pytest.mark.parametrize(("path", "sent"), EVERY)
def test_nothing_answers_without_the_token(asker: Asker, path: str, sent: bytes | None) -> None:
    for token in (None, "", "another-token-of-its-length", asker.token + "x"):
        bare = Asker(asker.port, token)
        status, sentence = bare.error(path, body=sent, **JSON)
        assert status == 401
        assert "open the address that `searchdet serve` printed" in sentence


def test_the_address_becomes_a_cookie(asker: Asker) -> None:
    bare = Asker(asker.port)
    status, told, _ = bare.ask(f"/?token={asker.token}")
    assert (status, told["location"]) == (303, "/")
    cookie, *rest = [part.strip().lower() for part in told["set-cookie"].split(";")]
    assert {"httponly", "samesite=strict", "path=/"} <= set(rest)
    assert cookie.startswith(f"searchdet-{asker.port}=")
    name = told["set-cookie"].partition(";")[0]
    assert bare.ask("/api/state", Cookie=name)[0] == 200
    assert bare.ask("/api/state", Cookie=f"a=b; {name}; c")[0] == 200
    other = name.replace(str(asker.port), "1")
    assert bare.ask("/api/state", Cookie=other)[0] == 401
    assert bare.error("/?token=guessed")[0] == 401
    assert bare.error("/?token=" + "&a=b" * 40)[0] == 400


@pytest.mark.parametrize("header", ["Token", "X-Searchdet-Token", "Authorization"])
def test_programs_show_the_token_in_a_header(asker: Asker, header: str) -> None:
    word = f"Token {asker.token}" if header == "Authorization" else str(asker.token)
    bare = Asker(asker.port, headers={header: word})
    assert bare.ask("/api/state")[0] == 200
    assert Asker(asker.port, headers={header: word + "x"}).ask("/api/state")[0] == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "", "a@127.0.0.1", "[::1"]
)
def test_a_name_that_was_pointed_here_is_refused(asker: Asker, host: str) -> None:
    status, sentence = asker.error("/api/state", Host=host.format(port=asker.port))
    assert status == 403
    assert "is not called" in sentence


def test_tunnels_have_ports_of_their_own(asker: Asker) -> None:
    for host in (f"127.0.0.1:{asker.port}", "localhost:9000", "LOCALHOST", "[::1]:80"):
        assert asker.ask("/api/state", Host=host)[0] == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:{port}", "file://", ""],
)
def test_other_pages_are_refused(asker: Asker, origin: str) -> None:
    given = origin.format(port=asker.port)
    for path, sent in (("/api/state", None), ("/api/events", an_event())):
        assert asker.error(path, body=sent, Origin=given, **JSON)[0] == 403


def test_the_page_itself_may_ask(asker: Asker) -> None:
    own = f"http://127.0.0.1:{asker.port}"
    assert (
        asker.ask("/api/events", an_event(), Origin=own, Sec_Fetch_Site="same-origin", **JSON)[0] == 200
    )
    for site in ("cross-site", "same-site"):
        assert asker.error("/api/state", Sec_Fetch_Site=site)[0] == 403
        assert asker.ask("/", Sec_Fetch_Site=site)[0] in (200, 404)  # a link in a mail


@pytest.mark.parametrize(("path", "sent"), EVERY)
def test_every_answer_has_the_same_headers(asker: Asker, path: str, sent: bytes | None) -> None:
    if path == "/api/stream":
        return
    for one in (asker, Asker(asker.port)):
        _, told, _ = one.ask(path, sent, **JSON)
        policy = told["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert told["x-content-type-options"] == "nosniff"
        assert told["referrer-policy"] == "no-referrer"
        assert told["cache-control"] == "no-store"
        assert told["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in told
        assert "server" not in told


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_refused(asker: Asker, method: str) -> None:
    assert asker.error("/api/state", method=method)[0] == 405


def test_an_address_takes_its_own_method(asker: Asker) -> None:
    assert asker.error("/api/state", body=b"{}", **JSON)[0] == 405
    assert asker.error("/api/events")[0] == 405


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../../../etc/passwd",
        "/assets/%2e%2e%2f%2e%2e%2fapi.py",
        "/assets/..%2f..%2fpyproject.toml",
        "/assets/%2e%2e",
        "/assets/base.js%00",
        "/assets/base.js/",
        "/assets//etc/passwd",
        "/assets/serve.html",
        "/assets/__init__.py",
        "/assets/",
        "/api/images/-1",
        "/api/images/1.0",
        "/api/images/%C2%B2",
        "/api/images/٣".encode().decode("latin-1"),
        "/api/images/0%00",
        "/api/images/../state",
        "/api/images/0/../../state",
        "/api/images/a.png",
        "/api/images/" + "9" * 5000,
        "/api/images/3",
        "/api/images/999999999/picture",
        "/api/exemplars/..%2f..%2fa.jpg",
        "/api/exemplars/00000000.png",
        "/api/state/",
        "//api/state",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_paths_lead_to_numbers_and_fixed_names_alone(asker: Asker, path: str) -> None:
    sent = "".join(c if " " < c < "\x7f" else f"%{ord(c):02x}" for c in path)
    assert asker.error(sent)[0] == 404


@pytest.mark.parametrize(
    "query",
    ["x=1", "x=1&y=", "x=nan&y=1", "x=inf&y=1", "x=a&y=1", "x=1&y=" + "1" * 50, "x=1e999&y=0"],
)
def test_queries_are_numbers(asker: Asker, query: str) -> None:
    assert asker.error(f"/api/images/0/at?{query}")[0] == 400


@pytest.mark.parametrize(
    "path",
    [
        "/api/images?since=-1",
        "/api/images?since=1e3",
        "/api/review?count=x",
        "/api/images?since=" + "9" * 99,
    ],
)
def test_counts_are_whole_numbers(asker: Asker, path: str) -> None:
    assert asker.error(path)[0] == 400


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"event": 1}',
        b'{"event": {"kind": "judge"}}',
        b'{"event": {"kind": "nothing"}}',
        b'{"event": {"kind": "pick", "image": "a.png", "row": 1e9}}',
        b'{"event": {"kind": "pick", "image": "a.png", "row": 999999, "label": "x"}}',
        b'{"event": {"kind": "pick", "image": "../../etc/passwd", "row": 0, "label": "x"}}',
        b'{"event": {"kind": "draw", "image": "a.png", "box": [NaN, 0, 1, 1], "label": "x"}}',
        b'{"event": {"kind": "draw", "image": "a.png", "box": [1e400, 0, 1, 1], "label": "x"}}',
        b'{"event": {"kind": "pick", "image": "\\ud800", "row": 0, "label": "x"}}',
        b'{"event": {"kind": "undo"}',
        b'{"event": ' + b"[" * 400_000,
        b"[" * 40 + b"]" * 40,
        b'{"event": {"a": ' + b'{"a": ' * 20 + b"1" + b"}" * 22,
        b"\xff\xfe{}",
        b'{"row": ' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_no_event_is_one_sentence(
    asker: Asker, world_once: tuple[Any, Any], sent: bytes
) -> None:
    version = world_once[0].session.version
    status, sentence = asker.error("/api/events", body=sent, **JSON)
    assert status == 400
    assert "Traceback" not in sentence
    assert world_once[0].session.version == version


def test_events_come_as_json_alone(asker: Asker) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert asker.error("/api/events", body=an_event(), Content_Type=kind)[0] == 415


def test_large_bodies_are_refused_before_and_while_they_are_read(asker: Asker) -> None:
    large = b" " * (body.JSON_BYTES + 1)
    assert asker.error("/api/events", body=large, **JSON)[0] == 413
    for told in ("99999999999999999", "-1", "1_0", "x"):
        sent = f"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Searchdet-Token: {asker.token}\r\n"
        sent += f"Content-Type: application/json\r\nContent-Length: {told}\r\n\r\n"
        assert answered(asker.port, sent.encode()) in (400, 413)
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    sent = (
        f"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Searchdet-Token: {asker.token}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert answered(asker.port, sent.encode() + 17 * chunk + b"0\r\n\r\n") == 413
    assert answered(asker.port, sent.encode() + 65 * chunk) == 413


def test_slow_bodies_are_not_waited_for(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SECONDS", 0.2)
    sent = (
        f"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Searchdet-Token: {asker.token}\r\n"
        'Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"event"'
    )
    assert answered(asker.port, sent.encode()) == 408
    assert asker.ask("/api/state")[0] == 200


def test_who_hangs_up_is_no_bug(world_once: tuple[Any, Any]) -> None:
    at = Address("127.0.0.1", 8117, "a-token-for-the-tests")
    app = make_app(world_once[0], Changes(world_once[0], None), at)
    heads = [
        (b"host", b"127.0.0.1"),
        (b"x-searchdet-token", at.token.encode()),
        (b"content-type", b"application/json"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/api/events", "headers": heads}
    told = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    asyncio.run(app({**scope, "query_string": b""}, receive, send))  # raised, it would stand in the log
    assert told[0]["status"] == 400


def test_headers_are_not_endless(asker: Asker) -> None:
    sent = b"GET /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: " + b"a" * 70_000
    assert answered(asker.port, sent) == 400


def test_slow_headers_are_not_waited_for(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", asker.port), timeout=30) as connection:
        connection.sendall(b"GET /api/state HTTP/1.1\r\nHost: 127")
        assert connection.recv(100) == b""
    with socket.create_connection(("127.0.0.1", asker.port), timeout=30) as connection:
        sent = f"GET /assets/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Searchdet-Token: {asker.token}\r\n\r\n"
        connection.sendall(sent.encode())
        assert connection.recv(12) == b"HTTP/1.1 404"
        connection.sendall(b"GET /api/state HTTP/1.1\r\nHost: 127")
        while connection.recv(4096):
            pass


def answered(port: int, sent: bytes) -> int:
    """Status of the answer to bytes that may be no request."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status


def test_a_bug_is_one_sentence_and_stands_in_the_log(
    asker: Asker,
    world_once: tuple[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> None:
        raise RuntimeError("the secret inner state")

    monkeypatch.setattr(logging.getLogger("searchdet"), "propagate", True)
    monkeypatch.setattr(world_once[0].session, "state", broken)
    status, sentence = asker.error("/api/state")
    assert status == 500
    assert "secret" not in sentence
    assert sentence.startswith("internal error")
    assert "the secret inner state" in caplog.text


def test_the_log_of_requests_does_not_hold_the_token(
    asker: Asker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("searchdet"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "searchdet")
    Asker(asker.port).ask(f"/?token={asker.token}")
    asker.ask(f"/api/state?token={asker.token}")
    asker.ask("/api/images/%0d%0aX")
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("GET /api/state 200 ") for line in lines)
    assert any(line.startswith("GET / 303 ") for line in lines)
    assert not any(asker.token in line or "\n" in line for line in lines)


def test_only_files_of_the_list_are_read(
    asker: Asker, world_once: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, _ = world_once
    read: set[Path] = set()
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.add(path) or real(path))
    for i in range(5):
        for side in (256, 1024, 0):
            asker.ask(f"/api/images/{i}/picture?side={side}")
    assert {path.name for path in read} <= {"a.png", "none.png"}
    assert desk.number("/etc/passwd") is None


def test_others_reach_it_only_with_a_token_of_ones_own() -> None:
    assert len(token_for("127.0.0.1", None)) > 40
    assert token_for("127.0.0.1", None) != token_for("127.0.0.1", None)
    for host in ("0.0.0.0", "192.168.0.7", "::", "example.org"):
        assert not is_loopback(host)
        with pytest.raises(UsageError, match="needs a token of your own"):
            token_for(host, None)
        assert token_for(host, "sixteen-letters-0") == "sixteen-letters-0"
    for token in ("short", "", "with spaces in it, long", "ümläute-in-the-token"):
        with pytest.raises(UsageError, match="must be 16 to 200"):
            token_for("127.0.0.1", token)
    for host in ("127.0.0.1", "localhost", "::1", "127.3.2.1"):
        assert is_loopback(host)


def test_names_of_a_server_that_others_reach() -> None:
    named = Address("example.org", 80, "")
    assert named.answers_to("EXAMPLE.org:8080")
    assert not named.answers_to("127.0.0.1")
    every = Address("0.0.0.0", 80, "")
    assert every.answers_to("192.168.0.7:80")
    assert every.answers_to("localhost")
    assert not every.answers_to("evil.example")
    assert Address("::1", 80, "t" * 16).url == "http://[::1]:80/?token=" + "t" * 16


def test_a_taken_port_is_an_error_with_the_next_step() -> None:
    first, address = listen("127.0.0.1", 0, "t" * 16)
    with first:
        assert address.port > 0
        with pytest.raises(UsageError, match="cannot listen there") as caught:
            listen("127.0.0.1", address.port, "t" * 16)
        assert "--port 0" in caught.value.hint
    with pytest.raises(UsageError, match="cannot listen there"):
        listen("no.such.host.invalid", 0, "t" * 16)
