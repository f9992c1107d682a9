"""An event loop whose time passes only when nothing else is left to do, and a clock on it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from typing import Final, ParamSpec, TypeVar

import anyio

ANCHOR: Final = datetime(2030, 1, 1, tzinfo=UTC)
"""What `LoopClock` shows when a loop begins."""


class DeadlockError(Exception):
    """Every task waits for another one, so no time that passes would help."""


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for the next timer, put the clock forward to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout is None:
            raise DeadlockError("nothing is ready, and nothing is scheduled")
        if not found and timeout is not None and timeout > 0:
            self.now_s += timeout
        return found


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs tasks as any loop does, and jumps over the time in which none could run.

    Sockets, threads and processes of the real world do not wait for it: use none.
    """

    def __init__(self, *, start_s: float = 0) -> None:
        self._virtual = _Selector()
        self._virtual.now_s = start_s
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


Found = TypeVar("Found")


def run_from(start_s: float, story: Coroutine[None, None, Found]) -> Found:
    """Return what ``story`` returns, run on virtual time that begins at ``start_s``."""
    with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, start_s=start_s)) as runner:
        return runner.run(story)


Arguments = ParamSpec("Arguments")


def virtual(
    test: Callable[Arguments, Coroutine[None, None, None]],
) -> Callable[Arguments, None]:
    """Run an asynchronous test on virtual time, in a loop of its own.

    The loop of anyio's pytest plugin would not do: a fixture of the session may have started it
    long before, on real time.
    """

    @wraps(test)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class LoopClock:
    """A `Clock` that shows the time of the loop that it is asked in."""

    def now(self) -> datetime:
        return ANCHOR + timedelta(seconds=anyio.current_time())


def at(seconds: float) -> datetime:
    """Return what `LoopClock` shows after that many seconds."""
    return ANCHOR + timedelta(seconds=seconds)


def since(moment: datetime) -> float:
    """Return how many seconds of the loop had passed by ``moment``."""
    return (moment - ANCHOR).total_seconds()
