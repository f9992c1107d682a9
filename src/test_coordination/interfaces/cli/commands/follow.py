"""``tcoord follow``: show an execution while it runs, whoever runs it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import click

from test_coordination.application.coordinator import Coordinator
from test_coordination.application.engine.patience import patiently
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.events import (
    Entry,
    ExecutionReleased,
    ExecutionStarted,
    ExecutionTakenOver,
)
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId
from test_coordination.interfaces.cli.choosing import RECENT, chosen
from test_coordination.interfaces.cli.exits import EXIT_STATUS, carried_out
from test_coordination.interfaces.cli.options import examples
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.progress import (
    Progress,
    progress,
    say_verdict,
    shown_to_the_end,
)
from test_coordination.interfaces.cli.queueing import tell_while


@click.command(
    "follow",
    epilog=examples(
        "tcoord follow",
        "tcoord follow 9c1d",
        "tcoord follow 9c1d --after 17 --output json",
    ),
)
@click.argument("execution", required=False)
@click.option(
    "--after",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Leave out the first N entries of its log.",
)
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="JSON is a line an entry, each with its position in the log.",
)
@click.pass_obj
def command(program: Program, execution: str | None, *, after: int, output: str) -> None:
    """Show EXECUTION, or the newest one, from its begin to its end, while it runs or later.

    Any number of people may follow it, on any machine that reaches the stores. Ctrl-C ends the
    following and not the execution. The begin or the end of its identity is enough, if no other
    recent one begins or ends alike. The exit status is that of its verdict, as if it had been run
    here.
    """

    async def job() -> Execution:
        async with program.coordinator(None) as coordinator:
            # Who shares the servers of a run that ends just now has them back in a moment.
            listed = partial(coordinator.list_executions, limit=RECENT)
            records = await patiently(listed, doing="looking for the execution")
            identity = chosen(execution, [record.id for record in records])
            record = await coordinator.execution_record(identity)
            place = _Place(after)
            entries = place.noted(coordinator.follow_execution(identity))
            try:
                if output == "json":
                    return await _printed(program, identity, entries, after=after)
                telling = partial(tell_while, coordinator, identity, waits=place.waits)
                return await _shown(coordinator, record, entries, telling, after=after)
            except anyio.get_cancelled_exc_class():
                click.echo(f"go on with `tcoord follow {identity} --after {place.last}`", err=True)
                raise

    ended = carried_out(job)
    assert ended.verdict is not None, "it was followed to its end"
    if output == "text":
        say_verdict(ended)
    sys.exit(EXIT_STATUS[ended.verdict])


class _Place:
    """How far the log was shown, and whether it says that a worker has the execution."""

    def __init__(self, last: int) -> None:
        self.last = last
        self._has_worker = False

    def waits(self) -> bool:
        """Tell whether no worker has it."""
        return not self._has_worker

    async def noted(self, entries: AsyncIterator[Entry]) -> AsyncIterator[Entry]:
        async for entry in entries:
            if isinstance(entry.event, ExecutionStarted | ExecutionTakenOver):
                self._has_worker = True
            if isinstance(entry.event, ExecutionReleased):
                self._has_worker = False
            yield entry
            self.last = max(self.last, entry.position)


async def _shown(
    coordinator: Coordinator,
    record: ExecutionRecord,
    entries: AsyncIterator[Entry],
    telling: Callable[[Progress], Coroutine[Any, Any, None]],
    *,
    after: int,
) -> Execution:
    click.echo(f"{record.scenario_name} (version {record.scenario_version}), {record.id}")
    over = record.status is Status.FINISHED
    prospect = None if over else await coordinator.execution_forecast(record.id)
    with progress(record.plan, prospect) as shown:
        begun, beside = Execution(id=record.id), partial(telling, shown)
        return await shown_to_the_end(begun, entries, shown, after=after, beside=beside)


async def _printed(
    program: Program, execution: ExecutionId, entries: AsyncIterator[Entry], *, after: int
) -> Execution:
    state = Execution(id=execution)
    async for entry in entries:
        state = state.apply(entry)
        if entry.position > after:
            click.echo(program.entry(entry))
    return state
