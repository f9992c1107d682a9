"""A service that repeats the secrets it is told, fails once before it does what it is asked."""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
from collections import Counter
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

HEADERS = ("X-Key", "X-Pin")


class Forgetful(http.server.BaseHTTPRequestHandler):
    """Well at ``/health``; at ``/flaky?k=K`` only from the second request with K on.

    ``/heard`` tells the digests of all secrets that it was told in its headers, ``/posted`` how
    often each key was posted.
    """

    asked: ClassVar[set[str]] = set()
    posted: ClassVar[Counter[str]] = Counter()
    heard: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        told = [value for name in HEADERS if (value := self.headers.get(name))]
        self.heard.update(hashlib.sha256(value.encode()).hexdigest() for value in told)
        if place.path == "/heard":
            self._answer(200, " ".join(self.heard))
        elif place.path == "/posted":
            self._answer(200, json.dumps(self.posted))
        elif place.path == "/flaky":
            (key,) = parse_qs(place.query)["k"]
            first = key not in self.asked
            self.asked.add(key)
            self._answer(503 if first else 200, f"you said {told}")
        else:
            self._answer(200, f"you said {told}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        (key,) = parse_qs(urlsplit(self.path).query)["k"]
        self.posted[key] += 1
        self._answer(200, "posted")

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its base names it
        del format, args


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Forgetful).serve_forever()


if __name__ == "__main__":
    main()
