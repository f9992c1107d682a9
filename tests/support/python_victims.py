"""Functions that tests have called in a process of their own; most of them behave badly."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import anyio


def add(a: int, b: int = 1) -> dict[str, int]:
    print("adding")
    return {"sum": a + b}


def echo(value: object) -> object:
    return value


async def later(value: object) -> object:
    await anyio.sleep(0.01)
    return value


class Orders:
    @staticmethod
    def lost() -> int:
        return 7


def cancel(order: int) -> None:
    print("looking for the order")
    try:
        _find(order)
    except KeyError as error:
        raise ValueError(f"no order {order}") from error


def _find(order: int) -> object:
    orders: dict[int, object] = {}
    return orders[order]


def hide(note: str) -> None:
    """Begin a process that has left our group, tell its pid, and never return."""
    begin(note)
    time.sleep(600)


def begin(note: str) -> str:
    hidden = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path(note).write_text(f"{os.getpid()} {hidden.pid}")
    return "begun"


def devour() -> int:
    return len(bytearray(1 << 30))


def open_many() -> None:
    os.dup2(0, 400)


def shout() -> None:
    while True:
        print("x" * 1000)


def leave(status: int) -> None:
    sys.exit(status)


def vanish(status: int) -> None:
    os._exit(status)


def crash() -> None:
    os.abort()


def kill_guard(note: str) -> None:
    Path(note).write_text(f"{os.getpid()}")
    os.kill(os.getppid(), 9)
    time.sleep(600)


def variables() -> dict[str, str]:
    return dict(os.environ)


def processor_s() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_CPU)


def strange() -> object:
    return {1, 2}


def folder() -> str:
    return str(Path.cwd())
