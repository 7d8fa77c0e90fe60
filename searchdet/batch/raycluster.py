"""Ray: found, started or joined, kept quiet, and left."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from dataclasses import dataclass
from typing import Any

from ..errors import ResourceError, UsageError

LOCAL = "local"
"""Ray's word for a cluster of one's own."""
_CLIENT = "ray://"
PATIENCE_SECONDS = 10.0
"""For a head node that does not answer."""
_UNSENT = {"RAY_USAGE_STATS_ENABLED": "0"}
"""No word of a run goes to the makers of Ray."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where models go: how many actors, and the cards that each has to itself."""

    actors: int
    cards: int


class Cluster:
    """A connection to a cluster: one of this machine alone, which ends with it, or that of an address.

    Raises UsageError where Ray is not installed or nothing answers there."""

    def __init__(self, address: str | None, actors: int | None) -> None:
        _require_installed()
        os.environ.update(_UNSENT)
        self._folder: str | None = None
        known = address or os.environ.get("RAY_ADDRESS")
        if known is not None and known.startswith(_CLIENT):
            raise UsageError(
                f"--ray-address {known} is that of Ray's client.",
                "Run searchdet on a node of the cluster, with its own address, or with auto.",
            )
        local = known in (None, LOCAL)
        self.ray: Any = _quiet_ray(local)
        begun = False
        try:
            if local:
                self._start(actors)
            else:
                self._join(str(known))
            begun = True
        finally:
            if not begun:  # a signal too: nobody else would end what was started
                self.close()

    def _start(self, actors: int | None) -> None:
        """Only this machine reaches it, and only who knows its token."""
        self._folder = tempfile.mkdtemp(prefix="searchdet-ray-", dir=_short_folder())
        try:
            self._init(
                LOCAL,
                num_cpus=max(actors or 1, os.cpu_count() or 1),
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=self._folder,
            )
        except (RuntimeError, OSError, ValueError) as error:
            raise ResourceError(
                f"Ray does not start on this machine ({_first_line(error)}).",
                "Leave out --engine ray, or start it with `ray start --head` and name it with "
                "--ray-address auto.",
            ) from error

    def _join(self, address: str) -> None:
        try:
            _require_answer(address)
            self._init(address)
        except (RuntimeError, OSError, ValueError) as error:
            raise UsageError(
                f"--ray-address {address}: the cluster cannot be joined ({_first_line(error)}).",
                "Look with `ray status` on a node of it.",
            ) from error

    def _init(self, address: str, **options: Any) -> None:
        """Ray takes SIGTERM for itself, and exits on it: what answered it before does so again."""
        ended = False
        before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except SystemExit:
            ended = True
        finally:
            if threading.current_thread() is threading.main_thread():
                for one, handler in before.items():
                    signal.signal(one, handler)
        if ended:
            signal.raise_signal(signal.SIGTERM)
            raise SystemExit(128 + signal.SIGTERM)

    def room(self, device: str, actors: int | None) -> Room:
        """Where models go. device: what --device says. Raises UsageError where that is left open."""
        if device.startswith("cuda:"):
            raise UsageError(f"--device {device}: Ray gives each model a card.", "Pass --device cuda.")
        cards = int(self.ray.cluster_resources().get("GPU", 0))
        on_cards = device == "cuda" or (device == "auto" and cards > 0)
        count = actors or (cards if on_cards else 0)
        if not count:
            raise UsageError(
                "the cluster has no GPU, which would say how many models there are to be.",
                "Say how many processes search: --actors N.",
            )
        return Room(count, int(on_cards))

    def free(self) -> str:
        """What is not taken, for a message."""
        free = self.ray.available_resources()
        return ", ".join(f"{free.get(name, 0):g} {name}" for name in ("CPU", "GPU"))

    def close(self) -> None:
        """Leave, and end what was started."""
        self.ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _require_installed() -> None:
    if importlib.util.find_spec("ray") is None:
        raise UsageError(
            "--engine ray needs ray, which is not installed.", 'Run `pip install "searchdet[ray]"`.'
        )


def _require_answer(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would try for ever. ``auto`` it looks up."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE_SECONDS).close()


def _quiet_ray(local: bool) -> Any:
    """The package. Ray reads its variables when it is imported."""
    if local and os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    logging.getLogger("ray").setLevel(logging.ERROR)
    return importlib.import_module("ray")


def _short_folder() -> str | None:
    """Ray's sockets lie in it, and the system allows them paths of about a hundred bytes only."""
    return "/tmp" if os.name == "posix" else None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
