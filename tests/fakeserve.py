"""A small stand-in for the program behind the page of ``searchdet serve``: its addresses over HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from urllib.parse import parse_qs, urlsplit

from fakeloop import Fake

from searchdet.serve.guard import POLICY

KINDS = {"js": "text/javascript", "css": "text/css", "html": "text/html; charset=utf-8"}


class Handler(BaseHTTPRequestHandler):
    fake: Fake
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def answer(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def json(self, value: object, status: int = 200) -> None:
        self.answer(json.dumps(value).encode(), "application/json", status)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        parts = address.path.strip("/").split("/")
        if parts == ["api", "stream"]:
            self.stream()
        elif parts[0] == "api":
            self.api(parts[1:], query)
        elif address.path == "/" or parts[0] == "assets":
            self.asset(parts[1] if len(parts) > 1 else "serve.html")
        else:
            self.json({"error": "there is no such file."}, 404)

    def asset(self, name: str) -> None:
        for room in ("serve", "report"):
            path = resources.files("searchdet") / room / "assets" / name
            if path.is_file():
                self.answer(path.read_bytes(), KINDS[name.rpartition(".")[2]])
                return
        self.json({"error": "there is no such file."}, 404)

    def api(self, parts: list[str], query: dict[str, str]) -> None:
        fake = self.fake
        with fake.lock:
            if parts == ["state"]:
                self.json(fake.state())
            elif parts == ["images"]:
                self.json(fake.images(int(query["since"]) if "since" in query else None))
            elif parts == ["review"]:
                self.json(fake.review(query.get("label"), int(query["count"])))
            elif parts[0] == "exemplars":
                self.answer(fake.shots[1].picture(256), "image/jpeg")
            elif parts[2:] == ["picture"]:
                self.answer(fake.shots[int(parts[1])].picture(int(query["side"])), "image/jpeg")
            elif parts[2:] == ["at"]:
                self.json(fake.at(int(parts[1]), float(query["x"]), float(query["y"])))
            else:
                self.json(fake.image(int(parts[1])))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        query = parse_qs(urlsplit(self.path).query)
        since = int(query["since"][0])
        if self.path.startswith("/api/pictures"):
            label = query.get("label", [None])[0]
            self.json(self.fake.done({"kind": "paste", "label": label, "bytes": len(body)}, since))
            return
        event = json.loads(body)["event"]
        if event["kind"] == "add_class" and event["label"] == "bad":
            self.json({"error": "bad is no name for a class; choose another."}, 400)
            return
        for kind, held in (("undo", self.fake.events), ("redo", self.fake.undone)):
            if event["kind"] == kind and not held:
                self.json({"error": f"there is nothing to {kind}."}, 400)
                return
        self.json(self.fake.done(event, since))

    def stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        fake, seen = self.fake, -1
        try:
            self.wfile.write(b"retry: 200\n\n")
            while not fake.closed:
                if seen != fake.version:
                    seen = fake.version
                    state, progress = {"version": seen}, {**fake.progress(), "run": fake.run}
                    for event, data in (("state", state), ("progress", progress)):
                        self.wfile.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
                    self.wfile.flush()
                with fake.woken:
                    fake.woken.wait(0.1)
        except OSError:
            return


class Server(ThreadingHTTPServer):
    """On a free port of this machine; streams end with ``close``."""

    daemon_threads = True

    def __init__(self, fake: Fake, port: int = 0) -> None:
        self.fake = fake
        handler = type("Own", (Handler,), {"fake": fake})
        super().__init__(("127.0.0.1", port), handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, *_: object) -> None:
        """A page that goes away is no error."""

    def close(self) -> None:
        self.fake.closed = True
        with self.fake.woken:
            self.fake.woken.notify_all()
        self.shutdown()
        self.server_close()
        self.thread.join()
