"""``tcoord pause``: have nothing further begun in an execution."""

from __future__ import annotations

import click

from test_coordination.application.wishes import Desire
from test_coordination.interfaces.cli.options import examples
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.wishing import wish_options, wished


@click.command("pause", epilog=examples("tcoord pause 9c1d02", "tcoord pause 9c1d02 --undo"))
@wish_options
@click.option("--undo", is_flag=True, help="End the faults that are in force, newest first.")
@click.pass_obj
def command(program: Program, execution: str, reason: str, output: str, *, undo: bool) -> None:
    """Have nothing further begun in EXECUTION until `tcoord resume`, whoever runs it.

    What is under way goes on: waits, checks, and faults for as long as they are to be held. No
    timeout runs meanwhile. With --undo faults are ended, and are not injected again; then it
    cannot be judged as held. Scenarios that it runs as steps are paused with it.
    """
    wished(program, Desire.PAUSE, execution, reason=reason, output=output, undo=undo)
