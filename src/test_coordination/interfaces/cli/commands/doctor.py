"""``tcoord doctor``: see whether everything is ready, and undo what was left behind."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from test_coordination.interfaces.cli.exits import EXIT_COULD_NOT_RUN, carried_out
from test_coordination.interfaces.cli.options import choice, system_options
from test_coordination.interfaces.cli.program import Finding, Program


@click.command("doctor")
@system_options
@click.pass_obj
def command(
    program: Program, topology: Path | None, variables: tuple[str, ...], port_offset: int
) -> None:
    """See whether everything is ready to run scenarios, and how to mend what is not.

    What dead coordinators left in force is undone on the way. Exits with 4 if something is
    wrong.
    """
    chosen = choice(topology, variables, port_offset)

    async def job() -> Sequence[Finding]:
        return await program.diagnose(program.topology(chosen))

    findings = carried_out(job)
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        sign = click.style("ok", fg="green") if finding.well else click.style("--", fg="red")
        click.echo(f"{sign}  {finding.subject:<{width}}  {finding.detail}")
        if finding.remedy:
            click.echo(f"    {'':<{width}}  {finding.remedy}")
    if not all(finding.well for finding in findings):
        sys.exit(EXIT_COULD_NOT_RUN)
