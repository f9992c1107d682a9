"""What is shown of an execution's progress at every moment of it that matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from support.virtual_time import at
from test_coordination.application.outlook import Forecast, Outlook
from test_coordination.domain.events import Entry, Event, ExecutionStarted
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan
from test_coordination.domain.values import ExecutionId, StepId, WorkerId

ME = WorkerId(UUID(int=1))


@dataclass(slots=True, kw_only=True)
class Course:
    """An execution whose log a test writes, and how far it has come."""

    plan: Plan
    past: Mapping[str, Sequence[float]] = field(default_factory=dict)
    state: Execution = field(init=False)

    def __post_init__(self) -> None:
        self.state = Execution(id=ExecutionId(ME))

    def log(self, second: float, *events: Event) -> None:
        for event in events:
            entry = Entry(position=self.state.position + 1, at=at(second), event=event)
            self.state = self.state.apply(entry)

    def begin(self) -> None:
        self.log(0, ExecutionStarted(worker=ME))

    def outlook(self, second: float) -> Outlook:
        """Return how far it has come at that second."""
        past = {
            StepId(name): [timedelta(seconds=took) for took in known]
            for name, known in self.past.items()
        }
        return Forecast(self.plan, past).outlook(self.state, at(second))


def percents(plan: Plan, entries: Sequence[Entry]) -> list[int]:
    """Return the percentage after each of ``entries``, and in the middle before the next one."""
    forecast, state, shown = Forecast(plan, {}), Execution(id=ExecutionId(ME)), list[int]()
    for entry, following in pairwise([*entries, entries[-1]]):
        state = state.apply(entry)
        middle = entry.at + (following.at - entry.at) / 2
        shown += [forecast.outlook(state, when).percent for when in (entry.at, middle)]
    return shown
