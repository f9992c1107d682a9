"""``tcoord run``: run a scenario to its end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from test_coordination.application.engine.sweep import Swept
from test_coordination.application.world import NoTopologyError
from test_coordination.interfaces.cli.exits import carried_out, refuse
from test_coordination.interfaces.cli.options import FILE, choice, pairs, system_options
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.running import FORMS, Order, run_order, write_reports


@click.command("run")
@click.argument("scenario", type=FILE)
@system_options
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give a parameter of the scenario a value; may be repeated.",
)
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="The folder that the report is written to.",
)
@click.option(
    "--format",
    "forms",
    type=click.Choice(list(FORMS)),
    multiple=True,
    default=("html",),
    show_default=True,
    help="The form of the report; may be repeated.",
)
@click.pass_obj
def command(
    program: Program,
    scenario: Path,
    topology: Path | None,
    variables: tuple[str, ...],
    port_offset: int,
    parameters: tuple[str, ...],
    folder: Path,
    forms: tuple[str, ...],
) -> None:
    """Run SCENARIO to its end, and leave a report.

    The services must run already: see `tcoord services start`. Ctrl-C stops the execution and
    undoes its faults first.
    """
    order = Order(
        text=scenario.read_text(encoding="utf-8", errors="surrogateescape"),
        file=str(scenario),
        parameters=pairs(parameters, option="--set"),
    )

    async def job() -> int:
        system = program.topology(choice(topology, variables, port_offset))
        if system is None:
            refuse(NoTopologyError(doing=f"running {scenario}"))
        async with program.coordinator(system) as coordinator:
            say_swept(coordinator.swept)
            execution, status = await run_order(coordinator, order)
            report = await coordinator.generate_test_report(execution)
        for path in write_reports(program, report, folder=folder, forms=forms):
            click.echo(f"report: {path}")
        return status

    sys.exit(carried_out(job))


def say_swept(swept: Sequence[Swept]) -> None:
    """Tell what was undone before anything else was done."""
    for one in swept:
        for fault in one.undone:
            click.echo(
                f"undone: {fault.fault} on {fault.service}, left by execution "
                f"{one.execution} of {one.scenario}",
                err=True,
            )
        for fault in one.left:
            click.echo(
                f"NOT UNDONE: {fault.fault} on {fault.service}, left by execution "
                f"{one.execution} of {one.scenario}: {fault.reason}",
                err=True,
            )
        if one.trouble:
            click.echo(
                f"NOT LOOKED AT: execution {one.execution} of {one.scenario}: {one.trouble}",
                err=True,
            )
