"""Show an execution while it runs: plain lines, or a picture that moves on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

import click

from test_coordination.domain.events import Entry, ExecutionEnded
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.narration import narrate

COLOURS = {"good": "green", "bad": "red", "warn": "yellow", "fault": "magenta"}
VERDICT_COLOURS = {
    Verdict.HELD: "green",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.STOPPED: "yellow",
}


class Progress(Protocol):
    """What is told of an execution while it runs."""

    def show(self, entry: Entry, state: Execution) -> None:
        """Tell of ``entry``; ``state`` is the execution after it."""
        ...


class PlainProgress:
    """A line an event, with the time since the start; for pipes, logs and simple terminals."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def show(self, entry: Entry, state: Execution) -> None:
        """See `Progress.show`."""
        line = narrate(entry.event, self._plan)
        if line is None or isinstance(entry.event, ExecutionEnded):
            return
        since = entry.at - (state.started_at or entry.at)
        text = click.style(line.text, fg=COLOURS.get(line.mood))
        click.echo(f"{clock(since)}  {text}")


def is_moving() -> bool:
    """Tell whether standard output is a terminal that may be painted and drawn upon."""
    dumb = os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and not dumb


@contextmanager
def progress(plan: Plan) -> Iterator[Progress]:
    """Lend the progress that fits where standard output goes."""
    if is_moving():
        from test_coordination.interfaces.cli.moving import moving_progress  # noqa: PLC0415  rich is slow to import, and of no use in a pipe

        with moving_progress(plan) as moving:
            yield moving
    else:
        yield PlainProgress(plan)


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
