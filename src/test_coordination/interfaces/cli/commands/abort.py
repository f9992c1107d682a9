"""``tcoord abort``: stop an execution, whoever runs it."""

from __future__ import annotations

import click

from test_coordination.application.wishes import Desire
from test_coordination.interfaces.cli.options import examples
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.wishing import wish_options, wished


@click.command(
    "abort",
    epilog=examples("tcoord abort 9c1d02", 'tcoord abort 9c1d02 --reason "orders are lost"'),
)
@wish_options
@click.pass_obj
def command(program: Program, execution: str, reason: str, output: str) -> None:
    """Stop EXECUTION, whoever runs it, on any machine: every fault is undone, newest first.

    The begin or the end of its identity is enough, if no other one ends or begins alike. The
    undo begins within a second, also while PostgreSQL is slow or away, as long as there is a
    Redis. See with `tcoord follow` how it ends. What waits for a worker is ended at once.

    Exits with 4 if it is not known whether anybody will stop it.
    """
    wished(program, Desire.ABORT, execution, reason=reason, output=output)
