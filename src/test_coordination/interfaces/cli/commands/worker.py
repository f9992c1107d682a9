"""``tcoord worker``: carry out what others ordered, until told to end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
import click

from test_coordination.application.serving import DRAIN, EXECUTIONS_MAX, FleetWorker, Load
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId, format_bytes, format_duration
from test_coordination.interfaces.cli.exits import carried_out
from test_coordination.interfaces.cli.interruptions import told_to
from test_coordination.interfaces.cli.options import (
    DURATION,
    SIZE,
    choice,
    examples,
    pairs,
    system_options,
)
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.progress import VERDICT_COLOURS


@click.command(
    "worker",
    epilog=examples(
        "tcoord worker --topology shop.yaml",
        "tcoord worker --topology shop.yaml --label zone=eu --max-executions 20",
        "tcoord worker --topology shop.yaml --max-memory 512MiB --drain 2m",
    ),
)
@system_options
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="What executions may require of a worker; may be repeated.",
)
@click.option(
    "--max-executions",
    type=click.IntRange(min=1),
    default=EXECUTIONS_MAX,
    show_default=True,
    help="How many executions it is at, at most.",
)
@click.option(
    "--max-memory",
    type=SIZE,
    metavar="SIZE",
    help="Take no further execution while the process has more than that, such as 512MiB.",
)
@click.option(
    "--max-probes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="PER_SECOND",
    help="Look at systems at most so often; take no further execution while that is too little.",
)
@click.option(
    "--drain",
    type=DURATION,
    default=format_duration(DRAIN),
    show_default=True,
    help="How long executions have to end by themselves once this worker is told to end.",
)
@click.pass_obj
def command(
    program: Program,
    *,
    topology: Path | None,
    variables: tuple[str, ...],
    port_offset: int,
    labels: tuple[str, ...],
    max_executions: int,
    max_memory: int | None,
    max_probes: float | None,
    drain: timedelta,
) -> None:
    """Carry out what others ordered with `tcoord run --detach`, and what schedules bring.

    An execution goes to a worker that knows the faults, actions and probes in it, reaches the
    system it is about, and has the labels that it requires. When a worker dies, others undo the
    faults that it left, and carry its executions on.

    Told to end (SIGTERM, Ctrl-C), it takes no more and ends what it is at; what is left after
    --drain goes to other workers, and so does everything when it is told twice.
    """
    load = Load(
        labels=tuple(f"{name}={value}" for name, value in pairs(labels, option="--label").items()),
        executions_max=max_executions,
        memory_max=max_memory,
        probes_per_s=max_probes,
        drain=drain,
    )
    chosen = choice(topology, variables, port_offset)

    async def job() -> None:
        async with program.worker(program.topology(chosen), load, _Told()) as worker:
            _introduce(worker)
            await _serve(worker)
        click.echo("ended")

    carried_out(job)


async def _serve(worker: FleetWorker) -> None:
    """Serve until a signal comes; a second one leaves what is under way to others at once."""
    stopping, scope = anyio.Event(), anyio.CancelScope()

    def stop() -> None:
        if stopping.is_set():
            scope.cancel()
        stopping.set()

    with told_to(stop), scope:
        await worker.serve(stopping)


def _introduce(worker: FleetWorker) -> None:
    load, offers = worker.terms.load, worker.terms.offers
    memory = f", {format_bytes(load.memory_max)} of memory" if load.memory_max is not None else ""
    probes = f", {load.probes_per_s:g} probes a second" if load.probes_per_s is not None else ""
    click.echo(f"worker {worker.me}: at most {load.executions_max} executions{memory}{probes}")
    shown = sorted(each for each in offers if each.startswith(("topology ", "label ", "python ")))
    if not any(each.startswith("topology ") for each in shown):
        shown.append("no system, for it was given no topology")
    click.echo(f"offers {', '.join(shown)}")


class _Told:
    """A line for each execution that is taken, ended, or given back."""

    def taken(self, execution: ExecutionId, scenario: str) -> None:
        click.echo(f"taken   {execution}  {scenario}")

    def ended(self, execution: ExecutionId, scenario: str, end: Execution) -> None:
        assert end.verdict is not None, "it has ended"
        word = end.verdict.replace("_", " ")
        colour = VERDICT_COLOURS.get(end.verdict, "red")
        click.echo(f"ended   {execution}  {scenario}  {click.style(word, fg=colour)}")

    def given_back(self, execution: ExecutionId, scenario: str, reason: str) -> None:
        click.echo(f"back    {execution}  {scenario}  {reason}")

    def draining(self, executions: int, limit: timedelta) -> None:
        if executions:
            number = f"{executions} execution{'s have' if executions != 1 else ' has'}"
            click.echo(f"draining: {number} {format_duration(limit)} to end", err=True)
