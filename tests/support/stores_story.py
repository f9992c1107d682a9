"""Executions to be kept: a record, and a log of any length that folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from test_coordination.adapters.machine import TimeOrderedIdentities
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.ports import ExecutionRecord, LiveView
from test_coordination.domain.errors import Mark
from test_coordination.domain.events import (
    Entry,
    Event,
    ExecutionEnded,
    ExecutionStarted,
    FaultArmed,
    FaultInjected,
    FaultReverted,
    Noted,
)
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import (
    FaultWork,
    Plan,
    PlannedCheck,
    PlannedProbe,
    PlannedStep,
)
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    ProbeName,
    Receipt,
    ScenarioId,
    ServiceName,
    StepId,
    WorkerId,
)
from test_coordination.domain.verdicts import Verdict

NEW = TimeOrderedIdentities()
START = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
STEP = StepId("slow")
ARMED = FaultArmed(
    step=STEP, fault="latency", service=ServiceName("prices"), receipt=Receipt('{"link": "p"}')
)
PLAN = Plan(
    scenario="slow-prices",
    topology="trading",
    parameters={"delay": "250ms", "share": 0.5, "tags": ["a", None, {"deep": True}]},
    probes=(
        PlannedProbe(
            name=ProbeName("orders"),
            kind="http",
            parameters={"url": "http://127.0.0.1:1/orders"},
            every=timedelta(milliseconds=250),
            timeout=timedelta(seconds=1),
        ),
    ),
    watched=(
        PlannedCheck(
            id=CheckId("orders-flow"),
            expression="probes.orders.ok",
            mark=Mark("slow.yaml", 12, 5),
            within=timedelta(seconds=10),
        ),
    ),
    steps=(
        PlannedStep(
            id=STEP,
            timeout=timedelta(minutes=1),
            needs=frozenset({StepId("before")}),
            fault=FaultWork(
                fault="latency", service=ServiceName("prices"), hold=timedelta(seconds=1.5)
            ),
        ),
    ),
    timeout=timedelta(minutes=10),
    digest="d1",
)


def new_scenario(name: str = "", text: str = "steps: []") -> StoredScenario:
    """Return a scenario, under a name of its own unless one is given."""
    return StoredScenario(
        id=ScenarioId(NEW.new()),
        name=name or f"scenario-{NEW.new()}",
        version=0,
        digest=sha256(text.encode()).hexdigest(),
        source=text,
        file="scenarios/slow.yaml",
        stored_at=START,
    )


def new_record(scenario: StoredScenario, execution: ExecutionId | None = None) -> ExecutionRecord:
    """Return the record of an execution that has not begun."""
    return ExecutionRecord(
        id=execution or ExecutionId(NEW.new()),
        scenario=scenario.id,
        scenario_name=scenario.name,
        scenario_version=scenario.version,
        plan=PLAN,
        requested_at=START,
        requested_by="ann",
        worker=WorkerId(NEW.new()),
    )


class Story:
    """One execution as a writer sees it: what it appends next, and where that leads."""

    def __init__(self, record: ExecutionRecord) -> None:
        self.record = record
        self.state = Execution(id=record.id)
        self.entries: list[Entry] = []

    def tell(self, *events: Event) -> Sequence[Entry]:
        """Return the entries for ``events`` as they follow what was told before."""
        told = []
        for event in events:
            position = self.state.position + 1
            at = START + position * timedelta(milliseconds=1, microseconds=1)
            told.append(Entry(position=position, at=at, event=event))
            self.state = self.state.apply(told[-1])
        self.entries += told
        return told

    def begin(self) -> Sequence[Entry]:
        """Return the entry that begins it."""
        return self.tell(ExecutionStarted(worker=self.record.worker))

    def fault(self) -> Sequence[Entry]:
        """Return the entries of a fault that is in force."""
        return self.tell(ARMED, FaultInjected(step=STEP, evidence={"delay_ms": 250.5}))

    def revert(self) -> Sequence[Entry]:
        """Return the entry that says that the fault is gone."""
        return self.tell(FaultReverted(step=STEP, evidence={"delay_ms": 0}))

    def end(self, verdict: Verdict = Verdict.HELD) -> Sequence[Entry]:
        """Return the entry that ends it."""
        return self.tell(ExecutionEnded(verdict=verdict, reason="all checks held"))

    def notes(self, count: int) -> Iterator[Sequence[Entry]]:
        """Yield ``count`` lines, one at a time, each once the one before was written."""
        for number in range(count):
            yield self.tell(Noted(text=f"line {number}"))


def show(view: LiveView, story: Story, entries: Sequence[Entry]) -> None:
    """Publish ``entries`` with the state after them."""
    view.publish(story.record, story.state, entries)
