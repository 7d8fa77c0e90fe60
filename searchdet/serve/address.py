"""Where the page is served, and which requests are meant for it."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import socket
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote, urlsplit

from ..errors import UsageError

Listening: TypeAlias = socket.socket
"""A socket that listens. Nothing here connects anywhere."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Names by which a browser reaches a server that only this machine reaches."""
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port that are listened at, and the token that every request shows."""

    host: str
    port: int
    token: str

    @property
    def origin(self) -> str:
        """``http://HOST:PORT``."""
        return f"http://{_bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """What a person opens."""
        return f"{self.origin}/?token={quote(self.token)}"

    @property
    def cookie(self) -> str:
        """The name of the cookie. Cookies know no ports, so servers of one machine need a name each."""
        return f"searchdet-{self.port}"

    def answers_to(self, host: str) -> bool:
        """Whether a Host header names this server. Any port is right, as tunnels have their own; a name
        that somebody else has pointed here is not."""
        name = _name_of(host)
        if name is None:
            return False
        if is_loopback(self.host):
            return name in LOOPBACK
        if not _is_any(self.host):
            return name == _bracketed(self.host).lower()
        return name in (*LOOPBACK, socket.gethostname().lower()) or _is_number(name)

    def is_origin(self, origin: str, host: str) -> bool:
        """Whether an Origin header names the place that a request with that Host header went to."""
        scheme, _, rest = origin.partition("://")
        return scheme in ("http", "https") and rest.lower() == host.lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def token_for(host: str, token: str | None) -> str:
    """The token that was given, else a new one. Raises UsageError for one that is easily guessed, and
    where others reach the host and none was given."""
    if token is None:
        if not is_loopback(host):
            raise UsageError(
                f"--host {host}: others can reach it, so it needs a token of your own.",
                "Pass --token WORDS as well, 16 letters or more, and hand it on with care.",
            )
        return secrets.token_urlsafe(32)
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            "--token: it must be 16 to 200 letters, digits, or any of . _ ~ -",
            f"For example {secrets.token_urlsafe(18)}.",
        )
    return token


def listen(host: str, port: int, token: str) -> tuple[Listening, Address]:
    """A socket that listens, and its address; port 0 takes a free one. Raises UsageError."""
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # elsewhere it lets two programs listen at one port
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(place)
            made.listen(_BACKLOG)
        except OSError:
            made.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"--host {host} --port {port}: cannot listen there ({reason}).",
            "Pass --port 0 for a free port, or another --port or --host.",
        ) from error
    return made, Address(host, int(made.getsockname()[1]), token)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _name_of(host: str) -> str | None:
    """The name in a Host header, in small letters; None for what is no such header."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises for what is no number
    except ValueError:
        return None
    if parts.hostname is None or parts.netloc != host or "@" in host or parts.path:
        return None
    return _bracketed(parts.hostname.lower())


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def _is_number(name: str) -> bool:
    """Whether a name is an IP address, which nobody can point elsewhere."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
