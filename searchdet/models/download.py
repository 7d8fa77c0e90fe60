"""Weight files from the Hugging Face Hub: asked for by name, continued, verified, then put in place.

The transfer is ``huggingface_hub``'s, with its token, proxies and mirrors. The partial file is ours:
since 2.x the hub's own download starts from nothing after an interruption.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ..errors import CheckpointError, OutputError, SearchdetError, UsageError
from ..storage import files
from ..storage.hashes import fresh_sha256
from ..weights import Published, hub
from .catalogue import Entry, entries, published

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Offer:
    """A file of the hub and where it would lie."""

    entry: Entry
    known: Published
    file: hub.HubFile
    target: Path

    @property
    def partial(self) -> Path:
        """What is here of it; named by content, so that another version never continues it."""
        stem = f"{self.known.sha256}{self.known.prefix}"[:12]
        return self.target.with_name(f".{self.target.name}.{stem}.part")

    def lines(self) -> list[str]:
        """What is agreed to before anything is downloaded."""
        licence = self.entry.licence
        access = " (gated: your account needs access)" if self.file.gated else ""
        return [
            f"model     {self.entry.name}: {self.target.name}, {megabytes(self.file.size)}",
            f"source    {self.file.page}{access}, {self.file.path} at {self.file.revision[:12]}",
            f"licence   {licence}, {hub.LICENCES[licence]}",
            f"content   SHA-256 {self.known.sha256}",
            f"to        {self.target}",
        ]


def megabytes(size: int) -> str:
    """A size as a person reads it."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def find(name: str, folder: Path) -> Offer:
    """The file of a model, or of (the beginning of) a file name.

    Raises UsageError for a name that is not known or needs no file, CheckpointError with the way by
    hand for a file that is on no public repository.
    """
    rows = entries(folder)
    chosen = [row for row in rows if name in (row.name, row.file)]
    if name and not chosen:
        begun = [row for row in rows if row.file.startswith(name)]
        chosen = begun if len(begun) == 1 else []
    if not name or not chosen:
        names = ", ".join(dict.fromkeys(row.name for row in rows if row.file))
        raise UsageError(f"no model and no file is called {name!r}; choose {names}.")
    row = next((row for row in chosen if row.hub), chosen[0])
    if not row.file:
        raise UsageError(f"{row.name} is built in and needs no weights.")
    target = folder / row.file
    if not row.hub:
        raise CheckpointError(
            f"{row.file}: is on no public repository that could be confirmed.",
            f"{hub.by_hand(row.file)} Its licence: {row.licence}, {hub.LICENCES[row.licence]}. "
            f"Put it at {target}, then run `searchdet models verify`.",
        )
    return Offer(row, published()[row.file][1], hub.FILES[row.file], target)


def is_here(offer: Offer) -> bool:
    """Whether the file is in its place. Raises CheckpointError where something else is."""
    if not offer.target.exists():
        return False
    if offer.target.is_file() and offer.known.agrees(fresh_sha256(offer.target)) is not False:
        return True
    raise CheckpointError(
        f"{offer.target}: is here with another content.", "Move it away and run this again."
    )


def fetch(offer: Offer) -> None:
    """Download, verify, put in place. What an interruption leaves is continued next time.

    Raises CheckpointError for what the hub or the network refuses and for a wrong hash, OutputError
    where the folder cannot be written or the disk is full.
    """
    from huggingface_hub.errors import HfHubHTTPError

    http_error = cast("type[Exception]", HfHubHTTPError.__bases__[0])  # httpx's root is no OSError
    _require_folder(offer.target.parent)
    with _partial(offer) as stream:
        have = stream.seek(0, os.SEEK_END)
        if have > offer.file.size:
            have = stream.seek(0)
            stream.truncate()
        _require_space(offer, offer.file.size - have)
        try:
            _transfer(offer, stream, have)
        except (OSError, http_error) as error:
            raise _explain(error, offer) from error
    digest = fresh_sha256(offer.partial)
    if offer.known.agrees(digest) is False:
        files.remove(offer.partial)
        raise CheckpointError(
            f"{offer.target.name}: what came from {offer.file.repo} is not the published file (SHA-256 "
            f"{digest[:16]}..., wanted {offer.known.sha256[:16]}...); it was removed.",
            f"Run this again; if it stays so: {hub.by_hand(offer.target.name)}",
        )
    files.put_in_place(offer.partial, offer.target)


