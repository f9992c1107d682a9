"""``tcoord undo``: undo what was left in force."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from test_coordination.application.engine.sweep import Swept
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.commands.run import say_swept
from test_coordination.interfaces.cli.exits import EXIT_STATUS, carried_out
from test_coordination.interfaces.cli.program import Program


@click.command("undo")
@click.pass_obj
def command(program: Program) -> None:
    """Undo every fault that dead coordinators left, and those that could not be undone before.

    What living coordinators run is not touched. Exits with 6 if something is still in force.
    """

    async def job() -> Sequence[Swept]:
        async with program.coordinator(None) as coordinator:
            return [*coordinator.swept, *await coordinator.undo_faults()]

    swept = carried_out(job)
    say_swept(swept)
    left = {(one.execution, fault.step) for one in swept for fault in one.left}
    cleared = {(one.execution, fault.step) for one in swept for fault in one.undone}
    if left - cleared or any(one.trouble for one in swept):
        sys.exit(EXIT_STATUS[Verdict.RESIDUE])
    if not cleared:
        click.echo("nothing was left in force")
