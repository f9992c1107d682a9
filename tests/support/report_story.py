"""A short way to tell what happened in an execution, and the report that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from test_coordination.domain.errors import Mark
from test_coordination.domain.events import (
    CheckJudged,
    Entry,
    Event,
    ExecutionEnded,
    ExecutionStarted,
    FaultArmed,
    FaultInjected,
    FaultReverted,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.evidence import Validation, margin
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import (
    ActionWork,
    FaultWork,
    Plan,
    PlannedCheck,
    PlannedProbe,
    PlannedStep,
    SnapshotWork,
    Stage,
    WaitWork,
)
from test_coordination.domain.report import (
    Comparison,
    ReportedSeries,
    TestReport,
    decimate,
    reported_steps,
)
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    ProbeName,
    Receipt,
    ServiceName,
    StepId,
    WorkerId,
)
from test_coordination.domain.verdicts import Finding, Phase, Severity, Verdict

START = datetime(2026, 9, 14, 13, 5, 22, 123_000, tzinfo=UTC)
WORKER = WorkerId(UUID("0192f1c0-0000-7000-8000-00000000c0de"))
EXECUTION = ExecutionId(UUID("0192f1c4-7a31-7c55-9f02-4be1f6a9d001"))
HERE = Mark("exchange-restart-under-load.yaml", 1, 1)

Work = FaultWork | ActionWork | WaitWork | SnapshotWork | PlannedCheck


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def check(name: str, expression: str, **how: timedelta | None) -> PlannedCheck:
    return PlannedCheck(
        id=CheckId(name), expression=expression, mark=HERE, within=how.get("within")
    )


def step(name: str, work: Work, *needs: str, **said: str) -> PlannedStep:
    kinds = {
        FaultWork: "fault",
        ActionWork: "action",
        WaitWork: "wait",
        SnapshotWork: "snapshot",
        PlannedCheck: "expect",
    }
    made = PlannedStep(
        id=StepId(name),
        stage=Stage(said.get("stage", "main")),
        title=said.get("title", ""),
        needs=frozenset(StepId(need) for need in needs),
        timeout=seconds(60),
        **{kinds[type(work)]: work},  # type: ignore[arg-type]  # the kind of work names its field
    )
    assert made.work is work
    return made


def judged(
    name: str,
    finding: Finding,
    expression: str,
    *,
    phase: Phase = Phase.DURING,
    observed: object = None,
    relation: str = "",
    limit: object = None,
    took_s: float | None = None,
    span_s: tuple[float, float] | None = None,
    step_id: str | None = None,
    after: str | None = None,
    severity: Severity = Severity.NORMAL,
    reason: str = "",
) -> Validation:
    return Validation(
        check=CheckId(name),
        phase=phase,
        finding=finding,
        expression=expression,
        severity=severity,
        step=StepId(step_id) if step_id else None,
        after_fault=StepId(after) if after else None,
        observed=observed,
        relation=relation,
        limit=limit,
        margin=margin(observed, relation, limit),
        took=seconds(took_s) if took_s is not None else None,
        began_at=START + seconds(span_s[0]) if span_s else None,
        ended_at=START + seconds(span_s[1]) if span_s else None,
        reason=reason,
    )


def sampled(
    probe: str,
    value_at: Callable[[float], float | None],
    *,
    every_s: float,
    until_s: float,
    kind: str = "http",
    measured: str = "duration_ms",
    unit: str = "ms",
) -> ReportedSeries:
    count = int(until_s / every_s) + 1
    points = [(round(n * every_s, 3), value_at(n * every_s)) for n in range(count)]
    return ReportedSeries(
        probe=ProbeName(probe),
        kind=kind,
        measured=measured,
        unit=unit,
        points=decimate(points),
        samples=count,
        missing=sum(value is None for _, value in points),
    )


@dataclass(kw_only=True)
class Story:
    """A log in the making."""

    scenario: str
    title: str
    steps: Sequence[PlannedStep]
    topology: str = "trading-local"
    version: int = 4
    requested_by: str = "maria"
    parameters: Mapping[str, object] = field(default_factory=dict)
    source: str = ""
    log: list[Entry] = field(default_factory=list)

    def tell(self, at_s: float, *events: Event) -> None:
        for event in events:
            at = START + seconds(at_s)
            self.log.append(Entry(position=len(self.log) + 1, at=at, event=event))

    def begin(self) -> None:
        self.tell(0, ExecutionStarted(worker=WORKER))

    def done(self, name: str, begun_s: float, ended_s: float, **facts: object) -> None:
        self.tell(begun_s, StepStarted(step=StepId(name)))
        self.tell(ended_s, StepEnded(step=StepId(name), outcome=Outcome.DONE, facts=facts))

    def judge(self, at_s: float, *validations: Validation) -> None:
        self.tell(at_s, *(CheckJudged(validation=each) for each in validations))

    def arm(self, at_s: float, name: str, *, receipt: str = '{"pid": 4711}') -> None:
        work = next(each.fault for each in self.steps if each.id == name)
        assert work is not None
        self.tell(at_s, StepStarted(step=StepId(name)))
        self.tell(
            at_s + 0.004,
            FaultArmed(
                step=StepId(name),
                fault=work.fault,
                service=ServiceName(work.service),
                receipt=Receipt(receipt),
            ),
        )

    def inject(self, at_s: float, name: str, **evidence: object) -> None:
        self.tell(at_s, FaultInjected(step=StepId(name), evidence=evidence))

    def revert(self, at_s: float, name: str, **evidence: object) -> None:
        self.tell(at_s, FaultReverted(step=StepId(name), evidence=evidence))
        self.tell(at_s + 0.002, StepEnded(step=StepId(name), outcome=Outcome.DONE))

    def end(self, at_s: float, verdict: Verdict, reason: str) -> None:
        self.tell(at_s, ExecutionEnded(verdict=verdict, reason=reason))

    def report(
        self,
        *,
        series: Sequence[ReportedSeries] = (),
        comparisons: Sequence[Comparison] = (),
        probes: Sequence[PlannedProbe] = (),
    ) -> TestReport:
        self.log.sort(key=lambda entry: entry.at)
        self.log[:] = [
            Entry(position=place, at=entry.at, event=entry.event)
            for place, entry in enumerate(self.log, start=1)
        ]
        told = Execution.of(EXECUTION, self.log)
        plan = Plan(
            scenario=self.scenario,
            topology=self.topology,
            parameters=self.parameters,
            probes=tuple(probes),
            watched=(),
            steps=tuple(self.steps),
            timeout=seconds(300),
        )
        return TestReport(
            execution=EXECUTION,
            scenario=self.scenario,
            title=self.title,
            version=self.version,
            digest="sha256:4f1d0a9b6c53e2c17a0d9e6f8b7c2d35e1a4f60799b8c3d2e5f4a1b0c9d8e7f6",
            topology=self.topology,
            verdict=told.verdict,
            reason=told.reason,
            status=told.status,
            requested_at=START - seconds(0.412),
            requested_by=self.requested_by,
            started_at=told.started_at,
            ended_at=told.ended_at,
            parameters=self.parameters,
            steps=reported_steps(plan, told),
            faults=tuple(told.faults.values()),
            validations=told.validations,
            excursions=told.excursions,
            series=tuple(series),
            comparisons=tuple(comparisons),
            notes=told.notes,
            log=tuple(self.log),
            source=self.source,
        )