def _require_folder(folder: Path) -> None:
    try:
        files.probe_folder(folder)
    except OutputError as error:
        raise OutputError(error.message, "Choose another folder with --dir.") from error


@contextlib.contextmanager
def _partial(offer: Offer) -> Iterator[BinaryIO]:
    """The partial file, made if need be, for this process alone."""
    try:
        handle = os.open(offer.partial, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(f"{offer.partial}: cannot be written ({error.strerror}).") from error
    with os.fdopen(handle, "r+b") as stream:
        _lock(stream, offer)
        try:
            yield stream
        except SearchdetError:
            if not stream.seek(0, os.SEEK_END):
                offer.partial.unlink(missing_ok=True)  # nothing of it came
            raise


def _lock(stream: BinaryIO, offer: Offer) -> None:
    """Only saves bandwidth: where there are no locks, two at once end in a wrong hash."""
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"{offer.target.name}: another process is downloading it.", "Wait for that one."
        ) from error
    except (ImportError, OSError):
        return
    if not offer.partial.exists():  # the other one has just finished
        raise UsageError(f"{offer.target.name}: another process has downloaded it.")


def _require_space(offer: Offer, needed: int) -> None:
    free = shutil.disk_usage(offer.target.parent).free
    if free < needed:
        raise OutputError(
            f"{offer.target}: {megabytes(needed)} are needed, {megabytes(free)} are free.",
            "Make room or choose another folder with --dir.",
        )


def _transfer(offer: Offer, stream: BinaryIO, have: int) -> None:
    """The bytes from ``have`` on: out of the hub's own cache where they are there, else by HTTP."""
    from huggingface_hub import file_download, try_to_load_from_cache
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    file = offer.file
    cached = try_to_load_from_cache(file.repo, file.path, revision=file.revision)
    if isinstance(cached, str):
        stream.seek(0)
        stream.truncate()
        with Path(cached).open("rb") as source:
            shutil.copyfileobj(source, stream, 1 << 20)
    else:
        file_download.http_get(
            file_download.hf_hub_url(file.repo, file.path, revision=file.revision),
            stream,
            resume_size=have,
            headers=build_hf_headers(library_name="searchdet"),
            expected_size=file.size,
            displayed_filename=offer.target.name,
        )
    stream.flush()


def _explain(error: Exception, offer: Offer) -> SearchdetError:
    """What a failed transfer means to the user."""
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    name = offer.target.name
    if isinstance(error, OfflineModeIsEnabled):
        by_hand = f"{hub.by_hand(name)} Put it at {offer.target}."
        return CheckpointError(f"{name}: HF_HUB_OFFLINE is set.", f"Unset it, or by hand: {by_hand}")
    if isinstance(error, HfHubHTTPError):
        return _answered(getattr(error.response, "status_code", 0), offer)  # None in 0.30
    if isinstance(error, OSError) and error.errno in FULL:
        with contextlib.suppress(OutputError):
            files.remove(offer.partial)  # it takes the room that others need
        return OutputError(
            f"{offer.target}: the disk is full.", "Make room or choose another folder with --dir."
        )
    if type(error) is OSError and error.errno is None:  # the hub's own check of the size
        return CheckpointError(
            f"{name}: came incomplete.", "Run this again; what is here is continued."
        )
    if type(error) in (OSError, PermissionError):
        return OutputError(f"{offer.target}: cannot be written ({error}).")
    return CheckpointError(
        f"{name}: {ENDPOINT} cannot be reached ({type(error).__name__}).",
        "Run this again when it can, it continues.",
    )


def _answered(status: int, offer: Offer) -> CheckpointError:
    """What an HTTP status means to the user."""
    name, file = offer.target.name, offer.file
    by_hand = f"{hub.by_hand(name)} Put it at {offer.target}."
    if status in (401, 403) and file.gated:
        return CheckpointError(
            f"{name}: {file.repo} is gated and refused access ({status}).",
            f"Accept the licence at {file.page}, wait until access is granted, log in with "
            "`hf auth login` or set HF_TOKEN, and run this again.",
        )
    if status in (401, 403):
        return CheckpointError(
            f"{name}: {file.repo} refused access ({status}).",
            f"A wrong HF_TOKEN does that: unset it or log in anew. By hand: {by_hand}",
        )
    if status == 404:
        return CheckpointError(
            f"{name}: is no longer in {file.repo} at {file.revision[:12]}.", f"By hand: {by_hand}"
        )
    return CheckpointError(
        f"{name}: {file.repo} answered {status}.",
        "Run this again later, it continues.",
    )
