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
from pathlib import Path
from typing import BinaryIO, cast

from ..errors import CheckpointError, OutputError, SearchdetError, UsageError
from ..storage import files
from ..storage.hashes import fresh_sha256
from ..weights import Published
from ..weights.published import LICENCES
from .catalogue import entries

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def partial_of(item: Published, target: Path) -> Path:
    """What is here of a file; named by content, so that another version never continues it."""
    stem = f"{item.sha256}{item.prefix}"[:12]
    return target.with_name(f".{target.name}.{stem}.part")


def terms(item: Published, target: Path) -> list[str]:
    """What is agreed to before anything is downloaded."""
    access = " (gated: your account needs access)" if item.gated else ""
    return [
        f"model     {item.model}: {item.filename}, {megabytes(item.size)}",
        f"source    {item.page}{access}, {item.path} at {item.revision[:12]}",
        f"licence   {item.licence}, {LICENCES[item.licence]}",
        f"content   SHA-256 {item.sha256}",
        f"to        {target}",
    ]


def megabytes(size: int) -> str:
    """A size as a person reads it."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def find(name: str, folder: Path) -> Published:
    """The file on the hub, or in a package, of a model or of (the beginning of) a file name.

    Raises UsageError for a name that is not known or needs no file, CheckpointError with the way by
    hand for a file that is on no public repository. folder: where that should be put.
    """
    rows = entries()
    chosen = [row for row in rows if name in (row.model, row.filename)]
    if name and not chosen:
        begun = [row for row in rows if row.filename.startswith(name)]
        chosen = begun if len({row.filename for row in begun}) == 1 else []
    if not name or not chosen:
        names = ", ".join(dict.fromkeys(row.model for row in rows if row.filename))
        raise UsageError(f"no model and no file is called {name!r}; choose {names}.")
    row = next((row for row in chosen if row.repo), chosen[0])
    if not row.filename:
        raise UsageError(f"{row.model} is built in and needs no weights.")
    if not row.repo and not row.package:
        raise CheckpointError(
            f"{row.filename}: is on no public repository that could be confirmed.",
            f"{row.by_hand()} Its licence: {row.licence}, {LICENCES[row.licence]}. "
            f"Put it at {folder / row.filename}, then run `searchdet models verify`.",
        )
    return row


def is_fetched(item: Published, target: Path) -> bool:
    """Whether the file is in its place. Raises CheckpointError where something else is."""
    if not target.exists():
        return False
    if target.is_file() and item.agrees(fresh_sha256(target)) is not False:
        return True
    raise CheckpointError(
        f"{target}: is here with another content.", "Move it away and run this again."
    )


def fetch(item: Published, target: Path) -> None:
    """Download to ``target``, verify, put in place. What an interruption leaves is continued next time.

    Raises CheckpointError for what the hub or the network refuses and for a wrong hash, OutputError
    where the folder cannot be written or the disk is full.
    """
    from huggingface_hub.errors import HfHubHTTPError

    http_error = cast("type[Exception]", HfHubHTTPError.__bases__[0])  # httpx's root is no OSError
    _require_folder(target.parent)
    with _partial(item, target) as stream:
        have = stream.seek(0, os.SEEK_END)
        if have > item.size:
            have = stream.seek(0)
            stream.truncate()
        _require_space(target, item.size - have)
        try:
            _transfer(item, stream, have)
        except (OSError, http_error) as error:
            raise _explain(error, item, target) from error
    partial = partial_of(item, target)
    digest = fresh_sha256(partial)
    if item.agrees(digest) is False:
        files.remove(partial)
        raise CheckpointError(
            f"{target.name}: what came from {item.repo} is not the published file (SHA-256 "
            f"{digest[:16]}..., wanted {item.sha256[:16]}...); it was removed.",
            f"Run this again; if it stays so: {item.by_hand()}",
        )
    files.put_in_place(partial, target)


def _require_folder(folder: Path) -> None:
    try:
        files.probe_folder(folder)
    except OutputError as error:
        raise OutputError(error.message, "Choose another folder with --dir.") from error


@contextlib.contextmanager
def _partial(item: Published, target: Path) -> Iterator[BinaryIO]:
    """The partial file, made if need be, for this process alone."""
    path = partial_of(item, target)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}).") from error
    with os.fdopen(handle, "r+b") as stream:
        _lock(stream, item, target)
        try:
            yield stream
        except SearchdetError:
            if not stream.seek(0, os.SEEK_END):
                path.unlink(missing_ok=True)  # nothing of it came
            raise


def _lock(stream: BinaryIO, item: Published, target: Path) -> None:
    """Only saves bandwidth: where there are no locks, two at once end in a wrong hash."""
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"{target.name}: another process is downloading it.", "Wait for that one."
        ) from error
    except (ImportError, OSError):
        return
    if not partial_of(item, target).exists():  # the other one has just finished
        raise UsageError(f"{target.name}: another process has downloaded it.")


def _require_space(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise OutputError(
            f"{target}: {megabytes(needed)} are needed, {megabytes(free)} are free.",
            "Make room or choose another folder with --dir.",
        )


def _transfer(item: Published, stream: BinaryIO, have: int) -> None:
    """The bytes from ``have`` on: out of the hub's own cache where they are there, else by HTTP."""
    from huggingface_hub import file_download, try_to_load_from_cache
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    cached = try_to_load_from_cache(item.repo, item.path, revision=item.revision)
    if isinstance(cached, str):
        stream.seek(0)
        stream.truncate()
        with Path(cached).open("rb") as source:
            shutil.copyfileobj(source, stream, 1 << 20)
    else:
        file_download.http_get(
            file_download.hf_hub_url(item.repo, item.path, revision=item.revision),
            stream,
            resume_size=have,
            headers=build_hf_headers(library_name="searchdet"),
            expected_size=item.size,
            displayed_filename=item.filename,
        )
    stream.flush()


