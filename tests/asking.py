"""Requests to a server of a test."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asker:
    """Asks one server. token: sent as a header, None for nothing."""

    port: int
    token: str | None = None
    host: str = "127.0.0.1"
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self, path: str, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in small letters, and body of an answer."""
        own = dict(self.headers)
        if self.token is not None:
            own["X-Searchdet-Token"] = self.token
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, own)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON of an answer that is well."""
        status, _, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)

    def send(self, event: dict[str, Any], path: str = "/api/events") -> tuple[int, Any]:
        """Status and JSON of the answer to an event."""
        body = json.dumps({"event": event}).encode()
        status, _, answer = self.ask(path, body, Content_Type="application/json")
        return status, json.loads(answer)

    def error(self, path: str, **more: Any) -> tuple[int, str]:
        """Status and sentence of an answer that is an error."""
        status, told, body = self.ask(path, **more)
        assert told["content-type"] == "application/json"
        return status, json.loads(body)["error"]
