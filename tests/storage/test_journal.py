"""A journal holds whole lines, each on disk; a lock is held once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from searchdet.errors import OutputError, UsageError
from searchdet.storage.journal import Journal, Lock, cut


def test_lines_are_appended_and_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), real(file)))
    path = tmp_path / "deep" / "log"
    for line in (b"one\n", b"two\n"):
        journal = Journal(path)
        journal.append(line)
        journal.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert len(synced) == 2 * (1 + (os.name != "nt")), "each line, and the names in the folder"
    for bad in (b"one", b"one\ntwo\n", b""):
        journal = Journal(path)
        with pytest.raises(ValueError, match="not one line"):
            journal.append(bad)
        journal.close()
    cut(path, 4)
    assert path.read_bytes() == b"one\n"


def test_a_line_that_is_not_on_disk_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    journal = Journal(path)
    journal.append(b"one\n")
    real, failing = os.fsync, [True]

    def once(file: int) -> None:
        if failing.pop() if failing else False:
            raise OSError(28, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fsync", once)
    with pytest.raises(OutputError, match=r"log: cannot be written \(No space"):
        journal.append(b"two\n")
    assert path.read_bytes() == b"one\n"
    journal.append(b"three\n")
    journal.close()
    assert path.read_bytes() == b"one\nthree\n"


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="a folder is needed"):
        Journal(tmp_path / "file" / "log")
    with pytest.raises(OutputError, match="a folder is needed"):
        Lock(tmp_path / "file" / "lock", "held", "")


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock", "it is held.", "Wait.")
    with pytest.raises(UsageError, match="it is held") as caught:
        Lock(tmp_path / "lock", "it is held.", "Wait.")
    assert caught.value.hint == "Wait."
    lock.release()
    Lock(tmp_path / "lock", "it is held.", "Wait.").release()
