"""Show an execution while it runs: plain lines, or a picture that moves on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, Protocol

import anyio
import click

from test_coordination.domain.events import Entry, ExecutionEnded
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.plan import Plan
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.narration import narrate
from test_coordination.interfaces.cli.prospects import Prospect, prospect_text

COLOURS = {"good": "green", "bad": "red", "warn": "yellow", "fault": "magenta"}
VERDICT_COLOURS = {
    Verdict.HELD: "green",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.STOPPED: "yellow",
}
SILENCE_S: Final = 10.0
"""After how long without a line a line says how far it has come."""


class Progress(Protocol):
    """What is told of an execution while it runs."""

    def show(self, entry: Entry, state: Execution) -> None:
        """Tell of ``entry``; ``state`` is the execution after it."""
        ...

    def wait(self, state: Execution, waited: timedelta) -> None:
        """Tell how ``state`` stands, since whose last entry so much time has passed."""
        ...

    def queued(self, why: str) -> None:
        """Tell why it has not begun."""
        ...


class PlainProgress:
    """A line an event, with the time since the start; for pipes, logs and simple terminals.

    Where nothing happens for a while, a line says how far it has come.
    """

    def __init__(self, plan: Plan, prospect: Prospect | None = None) -> None:
        self._plan = plan
        self._prospect = prospect

    def show(self, entry: Entry, state: Execution) -> None:
        """See `Progress.show`."""
        line = narrate(entry.event, self._plan)
        if line is None or isinstance(entry.event, ExecutionEnded):
            return
        since = entry.at - (state.started_at or entry.at)
        text = click.style(line.text, fg=COLOURS.get(line.mood))
        click.echo(f"{clock(since)}  {text}")

    def wait(self, state: Execution, waited: timedelta) -> None:
        """See `Progress.wait`."""
        if state.started_at is None or state.changed_at is None:
            click.echo("it waits to begin; `tcoord executions --queued` shows for what")
        elif self._prospect is not None and state.status is Status.RUNNING:
            since = state.changed_at - state.started_at + waited
            text = prospect_text(self._prospect(state))
            click.echo(f"{clock(since)}  {click.style(text, dim=True)}")

    def queued(self, why: str) -> None:
        """See `Progress.queued`."""
        click.echo(click.style(why, dim=True))


def is_moving() -> bool:
    """Tell whether standard output is a terminal that may be painted and drawn upon."""
    dumb = os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and not dumb


@contextmanager
def progress(plan: Plan, prospect: Prospect | None = None) -> Iterator[Progress]:
    """Lend the progress that fits where standard output goes."""
    if is_moving():
        from test_coordination.interfaces.cli.moving import moving_progress  # noqa: PLC0415  rich is slow to import, and of no use in a pipe

        with moving_progress(plan, prospect) as moving:
            yield moving
    else:
        yield PlainProgress(plan, prospect)


async def shown_to_the_end(
    begun: Execution,
    entries: AsyncIterator[Entry],
    shown: Progress,
    *,
    after: int = 0,
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> Execution:
    """Return ``begun`` after all ``entries``; those past position ``after`` are shown.

    Meanwhile ``beside`` is done, which raises nothing.

    Raises:
        CoordinationError: they could not be followed to the end.
        OSError: nobody reads what is printed any more.
    """
    state, failure, said_s = begun, list[Exception](), anyio.current_time()

    async def remind() -> None:
        came_s = said_s
        while True:
            await anyio.sleep(max(said_s, came_s) + SILENCE_S - anyio.current_time())
            now_s = anyio.current_time()
            if now_s >= max(said_s, came_s) + SILENCE_S:
                came_s = now_s
                shown.wait(state, timedelta(seconds=now_s - said_s))

    async with anyio.create_task_group() as group:
        group.start_soon(remind)
        if beside is not None:
            group.start_soon(beside)
        try:
            async for entry in entries:
                state, said_s = state.apply(entry), anyio.current_time()
                if entry.position > after:
                    shown.show(entry, state)
        except Exception as error:  # noqa: BLE001  carried past the group, which would wrap it
            failure.append(error)
        group.cancel_scope.cancel()
    if failure:
        raise failure[0]
    return state


def say_verdict(execution: Execution) -> None:
    """Print the verdict and why, the last thing that is said of an execution."""
    assert execution.verdict is not None, "it has ended"
    word = execution.verdict.replace("_", " ").upper()
    colour = VERDICT_COLOURS.get(execution.verdict, "red")
    click.echo(f"{click.style(word, fg=colour, bold=True)}  {execution.reason}")


def clock(since: timedelta) -> str:
    """Return the time since the start as minutes and seconds."""
    minutes, seconds = divmod(max(0.0, since.total_seconds()), 60)
    return f"{int(minutes):02d}:{seconds:04.1f}"
