from __future__ import annotations

import io
import json
from email.message import Message
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import pytest
from bridged import png, uri

from searchdet.errors import ImageError, UsageError
from searchdet.integrations import sources
from searchdet.integrations.sources import Sources

STUDIO = "http://studio.local:8080"


class Server:
    """Takes the place of the network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: bytes) -> None:
        self.asked: list[Request] = []
        self.answers = list(answers)
        monkeypatch.setattr(sources, "build_opener", lambda *_: self)

    def open(self, request: Request, timeout: float) -> io.BytesIO:
        self.asked.append(request)
        return io.BytesIO(self.answers.pop(0))


def refused(at: Sources, address: str, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        at.fetch(address)


def test_a_picture_within_the_task() -> None:
    assert Sources().fetch(uri()) == png()
    assert Sources().fetch(uri().replace("data:", "DATA:")) == png()


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://studio.local:8081/a.png",
        "https://studio.local:8080/a.png",
        "http://studio.local:8080@evil.example/a.png",
        "http://studio.local.evil.example:8080/a.png",
        "http://studio.local:8o80/a.png",
        "//evil.example/a.png",
        "file:///etc/passwd",
        "ftp://studio.local:8080/a.png",
        "s3://bucket/a.png",
        "a.png",
        "../a.png",
        "",
        "http://[1/a.png",
    ],
)
def test_no_other_address_is_fetched(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, b"secret")
    refused(Sources(STUDIO, "key"), address, "is not fetched")
    assert server.asked == []


def test_without_an_address_of_label_studio_nothing_is_asked() -> None:
    refused(Sources(), f"{STUDIO}/a.png", "LABEL_STUDIO_URL")
    refused(Sources(), "/data/upload/1/a.png", "LABEL_STUDIO_URL")
    for strange in ("studio.local", "file:///tmp", "http://"):
        with pytest.raises(UsageError, match="no address of a Label Studio"):
            Sources(strange)


def test_pictures_of_label_studio_are_fetched_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, b"one", b"two", b"three")
    at = Sources(STUDIO, "key")
    assert at.fetch("/data/upload/1/a%20b.png") == b"one"
    assert at.fetch("http://STUDIO.local:8080/c.png?x=1") == b"two"
    assert Sources(STUDIO).fetch("/data/upload/1/d.png") == b"three"
    assert [request.full_url for request in server.asked] == [
        f"{STUDIO}/data/upload/1/a%20b.png",
        "http://STUDIO.local:8080/c.png?x=1",
        f"{STUDIO}/data/upload/1/d.png",
    ]
    keys = [request.get_header("Authorization") for request in server.asked]
    assert keys == ["Token key", "Token key", None]


def test_a_personal_token_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, json.dumps({"access": "now"}).encode(), b"one")
    assert Sources(STUDIO, "a.b.c").fetch("/data/upload/1/a.png") == b"one"
    first, second = server.asked
    assert (first.full_url, first.data) == (f"{STUDIO}/api/token/refresh", b'{"refresh": "a.b.c"}')
    assert second.get_header("Authorization") == "Bearer now"
    Server(monkeypatch, b"{}")
    refused(Sources(STUDIO, "a.b.c"), "/data/upload/1/a.png", "gave no access token")


@pytest.mark.parametrize("url", [f"{STUDIO}/ls/", f"{STUDIO}/ls"])
def test_a_label_studio_below_a_path_is_asked_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    server = Server(monkeypatch, *[b"x"] * 4, json.dumps({"access": "now"}).encode(), b"x")
    at = Sources(url, "key")
    for address in ("/data/upload/1/a.png", "/ls/data/upload/1/a.png", "/lsx/a.png?d=1"):
        at.fetch(address)
    at.fetch(f"{STUDIO}/ls/data/upload/1/a.png")
    Sources(url, "a.b.c").fetch("/data/upload/1/a.png")
    assert [request.full_url.removeprefix(STUDIO) for request in server.asked] == [
        "/ls/data/upload/1/a.png",
        "/ls/data/upload/1/a.png",
        "/ls/lsx/a.png?d=1",
        "/ls/data/upload/1/a.png",
        "/ls/api/token/refresh",
        "/ls/data/upload/1/a.png",
    ]
    (tmp_path / "a.png").write_bytes(b"here")
    for folder in ("", "/ls"):
        local = Sources(url, "key", (tmp_path,))
        assert local.fetch(f"{folder}/data/local-files/?d=a.png") == b"here"


def test_files_below_the_folders_and_none_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two / "deep"):
        folder.mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (two / "deep" / "a b.png").write_bytes(b"here")
    (one / "link.png").symlink_to(tmp_path / "secret.png")
    at = Sources(folders=(one, two))
    assert at.fetch("/data/local-files/?d=deep/a%20b.png") == b"here"
    assert at.fetch("/data/local-files/?d=/deep/a%20b.png") == b"here"
    for outside in ("../secret.png", "link.png", "deep/../../secret.png", "%2e%2e/secret.png"):
        refused(at, f"/data/local-files/?d={outside}", "lies outside")
    refused(at, "/data/local-files/?d=b.png", "none of the folders")
    refused(at, "/data/local-files/", "none of the folders")
    # what the folders do not have, Label Studio may
    server = Server(monkeypatch, b"there")
    assert Sources(STUDIO, "", (one,)).fetch("/data/local-files/?d=b.png") == b"there"
    assert server.asked[0].full_url == f"{STUDIO}/data/local-files/?d=b.png"


def test_names_with_other_letters_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, b"one", b"two", b"three")
    at = Sources(STUDIO)
    assert at.fetch("/data/upload/1/b\u00f6lt one.png") == b"one"
    assert at.fetch(f"{STUDIO}/data/upload/b\u00f6lt.png?v=\u00fc") == b"two"
    assert at.fetch("/data/upload/b%C3%B6lt%20one.png") == b"three"
    assert [item.full_url for item in server.asked] == [
        f"{STUDIO}/data/upload/1/b%C3%B6lt%20one.png",
        f"{STUDIO}/data/upload/b%C3%B6lt.png?v=%C3%BC",
        f"{STUDIO}/data/upload/b%C3%B6lt%20one.png",
    ]


def test_what_no_address_can_be_is_an_error_of_the_picture(tmp_path: Path) -> None:
    refused(Sources(folders=(tmp_path,)), "/data/local-files/?d=a.png%00", "no file is called")
    refused(Sources(STUDIO), f"http://{'a' * 80}@studio.local:8080/a.png", "idna")


def test_a_redirect_stays_with_the_server() -> None:
    staying = sources._Staying(Sources(STUDIO, "key"))
    request = Request(f"{STUDIO}/a.png", headers={"Authorization": "Token key"})

    def led(to: str) -> Request | None:
        return staying.redirect_request(request, io.BytesIO(), 302, "Found", Message(), to)

    there = led(f"{STUDIO}/b.png")
    assert there is not None
    assert there.full_url == f"{STUDIO}/b.png"
    with pytest.raises(URLError, match="leads elsewhere"):
        led("http://169.254.169.254/latest")


def test_what_is_too_large_or_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    Server(monkeypatch, b"12345")
    monkeypatch.setattr(sources, "MOST_BYTES", 4)
    refused(Sources(STUDIO), "/data/a.png", "more than 4 bytes")
    server = Server(monkeypatch)
    monkeypatch.setattr(server, "open", lambda *_, **__: (_ for _ in ()).throw(URLError("no route")))
    refused(Sources(STUDIO), "/data/a.png", "no route")
