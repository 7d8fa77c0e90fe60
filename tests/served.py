"""A server over a few images, in this process: a session as `searchdet serve` opens it.

``python tests/served.py FOLDER [PORT]`` serves drawn pictures, for whoever works on the page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asking import Asker

from searchdet.config import BackboneOptions, Examples, ProposalOptions, ScanOptions, Settings
from searchdet.images import Scan, discover
from searchdet.integrations.sources import Sources
from searchdet.output import Output
from searchdet.serve.address import Address, listen
from searchdet.serve.app import make_app
from searchdet.serve.bridged import bridges
from searchdet.serve.changes import Changes
from searchdet.serve.desk import Desk
from searchdet.serve.opening import Job, Opened, opened
from searchdet.serve.server import Server

TOKEN = "a-token-for-the-tests"
QUICK = Settings(
    backbone=BackboneOptions("filterbank"), proposals=ProposalOptions("regions", scored_masks=60)
)


@dataclass(frozen=True)
class Served:
    """What answers, and who asks it."""

    asker: Asker
    desk: Desk
    address: Address
    server: Server
    ready: Opened

    def described(self) -> None:
        """Wait until all images are described; also where the server has ended."""
        self.ready.work.finished(60)
        self.ready.work.check()


def job(folder: Path, out: Path, examples: Examples | None = None, index: Path | None = None) -> Job:
    """The images of a folder, with the quick models and nothing remembered."""
    queries = discover([str(folder)], Scan(recursive=True))
    scan = ScanOptions(recursive=True)
    return Job(queries, examples, QUICK, Output(out, ()), index, [str(folder)], scan)


@contextlib.contextmanager
def serving(
    job: Job, port: int = 0, start: bool = True, sources: Sources | None = None
) -> Iterator[Served]:
    """Serve. start: describe the images at once, and wait for that. sources: with bridges too."""
    with opened(job) as ready:
        listening, address = listen("127.0.0.1", port, TOKEN)
        more = () if sources is None else bridges(ready, sources)
        app = make_app(ready.desk, Changes(ready.desk, ready.hands), address, more)
        server = Server(app, listening, ready.desk.broadcast)
        server.start()
        made = Served(Asker(address.port, TOKEN), ready.desk, address, server, ready)
        try:
            if start:
                ready.work.start()
                made.described()
            yield made
        finally:
            server.stop()
            ready.work.stop(60)


if __name__ == "__main__":
    import sys
    import time

    from worlds import make_world

    root = Path(sys.argv[1])
    make_world(root / "in")
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with serving(job(root / "in" / "images", root / "out"), wanted) as running:
        print(running.address.url, flush=True)
        while True:
            time.sleep(60)
