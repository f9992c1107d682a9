"""The progress of an execution as a picture that is drawn again and again on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from test_coordination.domain.events import Entry, Outcome
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import Execution, FaultStatus
from test_coordination.domain.plan import Plan, PlannedStep
from test_coordination.domain.values import format_duration
from test_coordination.domain.verdicts import Finding
from test_coordination.interfaces.cli.layout import signs
from test_coordination.interfaces.cli.narration import MOODS, narrate
from test_coordination.interfaces.cli.prospects import Prospect, bar, time_left

STYLES: Final = {"good": "green", "bad": "bold red", "warn": "yellow", "fault": "bold magenta"}
FRAMES_PER_S: Final = 8
STEPS_SHOWN: Final = 24
BAR_COLUMNS: Final = 30
LOOK_S: Final = 0.5
"""How often it is found out how far it has come."""


class MovingProgress:
    """Events scroll by above; below stand the steps with their state and the time they take.

    Below them all is how far it has come, and how long it may take yet.
    """

    def __init__(self, plan: Plan, console: Console, prospect: Prospect | None = None) -> None:
        self._plan = plan
        self._console = console
        self._prospect = prospect
        self._state: Execution | None = None
        self._ahead_s = 0.0
        self._queued = "starting"
        self._told: tuple[float, Text] = (-math.inf, Text())

    def show(self, entry: Entry, state: Execution) -> None:
        """See `Progress.show`."""
        self._state = state
        self._ahead_s = monotonic() - entry.at.timestamp()
        line = narrate(entry.event, self._plan)
        if line is not None:
            since = (entry.at - (state.started_at or entry.at)).total_seconds()
            text = Text(f"{since:6.1f} s  ", style="dim")
            text.append(line.text, style=STYLES.get(line.mood, ""))
            self._console.print(text)

    def wait(self, state: Execution, waited: timedelta) -> None:
        """See `Progress.wait`; the picture tells it all the time."""

    def queued(self, why: str) -> None:
        """See `Progress.queued`."""
        self._queued = why

    def picture(self) -> RenderableType:
        """Return what stands below the events at this moment."""
        state = self._state
        if state is None:
            return Spinner("dots", text=self._queued)
        table = Table.grid(padding=(0, 2))
        for step in self._shown(state):
            table.add_row(*self._row(step, state))
        return Group(Text(), table, self._faults(state), self._outlook(state))

    def _shown(self, state: Execution) -> list[PlannedStep]:
        """Return the steps to be drawn: all if they fit, else those near what is running."""
        steps = list(self._plan.steps)
        if len(steps) <= STEPS_SHOWN:
            return steps
        ended = sum(one.outcome is not None for one in state.steps.values())
        first = max(0, min(ended - STEPS_SHOWN // 3, len(steps) - STEPS_SHOWN))
        return steps[first : first + STEPS_SHOWN]

    def _row(self, step: PlannedStep, state: Execution) -> tuple[RenderableType, ...]:
        known = state.steps.get(step.id)
        if known is None:
            return Text("·", style="dim"), Text(step.id, style="dim"), Text(step.kind, style="dim")
        took = self._seconds(known.started_at, known.ended_at)
        if known.outcome is None:
            tries = f" (try {known.attempts})" if known.attempts > 1 else ""
            return Spinner("dots"), Text(step.id, style="bold"), Text(step.kind + tries), Text(took)
        sign, style = _sign(known.outcome, _validation(step, state))
        return Text(sign, style=style), Text(step.id), Text(step.kind), Text(took)

    def _seconds(self, start: datetime, end: datetime | None) -> str:
        """Return how long something took, or takes by now."""
        last = end.timestamp() if end else monotonic() - self._ahead_s
        return f"{max(0.0, last - start.timestamp()):5.1f} s"

    def _outlook(self, state: Execution) -> Text:
        """Return how far it has come; that takes a moment to find out, so not for every frame."""
        now_s, (told_s, text) = monotonic(), self._told
        if self._prospect is not None and now_s - told_s >= LOOK_S:
            found = self._prospect(state)
            text = Text(f"{bar(found.percent, BAR_COLUMNS, signs())} {found.percent:3d}%  ")
            text.append(time_left(found), style="dim")
            self._told = now_s, text
        return text

    def _faults(self, state: Execution) -> Text:
        text = Text()
        for fault in state.outstanding:
            if fault.status is FaultStatus.INJECTED and fault.injected_at is not None:
                work = self._plan.step(fault.step).fault
                hold = f"of {format_duration(work.hold)}" if work and work.hold else "until stopped"
                since = self._seconds(fault.injected_at, None).strip()
                text.append(
                    f"\n⚡ {fault.fault} on {fault.service}: {since} {hold}",
                    style=STYLES["fault"],
                )
        return text


def _validation(step: PlannedStep, state: Execution) -> Validation | None:
    return next((one for one in state.validations if one.step == step.id), None)


def _sign(outcome: Outcome, validation: Validation | None) -> tuple[str, str]:
    if outcome is Outcome.DONE and validation is not None:
        sign = {Finding.HELD: "✓", Finding.BROKEN: "✗"}.get(validation.finding, "?")
        return sign, STYLES[MOODS[validation.finding]]
    signs = {
        Outcome.DONE: ("✓", STYLES["good"]),
        Outcome.FAILED: ("✗", STYLES["bad"]),
        Outcome.CANCELLED: ("■", STYLES["warn"]),
        Outcome.SKIPPED: ("-", "dim"),
    }
    return signs[outcome]


@contextmanager
def moving_progress(plan: Plan, prospect: Prospect | None = None) -> Iterator[MovingProgress]:
    """Draw on the terminal for as long as the body runs."""
    console = Console(highlight=False)
    shown = MovingProgress(plan, console, prospect)
    with Live(
        console=console,
        get_renderable=shown.picture,
        refresh_per_second=FRAMES_PER_S,
        transient=True,
    ):
        yield shown
