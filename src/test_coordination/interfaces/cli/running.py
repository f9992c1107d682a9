"""Run a scenario from the command line: progress, Ctrl-C, verdict, reports."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click

from test_coordination.application.coordinator import Coordinator
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.ports import Library
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan
from test_coordination.domain.report import TestReport
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.values import ExecutionId, ScenarioId, Value
from test_coordination.interfaces.cli.dependencies import telling_of_dependencies
from test_coordination.interfaces.cli.exits import EXIT_INTERRUPTED, EXIT_STATUS
from test_coordination.interfaces.cli.interruptions import Interruptions, interruptible
from test_coordination.interfaces.cli.layout import listed
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.progress import progress, say_verdict, shown_to_the_end
from test_coordination.interfaces.cli.queueing import tell_of_the_queue

FORMS: Final = {"html": "html", "json": "json", "junit": "xml", "markdown": "md"}
RECENT: Final = 50
"""Among how many executions the one that was just begun is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody asked to be run: a text, or what is ``stored``.

    What it names is looked for in ``library`` first. Without a ``seed`` one is drawn. What is
    ``detached`` is carried out by a worker that has the ``labels``.
    """

    kind: DocumentKind
    text: str
    file: str
    library: Library
    parameters: Mapping[str, Value]
    stored: StoredScenario | None = None
    seed: int | None = None
    with_dependencies: bool = False
    priority: int = 0
    labels: tuple[str, ...] = ()
    detached: bool = False


async def run_order(coordinator: Coordinator, order: Order) -> tuple[ExecutionId, int]:
    """Run a scenario to its end; return the execution and the exit status that it earned.

    Raises:
        DependencyNotMetError: it depends on what has not run, and may not run that first.
    """
    scenario = await _stored(coordinator, order)
    execution = await _begun(coordinator, order, scenario)
    plan = await _plan(coordinator, execution)
    _say_chances(plan)

    async def shown() -> Execution:
        return await _shown(coordinator, execution, plan)

    async def abort() -> None:
        await coordinator.abort_execution(execution, reason="interrupted", by=getpass.getuser())

    outcome, interruptions = await interruptible(shown, abort)
    say_verdict(outcome)
    return execution, exit_status(outcome, interruptions)


async def submit(coordinator: Coordinator, order: Order) -> ExecutionId:
    """Put a scenario into the queue for the workers of the fleet, and return the execution.

    Raises:
        DependencyNotMetError: it depends on what has not run, and may not run that first.
    """
    return await _begun(coordinator, order, await _stored(coordinator, order))


async def _stored(coordinator: Coordinator, order: Order) -> ScenarioId:
    """Return the scenario once it is stored; nothing is if it cannot be run as it is ordered."""
    if order.stored is not None:
        return order.stored.id
    plan = await coordinator.plan_scenario(
        order.text,
        order.parameters,
        file=order.file,
        library=order.library,
        seed=order.seed or 0,
    )
    if not order.with_dependencies:
        for standing in await coordinator.dependencies(plan):
            if not standing.met:
                raise standing.refusal(plan.scenario)
    return await coordinator.create_scenario(order.text, file=order.file, library=order.library)


async def _begun(coordinator: Coordinator, order: Order, scenario: ScenarioId) -> ExecutionId:
    async with telling_of_dependencies(coordinator, scenario, wanted=order.with_dependencies):
        return await coordinator.execute_scenario(
            scenario,
            order.parameters,
            requested_by=getpass.getuser(),
            seed=order.seed,
            with_dependencies=order.with_dependencies,
            library=order.library,
            detached=order.detached,
            labels=order.labels,
            priority=order.priority,
        )


async def _plan(coordinator: Coordinator, execution: ExecutionId) -> Plan:
    """Return the plan by which an execution runs that was just begun."""
    records = await coordinator.list_executions(limit=RECENT)
    found = next((record.plan for record in records if record.id == execution), None)
    assert found is not None, "it was begun a moment ago"
    return found


def _say_chances(plan: Plan) -> None:
    if plan.choices:
        chosen = listed(f"{choice.step}: {listed(choice.chosen)}" for choice in plan.choices)
        click.echo(f"left to chance: {chosen} (--seed {plan.seed} chooses the same again)")


async def _shown(coordinator: Coordinator, execution: ExecutionId, plan: Plan) -> Execution:
    """Return the execution once it has ended and all of it was shown."""
    prospect = await coordinator.execution_forecast(execution)
    with progress(plan, prospect) as shown:
        entries = coordinator.follow_execution(execution)
        telling = partial(tell_of_the_queue, coordinator, execution, shown)
        await shown_to_the_end(Execution(id=execution), entries, shown, beside=telling)
    return await coordinator.execution_result(execution)


def exit_status(ended: Execution, interruptions: Interruptions) -> int:
    """Return the exit status; an undo that is not verified outranks an interruption."""
    assert ended.verdict is not None, "it has ended"
    status = EXIT_STATUS[ended.verdict]
    interrupted = interruptions.count and not ended.outstanding
    return EXIT_INTERRUPTED if interrupted else status


def write_reports(
    program: Program, report: TestReport, *, folder: Path, forms: Sequence[str]
) -> Sequence[Path]:
    """Write ``report`` in each of ``forms`` into ``folder``; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for form in forms:
        path = folder / f"{report.scenario}-{str(report.execution)[-12:]}.{FORMS[form]}"
        path.write_bytes(program.render(report, form))
        written.append(path)
    return written
