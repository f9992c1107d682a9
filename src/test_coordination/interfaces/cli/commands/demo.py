"""``tcoord demo``: break a small trading system and watch it recover."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import Final

import anyio
import click

from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.topology import Topology
from test_coordination.interfaces.cli.commands.run import say_swept
from test_coordination.interfaces.cli.exits import carried_out
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.running import Order, run_order, write_reports

SCENARIO: Final = "scenarios/exchange-restart-under-load.yaml"


@click.command("demo")
@click.option(
    "--build",
    type=click.Choice(["hardened", "fragile"]),
    default="hardened",
    show_default=True,
    help="Which of the two trading systems to break: one is careful, one is not.",
)
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="The folder that the report is written to.",
)
@click.pass_obj
def command(program: Program, build: str, folder: Path) -> None:
    """Break a small trading system under load and see whether it recovers.

    Starts a database, the services of the trading example and a load of orders; stops the
    exchange for five seconds; proves whether an order was lost; stops everything again. The
    hardened build holds (exit status 0), the fragile one loses orders (exit status 1).
    """
    scenario = program.shipped(SCENARIO)
    order = Order(
        kind=DocumentKind.SCENARIO,
        text=scenario.read_text(encoding="utf-8"),
        file=scenario.name,
        library=program.desk.beside(scenario.parent),
        parameters={},
    )

    async def job() -> int:
        async with (
            program.demo_system(build) as topology,
            program.coordinator(topology) as coordinator,
        ):
            say_swept(coordinator.swept)
            try:
                await _start(program, topology, build)
                execution, status = await run_order(coordinator, order)
            finally:
                with anyio.CancelScope(shield=True):
                    await program.down(topology)
            report = await coordinator.generate_test_report(execution)
        (path,) = write_reports(program, report, folder=folder, forms=("html",))
        click.echo(f"report: {path.resolve().as_uri()}")
        return status

    sys.exit(carried_out(job))


async def _start(program: Program, topology: Topology, build: str) -> None:
    began = monotonic()
    click.echo(f"starting the {build} trading system: {', '.join(topology.services)}")
    await program.up(topology)
    click.echo(f"all services are healthy after {monotonic() - began:.1f} s")
