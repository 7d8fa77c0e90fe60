"""Objects in stores: addresses, bodies that are short, and writers that come in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from searchdet.config.address import Remote, place_of
from searchdet.errors import OutputError, RemoteError, UsageError
from searchdet.storage import places, remote
from searchdet.storage.fetched import fetch, origin_of

AT = Remote("memory://bucket")


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield
    store.store.clear()


def test_addresses_are_told_from_paths() -> None:
    assert place_of("a/b.jpg") == Path("a/b.jpg")
    assert place_of("C:/a.jpg") == Path("C:/a.jpg")
    assert place_of("file:///a.jpg") == Path("file:///a.jpg")
    assert place_of("S3://bucket/a b/c.jpg/") == Remote("s3://bucket/a b/c.jpg")
    assert place_of("s3://bucket/what?.jpg") == Remote("s3://bucket/what?.jpg")
    web = place_of("https://host:8080/a.jpg?X-Signature=abc")
    assert web == Remote("https://host:8080/a.jpg", "?X-Signature=abc")
    assert "abc" not in f"{web} {web!r}"


@pytest.mark.parametrize(
    "text",
    ["ftp://host/a", "s3://", "s3://b//a", "s3://b/../a", "s3://b/./a", "s3:///a"],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        place_of(text)


@pytest.mark.parametrize("text", ["s3://me:word@b/a", "https://me:word@host/a", "s3://me:word/a"])
def test_a_password_is_refused_and_not_said(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        place_of(text)
    assert "word@" not in caught.value.one_line()
    assert "me:" not in caught.value.one_line()


def test_neighbours_and_names() -> None:
    at = Remote("s3://b/x/y.tar.gz")
    assert (at.name, at.suffix, at.parent) == ("y.tar.gz", ".gz", Remote("s3://b/x"))
    assert at.with_name("z") == Remote("s3://b/x/z")
    assert at.relative_to(Remote("s3://b")) == "x/y.tar.gz"
    assert not at.is_relative_to(Remote("s3://b/x/y"))
    with pytest.raises(ValueError, match="does not lie"):
        at.relative_to(Remote("s3://other"))


def test_objects_are_written_read_listed_and_removed() -> None:
    data = bytes(range(256)) * 40
    for name in ("a/1", "a/2", "ab/3"):
        remote.write(AT / name, data)
    assert [item.at.url for item in remote.find(AT / "a")] == [f"{AT}/a/1", f"{AT}/a/2"]
    assert remote.find(AT / "none") == []
    assert remote.read(AT / "a/1") == data
    assert remote.ranges([(AT / "a/1", 3, 9), (AT / "a/2", 0, 0)]) == [data[3:9], b""]
    assert list(remote.read_many(remote.find(AT / "a"))) == [data, data]
    remote.remove(AT / "a/1")
    remote.remove(AT / "a/1")
    assert not remote.is_file(AT / "a/1")
    with pytest.raises(FileNotFoundError):
        remote.read(AT / "a/1")
    with pytest.raises(IsADirectoryError):
        remote.read(AT / "a")
    with pytest.raises(OSError, match="more than 10"):
        remote.read(AT / "a/2", 10)


def test_large_objects_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PART", 1000)
    data = bytes(range(256)) * 10
    remote.write(AT / "a", data)
    assert remote.read(AT / "a") == data
    assert list(remote.read_many(remote.find(AT))) == [data]


def test_a_body_that_is_short_is_no_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """fsspec's own reader of large objects would fill the rest with zeros."""
    remote.write(AT / "a", b"0123456789")
    real = MemoryFileSystem.cat_ranges

    def short(self: Any, *args: Any, **more: Any) -> list[bytes]:
        return [data[:-1] for data in real(self, *args, **more)]

    monkeypatch.setattr(MemoryFileSystem, "cat_ranges", short)
    with pytest.raises(remote.Unreachable, match="only 9 of 10 bytes"):
        remote.read(AT / "a")
    (found,) = remote.read_many(remote.find(AT))
    assert isinstance(found, remote.Unreachable)


def test_a_name_that_no_file_can_have_is_refused() -> None:
    fsspec.filesystem("memory").store["/bucket/a//b.jpg"] = None
    with pytest.raises((UsageError, OSError)):
        remote.find(AT)


def test_nobody_comes_between_two_writers() -> None:
    remote.write_over(AT / "i", b"1", None)
    with pytest.raises(remote.Changed):
        remote.write_over(AT / "i", b"2", None)
    remote.write_over(AT / "i", b"2", b"1")
    with pytest.raises(remote.Changed):
        remote.write_over(AT / "i", b"3", b"1")
    assert remote.read(AT / "i") == b"2"


def test_what_is_fetched_keeps_its_name_and_knows_where_it_is_from(tmp_path: Path) -> None:
    remote.write(AT / "pos/red/1.png", b"1")
    remote.write(AT / "pos/blue/2.png", b"")
    made = fetch(AT / "pos", tmp_path)
    assert made == tmp_path / "pos"
    assert (made / "red/1.png").read_bytes() == b"1"
    assert (made / "blue/2.png").read_bytes() == b""
    assert origin_of(made) == AT / "pos"
    assert origin_of(tmp_path) == tmp_path
    with pytest.raises(RemoteError):
        fetch(AT / "neg", tmp_path)


def test_a_folder_that_is_staged_goes_there_whole_or_not_at_all() -> None:
    with places.staged(AT / "out") as made:
        (made / "deep").mkdir()
        (made / "deep/a").write_bytes(b"a")
    assert [item.at.url for item in remote.find(AT)] == [f"{AT}/out/deep/a"]
    broken = places.staged(AT / "no")
    (broken.__enter__() / "a").write_bytes(b"a")
    assert not broken.__exit__(RuntimeError, RuntimeError(), None)
    assert remote.find(AT / "no") == []


def test_a_web_server_is_read_from_only() -> None:
    web = place_of("http://127.0.0.1:1/a")
    assert isinstance(web, Remote)
    with pytest.raises(OutputError, match="takes no files"):
        remote.write(web, b"")
    with pytest.raises(OSError, match="no listing"):
        remote.find(web)
    with pytest.raises(remote.Unreachable):
        remote.read(web)


def test_a_store_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise ImportError("no", name="gcsfs")

    monkeypatch.setattr(fsspec, "filesystem", absent)
    with pytest.raises(UsageError) as caught:
        remote.read(Remote("gs://b/a"))
    assert 'pip install "searchdet[cloud]"' in caught.value.hint
