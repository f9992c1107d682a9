"""Ctrl-C while something runs: the first one stops it, the next ones tell what goes on."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio
import click
from anyio.streams.memory import MemoryObjectReceiveStream

from test_coordination.domain.errors import CoordinationError

ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
"""What ends the program besides Ctrl-C: somebody's wish, and a terminal that is closed."""

Result = TypeVar("Result")

_listener: ContextVar[list[Callable[[], object]]] = ContextVar("_listener")
"""Who is told of the next signal: the last of them."""


@dataclass(slots=True, kw_only=True)
class Interruptions:
    """How often somebody pressed Ctrl-C."""

    count: int = 0


def run_stoppable(job: Callable[[], Coroutine[None, None, Result]]) -> Result:
    """Run ``job`` in a loop of its own; who ends the program from outside cancels it.

    It cleans up then, however often it is asked to end: the exception out of nowhere that Python
    raises by itself would leave what is being cleaned up, and the loop, half-way.

    Raises:
        KeyboardInterrupt: it was cancelled, and has cleaned up.
    """
    outcome: list[Result] = []

    async def heeding() -> None:
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:
            listeners: list[Callable[[], object]] = [scope.cancel]
            _listener.set(listeners)

            def tell() -> None:
                listeners[-1]()

            for number in (signal.SIGINT, *ENDING):
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores one on purpose
                    loop.add_signal_handler(number, tell)
            outcome.append(await job())

    anyio.run(heeding)
    if not outcome:
        raise KeyboardInterrupt
    return outcome[0]


async def interruptible(
    job: Callable[[], Awaitable[Result]], abort: Callable[[], Awaitable[None]]
) -> tuple[Result, Interruptions]:
    """Return what ``job`` returns, and how often it was interrupted.

    ``abort`` is called the first time; it makes ``job`` come to its end. All of it is part of
    what `run_stoppable` runs.

    Raises:
        CoordinationError: ``job`` could not be carried to its end.
        OSError: nobody reads what is printed any more.
    """
    interruptions = Interruptions()
    outcome: list[Result] = []
    failure: Exception | None = None
    send, signals = anyio.create_memory_object_stream[None](math.inf)
    with send, signals, told_to(lambda: send.send_nowait(None)):
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, signals, abort, interruptions)
            try:
                outcome.append(await job())
            except Exception as error:  # noqa: BLE001  carried past the group, which would wrap it
                failure = error
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return outcome[0], interruptions


@contextmanager
def told_to(listener: Callable[[], object]) -> Iterator[None]:
    """Have ``listener`` called, and nobody else, with each signal that comes during the body."""
    listeners = _listener.get()
    listeners.append(listener)
    try:
        yield
    finally:
        listeners.remove(listener)


async def _listen(
    signals: MemoryObjectReceiveStream[None],
    abort: Callable[[], Awaitable[None]],
    interruptions: Interruptions,
) -> None:
    async for _ in signals:
        interruptions.count += 1
        if interruptions.count == 1:
            click.echo("stopping: every fault is being undone; please wait", err=True)
            await _carefully(abort)
        else:
            click.echo(
                "still undoing; if you must leave, kill this process and run `tcoord undo`",
                err=True,
            )


async def _carefully(abort: Callable[[], Awaitable[None]]) -> None:
    try:
        await abort()
    except CoordinationError as error:
        # What keeps us from stopping it ends it as well; its faults are undone then.
        click.echo(f"not stopped yet: {error}", err=True)
