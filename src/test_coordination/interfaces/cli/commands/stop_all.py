"""``tcoord stop-all``: stop every execution that there is."""

from __future__ import annotations

import click

from test_coordination.application.wishes import Desire
from test_coordination.interfaces.cli.options import examples
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.wishing import output_option, wished


@click.command(
    "stop-all", epilog=examples('tcoord stop-all --reason "customers see errors: incident 4711"')
)
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is put on record.")
@output_option
@click.pass_obj
def command(program: Program, reason: str, output: str) -> None:
    """Stop every execution of every worker on every machine, and every suite, now.

    It waits in no queue, and takes PostgreSQL and Redis at the same time, so one of them is
    enough. Faults are undone, newest first; what waits in the queue is ended without having
    begun. What is ordered afterwards is not concerned, and neither are schedules.

    Exits with 4 if there are executions whose workers have not answered within some seconds.
    """
    wished(program, Desire.ABORT, None, reason=reason, output=output)
