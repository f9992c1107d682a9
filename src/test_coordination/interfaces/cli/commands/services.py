"""``tcoord services``: see, start and stop the services of a system."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from test_coordination.application.world import NoTopologyError
from test_coordination.domain.topology import Topology
from test_coordination.interfaces.cli.exits import EXIT_COULD_NOT_RUN, carried_out, refuse
from test_coordination.interfaces.cli.options import choice, system_options
from test_coordination.interfaces.cli.program import Observation, Program


@click.command("services")
@click.argument("deed", type=click.Choice(["status", "start", "stop"]), default="status")
@system_options
@click.pass_obj
def command(
    program: Program,
    deed: str,
    topology: Path | None,
    variables: tuple[str, ...],
    port_offset: int,
) -> None:
    """See the services of a system, start those that do not run, or stop all.

    Services go on when this command ends. With `status`, exits with 4 if one is not healthy.
    """
    chosen = choice(topology, variables, port_offset)

    async def job() -> Sequence[Observation]:
        system = _system(program.topology(chosen))
        if deed == "start":
            await program.up(system)
        elif deed == "stop":
            await program.down(system)
        return await program.observe(system)

    observed = carried_out(job)
    for one in observed:
        click.echo(_line(one))
    if deed == "status" and not all(one.healthy for one in observed):
        sys.exit(EXIT_COULD_NOT_RUN)


def _system(topology: Topology | None) -> Topology:
    if topology is None:
        refuse(NoTopologyError(doing="this command"))
    return topology


def _line(one: Observation) -> str:
    state = "healthy" if one.healthy else one.status
    ports = ", ".join(str(address) for address in one.service.ports.values())
    pid = f"pid {one.pid}" if one.pid else ""
    return f"{one.service.name:<20} {state:<10} {pid:<12} {ports:<18} {one.detail}".rstrip()
