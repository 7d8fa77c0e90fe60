"""A hub of one small file, in place of huggingface_hub's transfer; also in a process that is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from searchdet.weights import hub
from searchdet.weights.loader import Published

NAME = "sam_vit_b_01ec64.pth"
Setter = Callable[[object, str, object], None]


class Transfer:
    """``http_get``: serves ``content`` from ``resume_size`` on, up to ``upto``; then calls ``stop``."""

    def __init__(
        self, content: bytes, upto: int | None = None, stop: Callable[[], None] | None = None
    ) -> None:
        self.content, self.upto, self.stop = content, upto, stop
        self.asked: list[tuple[str, int]] = []

    def __call__(self, url: str, temp_file: BinaryIO, *, resume_size: int = 0, **given: Any) -> None:
        self.asked.append((url, resume_size))
        assert "authorization" not in (given["headers"] or {})
        temp_file.write(self.content[resume_size : self.upto])
        temp_file.flush()
        if self.stop is not None:
            self.stop()


def offer(content: bytes, put: Setter = setattr) -> None:
    """Make the smallest SAM a file with this content."""
    from searchdet.proposals.sam import plan, weights

    digest = hashlib.sha256(content).hexdigest()
    published = (Published(NAME, digest), *weights.PUBLISHED[1:])
    put(weights, "PUBLISHED", published)
    put(plan, "PLAN", replace(plan.PLAN, weights=replace(plan.PLAN.weights, published=published)))
    old = hub.FILES[NAME]
    changed = hub.HubFile(old.repo, old.path, old.revision, len(content))
    put(hub, "FILES", {**hub.FILES, NAME: changed})


def killed_at_half(content_file: str) -> None:
    """Run ``models pull`` and die by SIGKILL when half of the file has come."""
    from huggingface_hub import file_download

    from searchdet.cli import app

    content = Path(content_file).read_bytes()
    offer(content)
    stop = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    file_download.http_get = Transfer(content, len(content) // 2, stop)
    app(["models", "pull", NAME, "--yes"])


if __name__ == "__main__":
    killed_at_half(sys.argv[1])
