"""A small service to be broken: answers HTTP, and misbehaves as its arguments say."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time

REQUESTS = ("TERM", "INT", "QUIT")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--unix")
    parser.add_argument("--children", type=int, default=0)
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--only", help="end with 0 on this signal, ignore the other requests")
    parser.add_argument("--linger", action="store_true", help="children that ignore SIGTERM")
    parser.add_argument("--fail", help="say this and end with 3")
    parser.add_argument("--mute", action="store_true", help="never listen")
    options = parser.parse_args()
    if options.fail:
        print(options.fail, flush=True)
        raise SystemExit(3)
    if options.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.only:
        for name in REQUESTS:
            signal.signal(signal.Signals[f"SIG{name}"], signal.SIG_IGN)
        signal.signal(signal.Signals[f"SIG{options.only}"], lambda *_: sys.exit())
    for _ in range(options.children):
        if os.fork() == 0:
            if options.linger:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(60)
    print(f"serving as {os.getpid()} with {os.environ.get('GREETING', 'nothing')}", flush=True)
    if options.mute:
        time.sleep(60)
    serve(options.port, options.unix)


def serve(port: int | None, unix: str | None) -> None:
    if unix is not None:
        server = socket.socket(socket.AF_UNIX)
        server.bind(unix)
        server.listen()
    else:
        assert port is not None
        server = socket.create_server(("127.0.0.1", port))
    while True:
        client, _ = server.accept()
        with client:
            try:
                if client.recv(4096):
                    client.sendall(ANSWER)
            except OSError as error:
                print(error, file=sys.stderr)


if __name__ == "__main__":
    main()
