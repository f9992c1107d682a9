"""``tcoord resume``: let an execution go on that was paused."""

from __future__ import annotations

import click

from test_coordination.application.wishes import Desire
from test_coordination.interfaces.cli.options import examples
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.wishing import wish_options, wished


@click.command("resume", epilog=examples("tcoord resume 9c1d02"))
@wish_options
@click.pass_obj
def command(program: Program, execution: str, reason: str, output: str) -> None:
    """Let EXECUTION go on that was paused, whoever runs it; one that is not paused just does."""
    wished(program, Desire.RESUME, execution, reason=reason, output=output)
