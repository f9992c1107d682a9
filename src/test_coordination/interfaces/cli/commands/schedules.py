"""``tcoord schedules``: let scenarios run by themselves."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import click

from test_coordination.application.coordinator import Coordinator
from test_coordination.application.schedules import Schedules
from test_coordination.application.timetable import FiringState
from test_coordination.application.world import NoTopologyError
from test_coordination.domain.due import Occasion
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.schedule import Schedule
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ScenarioId
from test_coordination.interfaces.cli.exits import EXIT_COULD_NOT_RUN, carried_out, refuse
from test_coordination.interfaces.cli.interruptions import told_to
from test_coordination.interfaces.cli.layout import width
from test_coordination.interfaces.cli.options import choice, examples, pairs, system_options
from test_coordination.interfaces.cli.ordering import Terms, named_order, order_of
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.schedule_options import Words, schedule_of, schedule_options
from test_coordination.interfaces.cli.schedule_text import (
    firing_document,
    firing_rows,
    occasion_document,
    occasion_rows,
    schedule_document,
    schedule_lines,
    schedule_rows,
    state_words,
)
from test_coordination.interfaces.cli.sources import existing, is_file, versioned

Result = TypeVar("Result")

PAGE = 500
AHEAD = 5
WAITS = "it waits to hear of something"

OUTPUT = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)


class ScheduleGroup(click.Group):
    """Without a command it lists, and a name alone is shown."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the command that is left out."""
        first = args[0] if args else ""
        if first in ctx.help_option_names:
            return super().parse_args(ctx, args)
        if not first or first.startswith("-"):
            args = ["list", *args]
        elif first not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(
    "schedules",
    cls=ScheduleGroup,
    epilog=examples(
        "tcoord schedules create nightly --scenario restart.yaml \\",
        "    --topology shop.yaml --cron '30 2 * * *' --zone Europe/Berlin",
        "tcoord schedules preview nightly",
        "tcoord schedules pause nightly --reason 'release week'",
    ),
)
def command() -> None:
    """Let scenarios run by themselves: by a cron, a period, after others, on events.

    Without a command, schedules are listed; the name of one alone shows it. What is due is begun
    by `tcoord worker`, or by `tcoord schedules run`, and carried out by workers.
    """


def _with_coordinator(
    program: Program,
    job: Callable[[Coordinator], Coroutine[None, None, Result]],
    system: Topology | None = None,
) -> Result:
    async def lent() -> Result:
        async with program.coordinator(system) as coordinator:
            return await job(coordinator)

    return carried_out(lent)


@command.command("create")
@click.argument("name")
@click.option(
    "--scenario",
    "what",
    required=True,
    metavar="FILE|NAME[@VERSION]",
    help="What runs: always that version, or the newest.",
)
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give a parameter a value; may be repeated. A secret is given as env:NAME or file:PATH.",
)
@click.option("--seed", type=click.IntRange(min=0), help="What chance chooses is drawn from this.")
@click.option("--dry-run", is_flag=True, help="Show the next runs, and keep nothing.")
@system_options
@schedule_options
@click.pass_obj
def create_command(
    program: Program,
    *,
    name: str,
    what: str,
    parameters: tuple[str, ...],
    seed: int | None,
    dry_run: bool,
    topology: Path | None,
    variables: tuple[str, ...],
    port_offset: int,
    words: Words,
) -> None:
    """Let a scenario run by itself from now on, under NAME.

    Exactly one option says when. It is planned first, with the parameters and the topology, and
    refused if it could not run.
    """
    schedule = schedule_of(words)
    if dry_run:
        _look_ahead(program, schedule, seed or 0)
        return
    terms = Terms(parameters=pairs(parameters, option="--set"), seed=seed, with_dependencies=False)
    system = program.topology(choice(topology, variables, port_offset))
    if system is None:
        refuse(NoTopologyError(doing=f"scheduling {what}"))

    async def job(coordinator: Coordinator) -> None:
        await coordinator.schedule_scenario(
            await _scenario(coordinator, program, what, terms=terms),
            schedule,
            terms.parameters,
            name=name,
            newest=is_file(what) or versioned(what)[1] is None,
            requested_by=getpass.getuser(),
            seed=seed,
        )
        click.echo(f"{name} is scheduled")
        _say(occasion_rows(await coordinator.preview_schedule(name, count=AHEAD)))

    _with_coordinator(program, job, system)


def _look_ahead(program: Program, schedule: Schedule, seed: int) -> None:
    async def look() -> Sequence[Occasion]:
        schedules = Schedules(world=program.desk.world(None))
        return await schedules.look_ahead(schedule, count=AHEAD, seed=seed)

    _say(occasion_rows(carried_out(look)) or [WAITS])


async def _scenario(
    coordinator: Coordinator, program: Program, what: str, *, terms: Terms
) -> ScenarioId:
    """Return the scenario that is meant, once it is stored.

    Raises:
        click.UsageError: there is none, or it is something else.
    """
    desk = program.desk
    if is_file(what):
        order = order_of(existing(what), desk, terms)
    else:
        order = await named_order(what, coordinator, desk=desk, terms=terms)
    if order.kind is not DocumentKind.SCENARIO:
        message = f"{what} is a {order.kind}; only scenarios can be scheduled"
        raise click.UsageError(message)
    if order.stored is not None:
        return order.stored.id
    return await coordinator.create_scenario(order.text, file=order.file, library=order.library)