def _explain(error: Exception, item: Published, target: Path) -> SearchdetError:
    """What a failed transfer means to the user."""
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    name = target.name
    if isinstance(error, OfflineModeIsEnabled):
        by_hand = f"{item.by_hand()} Put it at {target}."
        return CheckpointError(f"{name}: HF_HUB_OFFLINE is set.", f"Unset it, or by hand: {by_hand}")
    if isinstance(error, HfHubHTTPError):
        return _answered(getattr(error.response, "status_code", 0), item, target)  # None in 0.30
    if isinstance(error, OSError) and error.errno in FULL:
        with contextlib.suppress(OutputError):
            files.remove(partial_of(item, target))  # it takes the room that others need
        return OutputError(
            f"{target}: the disk is full.", "Make room or choose another folder with --dir."
        )
    if type(error) is OSError and error.errno is None:  # the hub's own check of the size
        return CheckpointError(
            f"{name}: came incomplete.", "Run this again; what is here is continued."
        )
    if type(error) in (OSError, PermissionError):
        return OutputError(f"{target}: cannot be written ({error}).")
    return CheckpointError(
        f"{name}: {ENDPOINT} cannot be reached ({type(error).__name__}).",
        "Run this again when it can, it continues.",
    )


def _answered(status: int, item: Published, target: Path) -> CheckpointError:
    """What an HTTP status means to the user."""
    name = target.name
    by_hand = f"{item.by_hand()} Put it at {target}."
    if status in (401, 403) and item.gated:
        return CheckpointError(
            f"{name}: {item.repo} is gated and refused access ({status}).",
            f"Accept the licence at {item.page}, wait until access is granted, log in with "
            "`hf auth login` or set HF_TOKEN, and run this again.",
        )
    if status in (401, 403):
        return CheckpointError(
            f"{name}: {item.repo} refused access ({status}).",
            f"A wrong HF_TOKEN does that: unset it or log in anew. By hand: {by_hand}",
        )
    if status == 404:
        return CheckpointError(
            f"{name}: is no longer in {item.repo} at {item.revision[:12]}.", f"By hand: {by_hand}"
        )
    return CheckpointError(
        f"{name}: {item.repo} answered {status}.",
        "Run this again later, it continues.",
    )
