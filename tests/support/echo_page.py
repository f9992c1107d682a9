"""A page that answers with all that it was asked: its path, headers and body."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        told = {"path": self.path, "headers": dict(self.headers), "body": body}
        self.server.asked.append(told)  # type: ignore[attr-defined]  # see `echo_page`
        answer = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815  the name that its base calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its base names it
        del format, args


@contextmanager
def echo_page() -> Iterator[tuple[int, list[dict[str, object]]]]:
    """Lend the port of an echo, and the list of what it was asked."""
    asked: list[dict[str, object]] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        server.asked = asked  # type: ignore[attr-defined]  # read by `_Echo`
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()