@command.command("list")
@OUTPUT
@click.pass_obj
def list_command(program: Program, output: str) -> None:
    """List all schedules, by name."""

    async def job(coordinator: Coordinator) -> None:
        known = list(await coordinator.list_schedules(limit=PAGE))
        page = known
        while len(page) == PAGE:
            page = list(await coordinator.list_schedules(limit=PAGE, after=page[-1].name))
            known += page
        if output == "json":
            click.echo(json.dumps([schedule_document(each) for each in known], indent=2))
        else:
            _say(schedule_rows(known))

    _with_coordinator(program, job)


@command.command("show")
@click.argument("name")
@OUTPUT
@click.pass_obj
def show_command(program: Program, name: str, output: str) -> None:
    """Show a schedule, and how far it has come."""

    async def job(coordinator: Coordinator) -> None:
        stored = await coordinator.schedule(name)
        if output == "json":
            click.echo(json.dumps(schedule_document(stored), indent=2))
        else:
            _say(schedule_lines(stored, columns=width()))

    _with_coordinator(program, job)


@command.command("preview")
@click.argument("name")
@click.option("--count", type=click.IntRange(1, 1000), default=10, show_default=True)
@OUTPUT
@click.pass_obj
def preview_command(program: Program, name: str, count: int, output: str) -> None:
    """Show the next runs of a schedule, in its time zone."""

    async def job(coordinator: Coordinator) -> None:
        ahead = await coordinator.preview_schedule(name, count=count)
        if output == "json":
            click.echo(json.dumps([occasion_document(each) for each in ahead], indent=2))
            return
        stored = await coordinator.schedule(name)
        if stored.paused_at is not None:
            click.echo("it is paused; this is what would run if it were not", err=True)
        over = "it is over" if state_words(stored) == "over" else WAITS
        _say(occasion_rows(ahead) or [over])

    _with_coordinator(program, job)


@command.command("history")
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@OUTPUT
@click.pass_obj
def history_command(program: Program, name: str, limit: int, output: str) -> None:
    """Show the runs that a schedule asked for, and what became of them, newest first."""

    async def job(coordinator: Coordinator) -> None:
        firings = await coordinator.schedule_history(name, limit=limit)
        if output == "json":
            click.echo(json.dumps([firing_document(each) for each in firings], indent=2))
            return
        stored = await coordinator.schedule(name)
        _say(firing_rows(firings, stored.schedule))

    _with_coordinator(program, job)


@command.command("pause")
@click.argument("name")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who wonder.")
@click.pass_obj
def pause_command(program: Program, name: str, reason: str) -> None:
    """Begin nothing of a schedule until it is resumed; what runs goes on."""

    async def job(coordinator: Coordinator) -> None:
        await coordinator.pause_schedule(name, reason=reason)

    _with_coordinator(program, job)
    click.echo(f"{name} is paused: {reason}")


@command.command("resume")
@click.argument("name")
@click.pass_obj
def resume_command(program: Program, name: str) -> None:
    """Let a schedule go on; what it left out meanwhile is not made up for."""

    async def job(coordinator: Coordinator) -> None:
        await coordinator.resume_schedule(name)
        click.echo(f"{name} goes on")
        _say(occasion_rows(await coordinator.preview_schedule(name, count=1)))

    _with_coordinator(program, job)


@command.command("delete")
@click.argument("name")
@click.pass_obj
def delete_command(program: Program, name: str) -> None:
    """Forget a schedule and its history; its executions stay."""

    async def job(coordinator: Coordinator) -> None:
        await coordinator.delete_schedule(name)

    _with_coordinator(program, job)
    click.echo(f"{name} is deleted")


@command.command("trigger")
@click.argument("name")
@click.pass_obj
def trigger_command(program: Program, name: str) -> None:
    """Ask for a run of a schedule now, whatever the time.

    Exits with 4 if it is left out because the last run is under way.
    """

    async def job(coordinator: Coordinator) -> bool:
        firing = await coordinator.trigger_schedule(name, by=getpass.getuser())
        if firing.state is FiringState.SKIPPED:
            click.echo(f"left out: {firing.why}", err=True)
            return False
        click.echo(f"execution {firing.execution} is to be begun")
        return True

    if not _with_coordinator(program, job):
        sys.exit(EXIT_COULD_NOT_RUN)


@command.command("post")
@click.argument("event")
@click.option(
    "--data",
    multiple=True,
    metavar="NAME=VALUE",
    help="What conditions find as event.data.NAME; may be repeated.",
)
@click.pass_obj
def post_command(program: Program, event: str, data: tuple[str, ...]) -> None:
    """Say that EVENT has happened; schedules that wait for it run."""
    told = pairs(data, option="--data")

    async def job(coordinator: Coordinator) -> None:
        await coordinator.post_event(event, dict(told))

    _with_coordinator(program, job)
    click.echo(f"{event} is told")


@command.command("run")
@system_options
@click.pass_obj
def run_command(
    program: Program, topology: Path | None, variables: tuple[str, ...], port_offset: int
) -> None:
    """Begin what is due, until told to end; workers carry it out.

    `tcoord worker` does that as well. Any number may be at work at once: each run is begun once.
    """
    system = program.topology(choice(topology, variables, port_offset))
    if system is None:
        refuse(NoTopologyError(doing="going through schedules"))
    name = system.name

    async def job(coordinator: Coordinator) -> None:
        scope = anyio.CancelScope()
        click.echo(f"going through the schedules of {name}; Ctrl-C ends it")
        with told_to(scope.cancel), scope:
            await coordinator.run_schedules()

    _with_coordinator(program, job, system)
    click.echo("ended")


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)
