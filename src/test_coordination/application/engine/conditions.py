"""Evaluate conditions while an execution runs: once, until they are true, or to stop it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

import anyio

from test_coordination.application.engine.checks import Bench
from test_coordination.application.engine.readiness import GATE_SHUT
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.trial import PATIENCE, Look
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import AbortRequested
from test_coordination.domain.evidence import Facts
from test_coordination.domain.plan import GateWork, PlannedCheck, PlannedCondition, StopRule
from test_coordination.domain.steps import Otherwise
from test_coordination.domain.values import CheckId, format_duration

_NO_TIME: Final = timedelta(0)
_ASK_AGAIN: Final = timedelta(seconds=1)


@dataclass(eq=False, kw_only=True)
class GateShutError(CoordinationError):
    """A gate was not opened in the time that it had."""

    code: ClassVar[str] = GATE_SHUT

    work: GateWork

    def __str__(self) -> str:
        work = self.work
        condition = " ".join(work.condition.expression.split())
        held = f" for {format_duration(work.hold)}" if work.hold else ""
        return f"{condition!r} was not true{held} within {format_duration(work.within)}"


def passed(work: GateWork, *, opened: bool) -> Facts:
    """Return what is known of a gate once it was waited for.

    Raises:
        GateShutError: it was not opened, and cannot be passed like that.
    """
    if not opened and work.otherwise is not Otherwise.CONTINUE:
        raise GateShutError(work=work)
    return {"opened": opened}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The present stretch of time in which a condition was true at every look.

    A look at which a value was missing ends it as a false one does.
    """

    since: datetime | None = None
    last: datetime | None = None

    def see(self, look: Look) -> Stretch:
        """Return the stretch after ``look``; looks come in the order of time."""
        if look.truth is not True:
            return Stretch()
        return Stretch(since=self.since or look.at, last=look.at)

    def lasted(self, hold: timedelta) -> bool:
        """Tell whether it is as long as ``hold``."""
        return self.since is not None and self.last is not None and self.last - self.since >= hold


async def is_true(bench: Bench, condition: PlannedCondition, *, origin: datetime) -> bool:
    """Tell whether ``condition`` is true now.

    A probe that it names and that has not looked since ``origin``, the start of the execution,
    is waited for, ten seconds at most.

    Raises:
        MissingValueError: it hangs on a value that is missing.
        ExpressionFailedError: it broke off.
    """
    check = _asked(condition)
    program = bench.program(check)
    with anyio.move_on_after(PATIENCE.total_seconds()):
        while bench.look(program, check, origin) is None:
            await bench.observations.change()
    return program.evaluate(bench.observations.values(program.names, start=None)) is True


async def came_true(
    bench: Bench,
    condition: PlannedCondition,
    *,
    origin: datetime,
    hold: timedelta,
    within: timedelta | None = None,
) -> bool:
    """Return True once ``condition`` has been true for ``hold``; False after ``within``, if given.

    Only what was seen since ``origin`` counts, and ``within`` counts from there. Where a value
    is missing, the condition is not true yet.
    """
    check = _asked(condition)
    program, stretch = bench.program(check), Stretch()
    while True:
        look = bench.look(program, check, origin)
        if look is not None:
            stretch = stretch.see(look)
        now = bench.clock.now()
        left = None if within is None else origin + within - now
        if stretch.lasted(hold) or (left is not None and left <= _NO_TIME):
            return stretch.lasted(hold)
        ripe = None if stretch.since is None else stretch.since + hold - now
        await _news(bench, left, ripe)


async def _news(bench: Bench, *moments: timedelta | None) -> None:
    """Return when something new was seen, or at the first of ``moments`` that is to come."""
    ahead = [moment for moment in moments if moment is not None and moment > _NO_TIME]
    with anyio.move_on_after(min([*ahead, _ASK_AGAIN]).total_seconds()):
        await bench.observations.change()


def _asked(condition: PlannedCondition) -> PlannedCheck:
    return PlannedCheck(
        id=CheckId("condition"), expression=condition.expression, mark=condition.mark
    )


class Tripwire:
    """A condition that stops the execution once it has been true for as long as its rule says."""

    def __init__(self, bench: Bench, rule: StopRule, recorder: Recorder) -> None:
        self._bench = bench
        self._rule = rule
        self._recorder = recorder
        self._looking = anyio.CancelScope()
        self._ended = anyio.Event()

    async def look(self) -> None:
        """Look each time that something is seen, until it is true or `conclude` is called."""
        rule, bench = self._rule, self._bench
        try:
            with self._looking:
                await came_true(bench, rule.condition, origin=bench.clock.now(), hold=rule.hold)
                wish = self._wish()
                self._recorder.wish(wish)
                await self._recorder.record(wish)
        finally:
            self._ended.set()

    async def conclude(self) -> None:
        """End the watch; what it has begun to write is written when this returns."""
        self._looking.cancel()
        await self._ended.wait()

    def _wish(self) -> AbortRequested:
        rule = self._rule
        held = f" for {format_duration(rule.hold)}" if rule.hold else ""
        seen = rule.title or " ".join(rule.condition.expression.split())
        return AbortRequested(reason=f"{seen}: true{held}", by=f"stop condition {rule.id!r}")
