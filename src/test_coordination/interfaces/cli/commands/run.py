"""``tcoord run``: run a scenario or a suite to its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from test_coordination.application.coordinator import Coordinator
from test_coordination.application.dependencies import DependencyNotMetError
from test_coordination.application.engine.sweep import Swept
from test_coordination.application.fleet import taking
from test_coordination.application.routing import lacking
from test_coordination.application.world import NoTopologyError
from test_coordination.domain.admission import PRIORITY_MAX
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.values import ExecutionId
from test_coordination.interfaces.cli.exits import carried_out
from test_coordination.interfaces.cli.options import choice, examples, pairs, system_options
from test_coordination.interfaces.cli.ordering import Terms, named_order, order_of
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.running import FORMS, Order, run_order, submit, write_reports
from test_coordination.interfaces.cli.sources import existing, is_file
from test_coordination.interfaces.cli.suite_running import run_suite


@click.command(
    "run",
    epilog=examples(
        "tcoord run restart.yaml --topology shop.yaml --set outage=30s",
        "tcoord run exchange-restart-under-load@3 --format junit --format html",
        "tcoord run checkout.yaml --set token=env:SHOP_TOKEN --with-dependencies",
    ),
)
@click.argument("what", metavar="FILE|NAME[@VERSION]")
@system_options
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give a parameter a value; may be repeated. A secret is given as env:NAME or file:PATH.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="What is left to chance is drawn from this; drawn itself if left out.",
)
@click.option(
    "--with-dependencies", is_flag=True, help="Run what it depends on first, where need be."
)
@click.option(
    "--detach",
    is_flag=True,
    help="Leave it to the workers (see `tcoord worker`), and print the execution's id.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="With --detach: a label that the worker must have; may be repeated.",
)
@click.option(
    "--priority",
    type=click.IntRange(-PRIORITY_MAX, PRIORITY_MAX),
    default=0,
    show_default=True,
    help="Those of a higher one are let out of the queue first.",
)
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="The folder that reports are written to; not with --detach.",
)
@click.option(
    "--format",
    "forms",
    type=click.Choice(list(FORMS)),
    multiple=True,
    default=("html",),
    show_default=True,
    help="The form of a report; may be repeated. Not with --detach.",
)
@click.pass_obj
def command(
    program: Program,
    *,
    what: str,
    topology: Path | None,
    variables: tuple[str, ...],
    port_offset: int,
    parameters: tuple[str, ...],
    seed: int | None,
    with_dependencies: bool,
    detach: bool,
    labels: tuple[str, ...],
    priority: int,
    folder: Path,
    forms: tuple[str, ...],
) -> None:
    """Run a scenario or a suite to its end, and leave a report of each execution.

    The services must run already: see `tcoord services start`. What a FILE extends or runs is
    looked for beside it first; a NAME in this folder, in those of TCOORD_LIBRARY, in the store,
    and among what is shipped. Where it claims what others hold, it waits for it. Ctrl-C stops
    what runs, and undoes its faults first. The exit status is that of the gravest verdict.
    """
    if detach:
        _refuse_reports(click.get_current_context())
    terms = Terms(
        parameters=pairs(parameters, option="--set"),
        seed=seed,
        with_dependencies=with_dependencies,
        priority=priority,
        labels=_labels(labels, detach=detach),
        detached=detach,
    )
    order = order_of(existing(what), program.desk, terms) if is_file(what) else None

    async def job() -> int:
        system = program.topology(choice(topology, variables, port_offset))
        if system is None:
            raise NoTopologyError(doing=f"running {what}")
        async with program.coordinator(system) as coordinator:
            say_swept(coordinator.swept)
            wanted = order or await named_order(what, coordinator, desk=program.desk, terms=terms)
            if detach:
                click.echo(await _submit(coordinator, wanted))
                return 0
            executions, status = await _run(coordinator, wanted)
            reports = [await coordinator.generate_test_report(each) for each in executions]
        for report in reports:
            for path in write_reports(program, report, folder=folder, forms=forms):
                click.echo(f"report: {path}")
        return status

    sys.exit(carried_out(job))


async def _run(coordinator: Coordinator, order: Order) -> tuple[Sequence[ExecutionId], int]:
    if order.kind is DocumentKind.SUITE:
        if order.with_dependencies:
            message = "a suite runs what it lists; list what its scenarios depend on before them"
            raise click.UsageError(message)
        return await run_suite(coordinator, order)
    with _hinting(order):
        execution, status = await run_order(coordinator, order)
    return [execution], status


async def _submit(coordinator: Coordinator, order: Order) -> ExecutionId:
    if order.kind is DocumentKind.SUITE:
        raise click.UsageError("a suite is not run detached; run its scenarios so, one by one")
    with _hinting(order):
        execution = await submit(coordinator, order)
    record = await coordinator.execution_record(execution)
    if lacks := lacking(record.requires, taking(await coordinator.workers())):
        click.echo(f"it waits: {lacks}", err=True)
    return execution


def _refuse_reports(context: click.Context) -> None:
    """Refuse what asks for a report of what is not waited for."""
    options = {"folder": "--report", "forms": "--format"}
    unset = (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    given = [o for name, o in options.items() if context.get_parameter_source(name) not in unset]
    if given:
        message = (
            f"{' and '.join(given)} cannot go with --detach, which waits for no end; "
            "`tcoord follow` waits for it, and `tcoord report` writes the report then"
        )
        raise click.UsageError(message)


@contextmanager
def _hinting(order: Order) -> Iterator[None]:
    try:
        yield
    except DependencyNotMetError as error:
        if not order.with_dependencies:
            error.add_note(f"--with-dependencies runs {error.dependency!r} first")
        raise


def _labels(texts: tuple[str, ...], *, detach: bool) -> tuple[str, ...]:
    if texts and not detach:
        raise click.UsageError("--label chooses a worker: it goes with --detach")
    return tuple(f"{name}={value}" for name, value in pairs(texts, option="--label").items())


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
