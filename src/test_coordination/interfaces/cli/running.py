"""Run a stored scenario from the command line: progress, Ctrl-C, verdict, reports."""

from __future__ import annotations

import getpass
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import click

from test_coordination.application.coordinator import Coordinator
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan
from test_coordination.domain.report import TestReport
from test_coordination.domain.values import ExecutionId, Value
from test_coordination.interfaces.cli.exits import ENDING, EXIT_INTERRUPTED, EXIT_STATUS
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.progress import progress, say_verdict

FORMS: Final = {"html": "html", "json": "json", "junit": "xml", "markdown": "md"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody asked to be run."""

    text: str
    file: str
    parameters: Mapping[str, Value]


@dataclass(slots=True, kw_only=True)
class Interruptions:
    """How often somebody pressed Ctrl-C."""

    count: int = 0


async def run_order(coordinator: Coordinator, order: Order) -> tuple[ExecutionId, int]:
    """Run ``order`` to its end; return the execution and the exit status that it earned."""
    # What cannot be planned is not stored. What is run has its own plan: chance is drawn anew.
    await coordinator.plan_scenario(order.text, order.parameters, file=order.file)
    scenario = await coordinator.create_scenario(order.text, file=order.file)
    execution = await coordinator.execute_scenario(
        scenario, order.parameters, requested_by=getpass.getuser()
    )
    plan = (await coordinator.execution_record(execution)).plan
    interruptions = Interruptions()
    outcome: Execution | CoordinationError
    async with anyio.create_task_group() as group:
        group.start_soon(_listen, coordinator, execution, interruptions)
        try:
            outcome = await _shown(coordinator, execution, plan)
        except CoordinationError as error:  # carried past the group, which would wrap it
            outcome = error
        group.cancel_scope.cancel()
    if isinstance(outcome, CoordinationError):
        raise outcome
    say_verdict(outcome)
    return execution, exit_status(outcome, interruptions)


async def _shown(coordinator: Coordinator, execution: ExecutionId, plan: Plan) -> Execution:
    """Return the execution once it has ended and all of it was shown."""
    state = Execution(id=execution)
    with progress(plan) as shown:
        async for entry in coordinator.follow_execution(execution):
            state = state.apply(entry)
            shown.show(entry, state)
    return await coordinator.execution_result(execution)


def exit_status(ended: Execution, interruptions: Interruptions) -> int:
    """Return the exit status; an undo that is not verified outranks an interruption."""
    assert ended.verdict is not None, "it has ended"
    status = EXIT_STATUS[ended.verdict]
    interrupted = interruptions.count and not ended.outstanding
    return EXIT_INTERRUPTED if interrupted else status


async def _listen(
    coordinator: Coordinator, execution: ExecutionId, interruptions: Interruptions
) -> None:
    """Stop the execution at the first Ctrl-C; at the next ones say what is still going on."""
    ending = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    with anyio.open_signal_receiver(signal.SIGINT, *ending) as signals:
        async for _ in signals:
            interruptions.count += 1
            if interruptions.count == 1:
                click.echo("stopping: every fault is being undone; please wait", err=True)
                await _abort(coordinator, execution)
            else:
                click.echo(
                    "still undoing; if you must leave, kill this process and run `tcoord undo`",
                    err=True,
                )


async def _abort(coordinator: Coordinator, execution: ExecutionId) -> None:
    try:
        await coordinator.abort_execution(execution, reason="interrupted", by=getpass.getuser())
    except CoordinationError as error:
        # What keeps us from stopping it ends it as well; its faults are undone then.
        click.echo(f"not stopped yet: {error}", err=True)


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
