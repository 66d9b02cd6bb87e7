"""A cache folder of the test's own, and a small HTTP server that can misbehave in the ways that real ones do."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deepcore.datasets import cache


class Host:
    """Serves ``files`` (path -> content) and remembers the Range header of each request.

    ``ranges``: whether it serves parts of files. ``cuts``: for each request in turn, after how many bytes it hangs up.
    ``statuses``: for each request in turn, a status to answer with instead.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.requests: list[str | None] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def _handler(host):  # noqa: N805 (self is the handler, below)
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                host.requests.append(asked)
                content = host.files.get(self.path.lstrip("/"))
                status = host.statuses.pop(0) if host.statuses else 200 if content is not None else 404
                if status != 200:
                    self.send_error(status)
                    return
                start, total = 0, len(content)
                if asked and host.ranges:
                    start = int(asked.removeprefix("bytes=").removesuffix("-"))
                    if start >= total:
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{total}")
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(total - start))
                for name, value in host.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                stop = start + host.cuts.pop(0) if host.cuts else total
                self.wfile.write(content[start:stop])

            def log_message(self, *arguments):
                """Keep the test output clean."""

        return Handler


@pytest.fixture
def host():
    server = Host()
    yield server
    server.close()


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """The cache folder, with no waits between tries, small chunks, and no proxy between the tests and their server."""
    monkeypatch.setenv("DEEPCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(cache, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(cache, "CHUNK", 1000)
    return tmp_path / "home" / "datasets"
