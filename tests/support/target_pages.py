"""An HTTP server whose pages are what a test says, and which remembers what it was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from test_coordination.domain.topology import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    status: int = 200
    body: bytes = b'{"healthy": true, "orders": [1, 2]}'
    delay_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, kw_only=True)
class Pages:
    address: Address
    pages: dict[str, Page] = field(default_factory=dict)
    received: list[tuple[str, str, bytes, str]] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str) -> str:
        return f"http://{self.address}{path}"


@contextmanager
def serving() -> Generator[Pages]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            pages.connections += 1

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind = self.headers.get("Content-Type", "")
            pages.received.append((self.command, self.path, body, kind))
            page = pages.pages.get(self.path, Page())
            time.sleep(page.delay_s)
            self.send_response(page.status)
            for name, value in page.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(page.body)

        do_GET = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - the names are given

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the client left, as some of the tests mean it to

    server = Server(("127.0.0.1", 0), Handler)
    pages = Pages(address=Address(host="127.0.0.1", port=server.server_address[1]))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield pages
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
