"""The command ``searchdet serve``."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ..config import CacheOptions, OutputOptions, ScanOptions, Settings, StartExamples
from ..errors import counted
from .console import Stopped, progress, say, stoppable
from .options import Images, cache_of, output_of, scan_of, with_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute

    from ..integrations.sources import Sources
    from ..serve.address import Address, Listening
    from ..serve.desk import Desk
    from ..serve.opening import Opened

_Folder = Annotated[
    Path, typer.Option("--output", "-o", help="Folder for the bank, the verdicts and the records.")
]
_Index = Annotated[
    Optional[Path],
    typer.Option("--index", help="Regions of the images, as `searchdet index` made them."),
]
_Host = Annotated[str, typer.Option("--host", help="Where to listen; another one needs --token.")]
_Port = Annotated[int, typer.Option("--port", help="0: a free one.", min=0, max=65535)]
_Token = Annotated[
    Optional[str],
    typer.Option(
        "--token",
        help="What the page asks for, 16 letters or more; else a new one each time.",
        envvar="SEARCHDET_TOKEN",
    ),
]
_Open = Annotated[
    Optional[bool],
    typer.Option("--open/--no-open", help="Open the page in a browser; else only from a terminal."),
]
_Records = Annotated[
    bool, typer.Option("--records/--no-records", help="Write records and datasets at the end.")
]
_Bridges = Annotated[
    bool,
    typer.Option(
        "--bridges/--no-bridges", help="Answer X-AnyLabeling and Label Studio too: docs/bridges.md."
    ),
]
TICK, END_SECONDS = 0.25, 2.0
LEFT_OUT = ("prompting", "guided_share", "second_look", "output", "save", "no_save", "overwrite")
"""Options that a page cannot follow: its regions are made without exemplars, and seen once."""


@with_options(without=LEFT_OUT, verbose=True)
def serve(
    images: Images,
    examples: StartExamples,
    settings: Settings,
    output: OutputOptions,
    scan: ScanOptions,
    cache: CacheOptions,
    folder: _Folder = Path("searchdet-serve"),
    index: _Index = None,
    host: _Host = "127.0.0.1",
    port: _Port = 8117,
    token: _Token = None,
    browse: _Open = None,
    records: _Records = True,
    bridges: _Bridges = False,
) -> None:
    """Judge detections on a page: what is right, what is wrong; all IMAGES are judged again at once."""
    _require_packages()
    from ..images import discover
    from ..serve.address import listen, token_for
    from ..serve.opening import Job, opened

    secret = token_for(host, token)
    settings = replace(settings, cache=cache_of(cache))
    target = output_of(replace(output, output=folder, save="none"), settings.cache)
    masks = settings.proposals.masks_from
    queries = discover(images, scan_of(scan, folder, cache, examples, masks))
    if target is None:  # which only --no-save gives
        raise typer.Exit(1)
    target.check(queries)
    sources = _sources(images) if bridges else None
    given = examples if examples.given or examples.normal is not None else None
    job = Job(queries, given, settings, target, index, images, scan)
    listening, address = listen(host, port, secret)
    with listening, stoppable(), opened(job) as ready:
        more = _routes(ready, sources)
        stopped = _served(ready, listening, address, browse, more)
        with ready.desk.lock:  # an answer may still be on its way
            _finish(ready.desk, stopped, records)
    raise typer.Exit(128 + stopped)


def _require_packages() -> None:
    """Raise UsageError where the packages of the server are not installed."""
    from ..errors import UsageError

    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"`searchdet serve` needs {' and '.join(missing)}, which is not installed.",
            'Run `pip install "searchdet[serve]"`.',
        )


def _sources(images: Sequence[str]) -> Sources:
    """Where pictures of Label Studio may come from: its own variables say so, and the folders of
    IMAGES where they name no folder. Raises UsageError."""
    from ..integrations.sources import Sources

    root = os.environ.get("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT")
    folders = [Path(root)] if root else [Path(item) for item in images if Path(item).is_dir()]
    url, key = os.environ.get("LABEL_STUDIO_URL", ""), os.environ.get("LABEL_STUDIO_API_KEY", "")
    return Sources(url, key, tuple(folders))


def _routes(ready: Opened, sources: Sources | None) -> Sequence[BaseRoute]:
    """The routes of bridges, where they are wanted."""
    if sources is None:
        return ()
    from ..serve.bridged import bridges

    return bridges(ready, sources)


def _served(
    ready: Opened,
    listening: Listening,
    address: Address,
    browse: bool | None,
    more: Sequence[BaseRoute],
) -> int:
    """Serve until a signal, whose number is returned. Raises what ended the thread of the models."""
    from ..errors import ResourceError
    from ..serve.app import make_app
    from ..serve.changes import Changes
    from ..serve.server import Server

    app = make_app(ready.desk, Changes(ready.desk, ready.hands), address, more)
    server = Server(app, listening, ready.desk.broadcast)
    told = False
    try:
        server.start()
        ready.work.start()
        _greet(address, browse)
        while not server.wait(TICK):
            ready.work.check()
            told = told or _tell(ready.desk)
        raise ResourceError("the server ended by itself.", "The lines above say why; start it again.")
    except Stopped as stop:
        told = told or _tell(ready.desk)
        return stop.signum
    finally:
        server.stop()
        ready.work.stop(END_SECONDS)


def _greet(address: Address, browse: bool | None) -> None:
    """The address, on stdout; in a browser too where a person is there."""
    print(address.url, flush=True)
    say("Open this address in a browser. Ctrl-C ends it; every verdict is on disk at once.")
    if browse or (browse is None and sys.stdout.isatty()):
        # some browsers go on in the terminal, and return when they are left
        threading.Thread(target=_browse, args=(address.url,), daemon=True).start()


def _browse(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        say("No browser was found: open the address by hand.")


def _tell(desk: Desk) -> bool:
    """One line once all images are described; whether they are."""
    failed = desk.failed
    if desk.done + failed < desk.total:
        return False
    done = counted(desk.done, "image is", "images are")
    say(f"{done} described" + (f", {failed} cannot be used." if failed else "."))
    return True


def _finish(desk: Desk, stopped: int, records: bool) -> None:
    """Write the records, where a person ends it; what a system ends has no time for these."""
    import signal

    bank, folder = desk.session.bank, desk.folder
    if bank is None:
        say(f"Stopped; no example was given. What was said is in {folder}.")
        return
    say(f"Stopped; the bank and the verdicts are in {folder}.")
    if records and stopped == signal.SIGINT:
        every = counted(desk.done + desk.failed, "image")
        say(f"Writing the records of {every}; Ctrl-C once more leaves them out.")
        with progress(desk.done) as advance:
            desk.session.write_records(advance(range(desk.done)))
        say(f"Records and datasets are in {folder}.")
    elif records:
        say(f"Records were not written: {desk.session.state().command} makes them.")
