"""``tcoord plan``: see what running a scenario or a suite would mean, and touch nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio
import click

from test_coordination.application.world import NoTopologyError
from test_coordination.domain.scenario import Scenario, Suite
from test_coordination.interfaces.cli.exits import EXIT_INVALID
from test_coordination.interfaces.cli.layout import fold, heading, signs, width
from test_coordination.interfaces.cli.options import choice, examples, pairs, system_options
from test_coordination.interfaces.cli.plan_json import plan_document, suite_document
from test_coordination.interfaces.cli.plan_text import PlanText
from test_coordination.interfaces.cli.planning import (
    Planned,
    PlannedEntries,
    Wish,
    planned_scenario,
    planned_suite,
)
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.sources import from_words, need_runnable
from test_coordination.interfaces.cli.suite_text import suite_lines


@click.command(
    "plan",
    epilog=examples(
        "tcoord plan restart.yaml --topology shop.yaml --set outage=30s",
        "tcoord plan exchange-restart-under-load --seed 7 --output json",
    ),
)
@click.argument("what", metavar="FILE|NAME")
@system_options
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give a parameter a value; may be repeated.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="What is left to chance is drawn from this.",
)
@click.option("--strict", is_flag=True, help="Exit with 2 if there is a warning.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(
    program: Program,
    what: str,
    topology: Path | None,
    variables: tuple[str, ...],
    port_offset: int,
    parameters: tuple[str, ...],
    seed: int,
    *,
    strict: bool,
    output: str,
) -> None:
    """See what running a scenario or a suite would mean; nothing is touched, no server needed.

    Tells in which order and when each step runs, at best and at worst, the chain that makes the
    whole as long as it is, what each fault touches and how it is undone, what was left to
    chance, locks and dependencies. FILE may be - for standard input; a NAME is looked for in
    this folder, in those of TCOORD_LIBRARY, and among what is shipped.
    """
    given = pairs(parameters, option="--set")
    source = from_words(what, program.desk)
    system = program.desk.topology(choice(topology, variables, port_offset))
    if system is None:
        raise NoTopologyError(doing=f"planning {what}")
    definition = program.desk.read(
        source.text, file=source.file, place=source.place, topology=system
    )
    wish = Wish(
        world=program.desk.world(system),
        topology=system,
        source=source,
        library=program.desk.beside(source.place),
        given=given,
        seed=seed,
    )
    match need_runnable(definition):
        case Suite():
            _say_suite(anyio.run(planned_suite, wish), output)
        case Scenario() as scenario:
            planned = anyio.run(planned_scenario, wish, scenario)
            _say_scenario(planned, scenario.title, output)
            if strict and planned.warnings:
                sys.exit(EXIT_INVALID)


def _say_scenario(planned: Planned, title: str, output: str) -> None:
    plan, warnings = planned.plan, planned.warnings
    if output == "json":
        click.echo(json.dumps(plan_document(plan, planned.outline, warnings), indent=2))
        return
    text = PlanText(plan=plan, outline=planned.outline, signs=signs(), columns=width(), title=title)
    for line in text.lines():
        click.echo(line)
    if warnings:
        click.echo(f"\n{heading('warnings')}")
        for warning in warnings:
            said = str(warning.problem)
            click.echo(fold(said, columns=width(), first="  ", later="    "))


def _say_suite(planned: PlannedEntries, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(suite_document(planned), indent=2))
        return
    for line in suite_lines(planned, columns=width()):
        click.echo(line)
