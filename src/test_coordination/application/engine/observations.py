"""All that was seen during one execution, under the names that expressions use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import anyio

from test_coordination.application.engine.progress import Progress, Window
from test_coordination.application.ports import Clock
from test_coordination.domain.evidence import Sample, Snapshot
from test_coordination.domain.execution import Execution
from test_coordination.domain.expressions import Fact
from test_coordination.domain.names import FigureName, ProbeShape, figure_name, word
from test_coordination.domain.plan import Plan, PlannedProbe
from test_coordination.domain.series import MISSING, Series
from test_coordination.domain.values import ProbeName, StepId

GAP_INTERVALS_MAX: Final = 3
"""How many intervals of a probe may pass without a look before the time counts as unseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch of time in which a probe did not look, though it should have."""

    probe: ProbeName
    start: datetime
    length: timedelta


class Observations:
    """The series of each probe, the snapshots of each step, and how far the execution has come.

    ``fixed`` are the values of the names that never change; ``state`` gives the fold of the log
    as it stands. Whoever writes the log says so by `refresh`.
    """

    def __init__(
        self,
        fixed: Mapping[str, Fact],
        probes: Mapping[ProbeName, ProbeShape],
        *,
        plan: Plan,
        state: Callable[[], Execution],
        clock: Clock,
    ) -> None:
        self._values = {
            **fixed,
            "execution.scenario": plan.scenario,
            "execution.seed": plan.seed,
        }
        self._added: dict[str, datetime] = {}
        self._series = {name: Series(shape.measured, shape.unit) for name, shape in probes.items()}
        self._planned: Mapping[ProbeName, PlannedProbe] = {each.name: each for each in plan.probes}
        self._progress = Progress(plan, state, clock)
        self._clock = clock
        self._changed = anyio.Event()

    def add(self, sample: Sample) -> None:
        """Keep ``sample`` and wake those who wait for one."""
        self._series[sample.probe].add(sample)
        self.refresh()

    def add_snapshot(self, step: StepId, snapshot: Snapshot) -> None:
        """Make the state that ``step`` captured known to expressions."""
        name = f"snapshots.{word(step)}"
        self._values[name], self._added[name] = as_fact(snapshot.state), self._clock.now()
        self.refresh()

    def refresh(self) -> None:
        """Wake those who wait: something is known now that was not known before."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def change(self) -> None:
        """Return when something new was seen, or was written to the log."""
        await self._changed.wait()

    def ended_at(self, step: StepId) -> datetime | None:
        """Return when a step, or all that its author's id stands for, was over; None before.

        A fault is over when its undo is verified.
        """
        return self._progress.ended_at(step)

    def seen_at(
        self,
        names: Iterable[str],
        origin: datetime,
        *,
        now: datetime,
        end: datetime | None = None,
    ) -> datetime | None:
        """Return when everything behind ``names`` was last looked at, before ``end``.

        None means that one of the probes has not been looked at since ``origin``. A figure over a
        window that is over needs no further look once all of its samples are in. Names that no
        probe is behind are always known, and as they are ``now``; beside a probe's they count
        from when they last changed.
        """
        looks: list[datetime] = []
        others: list[datetime | None] = []
        for name in names:
            asked = self._asked(name)
            if asked is None:
                others += [self._progress.changed_at(name), self._added.get(name)]
                continue
            closed = self._closed_at(asked)
            if closed is None:
                newest = self._series[asked.probe].newest(origin, end)
                if newest is None:
                    return None
                looks.append(newest.at)
            elif self._is_complete(asked.probe, closed, now):
                others.append(closed)
            else:
                return None
        if not looks:
            return now
        return max([*looks, *(at for at in others if at is not None)])

    def oldest(self, names: Iterable[str], *, end: datetime | None = None) -> datetime | None:
        """Return when that probe behind ``names`` was looked at whose last look is the oldest.

        Looks from ``end`` on do not count, nor do figures over windows that are over. None means
        that no probe, or one that never looked, is behind them.
        """
        asked = [found for found in map(self._asked, names) if found is not None]
        probes = {found.probe for found in asked if self._closed_at(found) is None}
        newest = [self._series[probe].newest(end=end) for probe in probes]
        return min((look.at for look in newest if look is not None), default=None)

    def values(
        self,
        names: Iterable[str],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Mapping[str, Fact]:
        """Return the values of ``names``; what is missing is left out.

        Figures are over what was sampled from ``start`` on and before ``end``, but for those that
        name a window of their own. A window that has not begun has no figures.
        """
        found: dict[str, Fact] = {}
        for name in names:
            value = self._value(name, (start, end))
            if value is not MISSING:
                found[name] = as_fact(value)
        return found

    def gap(self, names: Iterable[str], start: datetime, end: datetime) -> Gap | None:
        """Return the first stretch between ``start`` and ``end`` in which a probe did not look.

        It is longer than three of the probe's intervals, and counts from the end of the look
        before it: while a slow answer is waited for, the probe looks. Only the probes behind
        ``names`` matter.
        """
        probes = {asked.probe for asked in map(self._asked, names) if asked is not None}
        gaps = (self._gap(probe, start, end) for probe in sorted(probes))
        return next(filter(None, gaps), None)

    def _gap(self, probe: ProbeName, start: datetime, end: datetime) -> Gap | None:
        longest, seen = self._planned[probe].every * GAP_INTERVALS_MAX, start
        series = self._series[probe]
        if (before := series.newest(end=start)) is not None:
            seen = max(seen, before.at + before.took)
        looks = [(each.at, each.took) for each in series.between(start, end)]
        for at, took in (*looks, (end, timedelta(0))):
            if at - seen > longest:
                return Gap(probe=probe, start=seen, length=at - seen)
            seen = max(seen, at + took)
        return None

    def _asked(self, name: str) -> FigureName | None:
        asked = figure_name(name)
        return asked if asked is not None and asked.probe in self._series else None

    def _closed_at(self, asked: FigureName) -> datetime | None:
        """Return the end of the window that is asked for; None if it has none, or none yet."""
        if not asked.window:
            return None
        window = self._progress.window(asked.window, asked.step)
        return window[1] if window else None

    def _is_complete(self, probe: ProbeName, end: datetime, now: datetime) -> bool:
        """Tell whether no look can still be under way that was begun before ``end``."""
        later = self._series[probe].newest(end)
        return later is not None or now - end > self._planned[probe].timeout

    def _value(self, name: str, window: Window) -> object:
        asked = self._asked(name)
        if asked is None:
            return self._values[name] if name in self._values else self._progress.value(name)
        chosen = self._progress.window(asked.window, asked.step) if asked.window else window
        if chosen is None:
            return MISSING
        start, end = chosen
        return self._series[asked.probe].figure(asked.figure, start=start, end=end or window[1])


def as_fact(value: object) -> Fact:
    """Return a captured or sampled value as expressions see it; keys as `word` spells them."""
    match value:
        case Mapping():
            return {word(str(key)): as_fact(inner) for key, inner in value.items()}
        case list() | tuple():
            return tuple(as_fact(inner) for inner in value)
        case None | str() | int() | float() | datetime() | timedelta():
            return value
        case _:
            return str(value)
