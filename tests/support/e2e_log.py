"""Reads what executions left behind, as a program that starts after them."""

from __future__ import annotations

import io
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import anyio

from test_coordination import Settings, TestReport, open_coordinator
from test_coordination.application.engine.sweep import Swept
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.events import Entry, Event, FaultArmed, FaultReverted
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan
from test_coordination.domain.values import ExecutionId, StepId
from test_coordination.interfaces.cli.progress import PlainProgress

PATIENCE_S = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a coordinator that was just started found: what it undid, and all that was run."""

    swept: Sequence[Swept]
    records: Sequence[ExecutionRecord]
    newest: TestReport | None

    def log(self) -> tuple[Entry, ...]:
        """Return the log of the newest execution."""
        return self.newest.log if self.newest else ()

    def plan(self) -> Plan:
        """Return the plan of the newest execution."""
        return self.records[0].plan


def past(home: Path, *, postgres_url: str | None = None) -> Past:
    """Start a coordinator in ``home``, and tell what it found."""

    async def look() -> Past:
        settings = Settings(home=home, postgres_url=postgres_url)
        with anyio.fail_after(PATIENCE_S):
            async with open_coordinator(settings) as coordinator:
                records = await coordinator.list_executions(limit=1000)
                newest = records and await coordinator.generate_test_report(records[0].id)
                return Past(swept=coordinator.swept, records=records, newest=newest or None)

    return anyio.run(look)


def narrated(plan: Plan, log: Iterable[Entry]) -> list[str]:
    """Return the lines that a command prints which follows an execution with this log."""
    said = io.StringIO()
    progress, state = PlainProgress(plan), Execution(id=ExecutionId(UUID(int=0)))
    with redirect_stdout(said):
        for entry in log:
            state = state.apply(entry)
            progress.show(entry, state)
    return said.getvalue().splitlines()


def of_kind(log: Iterable[Entry], kind: type[Event]) -> list[Event]:
    """Return the events of one kind."""
    return [entry.event for entry in log if isinstance(entry.event, kind)]


def is_gapless(log: Sequence[Entry]) -> bool:
    """Tell whether the positions count from 1 without a gap."""
    return [entry.position for entry in log] == list(range(1, len(log) + 1))


def never_reverted(log: Sequence[Entry]) -> set[StepId]:
    """Return the steps whose fault was armed and is not on record as gone."""
    armed = {e.event.step for e in log if isinstance(e.event, FaultArmed)}
    return armed - {e.event.step for e in log if isinstance(e.event, FaultReverted)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What a coordinator that was just started found that was not known before it."""

    swept: Sequence[Swept]
    records: Sequence[ExecutionRecord]
    logs: Mapping[ExecutionId, tuple[Entry, ...]]


def aftermath(home: Path, *, known: Container[ExecutionId]) -> Aftermath:
    """Start a coordinator in ``home``, and tell what it found but for the ``known`` executions."""

    async def look() -> Aftermath:
        with anyio.fail_after(PATIENCE_S):
            async with open_coordinator(Settings(home=home)) as coordinator:
                records = await coordinator.list_executions(limit=1000)
                new = [record for record in records if record.id not in known]
                reports = [await coordinator.generate_test_report(record.id) for record in new]
                logs = {report.execution: report.log for report in reports}
                return Aftermath(swept=coordinator.swept, records=new, logs=logs)

    return anyio.run(look)
