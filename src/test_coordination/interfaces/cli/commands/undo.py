"""``tcoord undo``: undo what was left in force."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import click

from test_coordination.application.coordinator import Coordinator
from test_coordination.application.engine.sweep import Swept
from test_coordination.domain.execution import FaultState
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.choosing import RECENT, chosen
from test_coordination.interfaces.cli.commands.run import say_swept
from test_coordination.interfaces.cli.exits import EXIT_STATUS, carried_out
from test_coordination.interfaces.cli.options import examples
from test_coordination.interfaces.cli.program import Program


@click.command(
    "undo",
    epilog=examples(
        "tcoord undo",
        "tcoord undo 9c1d --accept-residue --reason 'the host was scrapped'",
    ),
)
@click.argument("execution", required=False)
@click.option(
    "--accept-residue",
    "accepting",
    is_flag=True,
    help="Answer for what EXECUTION left: free what it holds, though nothing is proven undone.",
)
@click.option("--reason", metavar="TEXT", help="With --accept-residue: why; it is put on record.")
@click.pass_obj
def command(
    program: Program, *, execution: str | None, accepting: bool, reason: str | None
) -> None:
    """Undo every fault that dead coordinators left, and those that could not be undone before.

    What living coordinators run is not touched. Exits with 6 if something is still in force.

    What can never be proven undone, as on a machine that is gone, keeps what it claimed. With
    --accept-residue you answer for what EXECUTION left once it was tried once more: others may
    have what it held. Its verdict stays as it is, and its log says who decided so and why.
    """
    if (execution is not None, reason is not None) != (accepting, accepting):
        message = "EXECUTION, --accept-residue and --reason go together, or none of them is given"
        raise click.UsageError(message)

    async def job() -> tuple[Sequence[Swept], Sequence[FaultState]]:
        async with program.coordinator(None) as coordinator:
            swept = [*coordinator.swept, *await coordinator.undo_faults()]
            accepted: Sequence[FaultState] = ()
            if execution is not None:
                accepted = await coordinator.accept_residue(
                    await _meant(coordinator, execution), reason=reason or "", by=getpass.getuser()
                )
            return swept, accepted

    swept, accepted = carried_out(job)
    say_swept(swept)
    for fault in accepted:
        click.echo(f"accepted, and not proven undone: {fault.fault} on {fault.service}")
    if accepting:
        if not accepted:
            click.echo("nothing of it was left to be accepted")
        return
    left = {(one.execution, fault.step) for one in swept for fault in one.left}
    cleared = {(one.execution, fault.step) for one in swept for fault in one.undone}
    if left - cleared or any(one.trouble for one in swept):
        sys.exit(EXIT_STATUS[Verdict.RESIDUE])
    if not cleared:
        click.echo("nothing was left in force")


async def _meant(coordinator: Coordinator, given: str) -> ExecutionId:
    """Return the execution that is named whole, or by one end of its identity if it is recent."""
    with suppress(ValueError):
        return ExecutionId(UUID(given))
    records = await coordinator.list_executions(limit=RECENT)
    return chosen(given, [record.id for record in records])
