"""``tcoord report``: write the report of an execution."""

from __future__ import annotations

from pathlib import Path

import click

from test_coordination.domain.report import TestReport
from test_coordination.interfaces.cli.choosing import RECENT, chosen
from test_coordination.interfaces.cli.exits import carried_out
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.running import FORMS, write_reports


@click.command("report")
@click.argument("execution", required=False)
@click.option("--format", "form", type=click.Choice(list(FORMS)), default="html", show_default=True)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="The folder that it is written to.",
)
@click.option("--stdout", is_flag=True, help="Print it instead.")
@click.pass_obj
def command(
    program: Program, execution: str | None, form: str, folder: Path, *, stdout: bool
) -> None:
    """Write the report of EXECUTION, or of the newest one.

    The begin or the end of its identity is enough, if no other recent one begins or ends alike.
    """

    async def job() -> TestReport:
        async with program.coordinator(None) as coordinator:
            records = await coordinator.list_executions(limit=RECENT)
            identity = chosen(execution, [record.id for record in records])
            return await coordinator.generate_test_report(identity)

    report = carried_out(job)
    if stdout:
        click.echo(program.render(report, form), nl=False)
        return
    for path in write_reports(program, report, folder=folder, forms=(form,)):
        click.echo(f"report: {path}")
