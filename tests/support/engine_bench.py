"""A bench on which checks are judged: samples and a log that a test writes by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import anyio

from support.engine_fakes import NumberedIdentities
from support.virtual_time import LoopClock, at
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.application.engine.checks import Bench, judged
from test_coordination.application.engine.observations import Observations
from test_coordination.domain.errors import Mark
from test_coordination.domain.events import Entry, Event, ExecutionStarted
from test_coordination.domain.evidence import Sample, Validation
from test_coordination.domain.execution import Execution
from test_coordination.domain.expressions import Fact, Kind
from test_coordination.domain.names import ProbeShape
from test_coordination.domain.plan import (
    FaultWork,
    Plan,
    PlannedCheck,
    PlannedProbe,
    PlannedStep,
    WaitWork,
)
from test_coordination.domain.steps import Mode
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    ProbeName,
    Receipt,
    ServiceName,
    StepId,
    WorkerId,
)
from test_coordination.domain.verdicts import Phase

EXPRESSIONS = CelExpressions()
MARK = Mark("bench.yaml", 1, 1)
P, Q = ProbeName("p"), ProbeName("q")
SHAPE = ProbeShape(fields={"ok": Kind.BOOLEAN, "value": Kind.NUMBER}, measured="value")
NAMES = {
    f"probes.{probe}.{figure}": kind
    for probe in (P, Q)
    for figure, kind in {
        "last.ok": Kind.BOOLEAN,
        "last.value": Kind.NUMBER,
        "max": Kind.NUMBER,
    }.items()
}
RECEIPT = Receipt("{}")


def probe(name: ProbeName, *, every_s: float = 1, timeout_s: float = 2) -> PlannedProbe:
    return PlannedProbe(
        name=name,
        kind="dial",
        parameters={},
        every=timedelta(seconds=every_s),
        timeout=timedelta(seconds=timeout_s),
    )


def step(name: str, *, fault: bool = False) -> PlannedStep:
    """Return a planned step, a wait unless it is a fault."""
    work = FaultWork(fault="off", service=ServiceName("shop"), hold=timedelta(seconds=1))
    return PlannedStep(
        id=StepId(name),
        timeout=timedelta(minutes=1),
        fault=work if fault else None,
        wait=None if fault else WaitWork(duration=timedelta(seconds=1)),
    )


def plan(
    *steps: PlannedStep,
    probes: Iterable[PlannedProbe] = (probe(P), probe(Q)),
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Plan:
    return Plan(
        scenario="story",
        topology="lab",
        parameters={},
        probes=tuple(probes),
        watched=(),
        steps=steps,
        timeout=timedelta(minutes=10),
        groups={
            StepId(group): tuple(map(StepId, members)) for group, members in (groups or {}).items()
        },
        seed=7,
    )


@dataclass(slots=True, kw_only=True)
class Story:
    """An execution as its log is written, line by line, and what its probes have seen."""

    plan: Plan = field(default_factory=plan)
    fixed: Mapping[str, Fact] = field(default_factory=dict)
    clock: LoopClock = field(default_factory=LoopClock)
    state: Execution = field(init=False)
    observations: Observations = field(init=False)

    def __post_init__(self) -> None:
        self.state = Execution(id=ExecutionId(NumberedIdentities().new()))
        self.observations = Observations(
            self.fixed,
            {each.name: SHAPE for each in self.plan.probes},
            plan=self.plan,
            state=lambda: self.state,
            clock=self.clock,
        )
        self.log(0, ExecutionStarted(worker=WorkerId(NumberedIdentities().new())))

    def log(self, second: float, *events: Event) -> None:
        """Write ``events`` at that second."""
        for event in events:
            entry = Entry(position=self.state.position + 1, at=at(second), event=event)
            self.state = self.state.apply(entry)
        self.observations.refresh()

    def see(
        self, second: float, value: float | None, *, probe: ProbeName = P, took_s: float = 0
    ) -> None:
        """Add a sample that was begun at that second; it is missing if ``value`` is None."""
        fields = {} if value is None else {"value": float(value), "ok": value == 1}
        self.observations.add(
            Sample(
                probe=probe,
                at=at(second),
                took=timedelta(seconds=took_s),
                fields=fields,
                error="" if value is not None else "no route",
            )
        )

    async def sample(self, values: Iterable[float | None], *, probe: ProbeName = P) -> None:
        """Add a sample each second of the loop."""
        for value in values:
            self.see(anyio.current_time(), value, probe=probe)
            await anyio.sleep(1)

    @property
    def bench(self) -> Bench:
        return Bench(
            expressions=EXPRESSIONS,
            names={**NAMES, "steps.load.outcome": Kind.STRING},
            observations=self.observations,
            clock=self.clock,
        )

    async def judged(self, check: PlannedCheck, *, over: anyio.Event | None = None) -> Validation:
        """Return how ``check`` is judged from now on."""
        return await judged(
            self.bench,
            check,
            origin=self.clock.now(),
            phase=Phase.DURING,
            step=StepId("c"),
            over=over,
        )


def check(expression: str, mode: Mode = Mode.ALWAYS, **times: float | str | None) -> PlannedCheck:
    """Return a check; ``span``, ``within`` and ``hold`` are seconds, ``during`` is a step."""
    during = times.pop("during", None)
    return PlannedCheck(
        id=CheckId("c"),
        expression=expression,
        mark=MARK,
        mode=mode,
        during=StepId(str(during)) if during else None,
        **{name: timedelta(seconds=float(value or 0)) for name, value in times.items()},  # type: ignore[arg-type]  # names of durations
    )
