"""Ctrl-C while something runs: the first one stops it, the next ones tell what goes on."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import click

from test_coordination.domain.errors import CoordinationError
from test_coordination.interfaces.cli.exits import ENDING

Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True)
class Interruptions:
    """How often somebody pressed Ctrl-C."""

    count: int = 0


async def interruptible(
    job: Callable[[], Awaitable[Result]], abort: Callable[[], Awaitable[None]]
) -> tuple[Result, Interruptions]:
    """Return what ``job`` returns, and how often it was interrupted.

    ``abort`` is called the first time; it makes ``job`` come to its end.

    Raises:
        CoordinationError: ``job`` could not be carried to its end.
        OSError: nobody reads what is printed any more.
    """
    interruptions = Interruptions()
    outcome: list[Result] = []
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_listen, abort, interruptions)
        try:
            outcome.append(await job())
        except Exception as error:  # noqa: BLE001  carried past the group, which would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return outcome[0], interruptions


async def _listen(abort: Callable[[], Awaitable[None]], interruptions: Interruptions) -> None:
    ending = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    with anyio.open_signal_receiver(signal.SIGINT, *ending) as signals:
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
