"""A tiny service: says that it is well, and what it has in stock."""

from __future__ import annotations

import argparse
import http.server
import json
from pathlib import Path


class Counter(http.server.BaseHTTPRequestHandler):
    """Answers each request with the same words."""

    items = 0

    def do_GET(self) -> None:
        body = json.dumps({"items": self.items}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its base names it
        del format, args


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--items", type=int, default=0)
    parser.add_argument("--needs", type=Path, help="a file without which it does not start")
    options = parser.parse_args()
    if options.needs is not None and not options.needs.exists():
        message = f"{options.needs} is missing"
        raise SystemExit(message)
    Counter.items = options.items
    http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Counter).serve_forever()


if __name__ == "__main__":
    main()
