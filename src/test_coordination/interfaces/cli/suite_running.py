"""Run a suite from the command line: its entries as they begin and end, and a table of all."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Final, Protocol

import click

from test_coordination.application.coordinator import Coordinator
from test_coordination.application.ports import ExecutionRecord
from test_coordination.application.suite_runs import EntryResult, SuiteResult
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.exits import EXIT_INTERRUPTED, EXIT_STATUS
from test_coordination.interfaces.cli.interruptions import interruptible
from test_coordination.interfaces.cli.layout import columns_of, fold, short, width
from test_coordination.interfaces.cli.plan_text import shown
from test_coordination.interfaces.cli.progress import VERDICT_COLOURS, clock, is_moving
from test_coordination.interfaces.cli.running import Order

RECENT: Final = 1_000
"""As many entries as a suite may have."""


async def run_suite(coordinator: Coordinator, order: Order) -> tuple[Sequence[ExecutionId], int]:
    """Run a suite to its end; return its executions and the exit status that it earned."""
    suite = (
        order.stored.id
        if order.stored is not None
        else await coordinator.create_suite(order.text, file=order.file, library=order.library)
    )
    run = await coordinator.execute_suite(
        suite,
        order.parameters,
        requested_by=getpass.getuser(),
        seed=order.seed,
        priority=order.priority,
    )

    async def followed() -> SuiteResult:
        with entries_shown() as told:
            async for entry in coordinator.follow_suite(run):
                told.show(entry)
        return await coordinator.suite_result(run)

    async def abort() -> None:
        await coordinator.abort_suite(run, reason="interrupted", by=getpass.getuser())

    result, interruptions = await interruptible(followed, abort)
    records = await coordinator.list_executions(limit=RECENT, suite=run)
    say_result(result, records)
    status = EXIT_STATUS[result.verdict]
    if interruptions.count and result.verdict is not Verdict.RESIDUE:
        status = EXIT_INTERRUPTED
    return [entry.execution for entry in result.entries if entry.execution is not None], status


class EntriesShown(Protocol):
    """What is told of a suite's entries while they run."""

    def show(self, entry: EntryResult) -> None:
        """Tell that ``entry`` was ordered, and may wait in the queue, or is settled."""
        ...


class PlainEntries:
    """A line each time that an entry is ordered or settled, with the time since the start."""

    def __init__(self) -> None:
        self._began = monotonic()

    def show(self, entry: EntryResult) -> None:
        """See `EntriesShown.show`."""
        since = timedelta(seconds=monotonic() - self._began)
        click.echo(f"{clock(since)}  {entry_line(entry)}")


@contextmanager
def entries_shown() -> Iterator[EntriesShown]:
    """Lend what tells of entries in the way that fits where standard output goes."""
    if is_moving():
        from test_coordination.interfaces.cli.suite_moving import moving_entries  # noqa: PLC0415  rich is slow to import, and of no use in a pipe

        with moving_entries() as moving:
            yield moving
    else:
        yield PlainEntries()


def entry_line(entry: EntryResult) -> str:
    """Return what has become of ``entry``, with its colours."""
    if not entry.settled:
        return f"{entry.id}: {entry.scenario} ordered (execution {entry.execution})"
    why = f": {entry.why}" if entry.why else ""
    return f"{entry.id}: {painted(entry.verdict)}{why}"


def painted(verdict: Verdict | None) -> str:
    """Return a verdict in words, in its colour; None is that of what was not begun."""
    if verdict is None:
        return click.style("not begun", fg="yellow")
    return click.style(verdict.replace("_", " "), fg=VERDICT_COLOURS.get(verdict, "red"))


def say_result(result: SuiteResult, records: Sequence[ExecutionRecord]) -> None:
    """Print how each entry ended, and then the whole."""
    took = {record.id: _took(record) for record in records}
    rows = [
        (
            entry.id,
            (entry.verdict or "not begun").replace("_", " "),
            took.get(entry.execution, "") if entry.execution is not None else "",
            entry.scenario,
        )
        for entry in result.entries
    ]
    click.echo()
    for row, entry in zip(columns_of(rows), result.entries, strict=True):
        colour = "yellow" if entry.verdict is None else VERDICT_COLOURS.get(entry.verdict, "red")
        name, rest = row[: len(entry.id)], row[len(entry.id) :]
        word = (entry.verdict or "not begun").replace("_", " ")
        click.echo(f"  {name}{rest.replace(word, click.style(word, fg=colour), 1)}")
        facts = [f"{key}={shown(value)}" for key, value in entry.parameters.items()]
        text = "; ".join(filter(None, (" ".join(facts), entry.why)))
        if text:
            click.echo(click.style(fold(text, columns=width(), first="      "), dim=True))
    word = result.verdict.replace("_", " ").upper()
    colour = VERDICT_COLOURS.get(result.verdict, "red")
    reason = f"; {result.reason}" if result.reason else ""
    click.echo(f"{click.style(word, fg=colour, bold=True)}  {_counts(result)}{reason}")


def _counts(result: SuiteResult) -> str:
    words = [(entry.verdict or "not begun").replace("_", " ") for entry in result.entries]
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    return f"{result.suite}: {counts}"


def _took(record: ExecutionRecord) -> str:
    if record.started_at is None or record.ended_at is None:
        return ""
    return short(record.ended_at - record.started_at)
