"""Judge checks against what is observed, each time that something new is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import anyio

from test_coordination.application.engine.observations import Observations
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.trial import LATE, Look, Trial, plain
from test_coordination.application.engine.vigil import Vigil
from test_coordination.application.ports import Clock, Expressions, Program
from test_coordination.domain.events import (
    CheckJudged,
    Event,
    Noted,
    SteadyStateLeft,
    SteadyStateRegained,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.expressions import (
    Expression,
    ExpressionFailedError,
    Fact,
    Kind,
    MissingValueError,
    Names,
)
from test_coordination.domain.plan import PlannedCheck
from test_coordination.domain.steps import Mode
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Finding, Phase, Severity

UNTOLD_MAX: Final = 20
"""How many moments in and outside its condition a watch has that are not recorded yet."""
_ASK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is needed to judge: the language, the names, what was seen, and the time."""

    expressions: Expressions
    names: Names
    observations: Observations
    clock: Clock

    def program(self, check: PlannedCheck) -> Program:
        """Return the condition of ``check``, ready to be evaluated."""
        expression = Expression(text=check.expression, mark=check.mark)
        return self.expressions.compile(expression, self.names, expected=Kind.BOOLEAN)

    def look(
        self,
        program: Program,
        check: PlannedCheck,
        origin: datetime,
        *,
        end: datetime | None = None,
    ) -> Look | None:
        """Return what the condition is now; None if nothing was seen since ``origin``.

        Samples from ``end`` on, if it is given, do not count.
        """
        now = self.clock.now()
        at = self.observations.seen_at(program.names, origin, now=now, end=end)
        if at is None:
            return None
        recent = check.recent or check.mode is not Mode.EVENTUALLY
        start = origin if recent else None
        values = self.observations.values(program.names, start=start, end=end)
        oldest = self.observations.oldest(program.names, end=end)
        return replace(look_at(program, values, at), oldest=oldest)


def look_at(program: Program, values: Mapping[str, Fact], at: datetime) -> Look:
    """Return what the condition is for ``values``, which were seen at ``at``."""
    try:
        truth = program.evaluate(values) is True
        measure = program.measure(values)
    except (MissingValueError, ExpressionFailedError) as error:
        return Look(at=at, truth=None, reason=str(error))
    return Look(at=at, truth=truth, measure=measure)


async def judged(
    bench: Bench,
    check: PlannedCheck,
    *,
    origin: datetime,
    phase: Phase,
    step: StepId | None,
    over: anyio.Event | None = None,
    resumed_at: datetime | None = None,
) -> Validation:
    """Return the validation of ``check`` once it is certain; its time counts from ``origin``.

    A check that must always, or never, be true is looked at for its ``span``, or until the step
    ``during`` is over, or, if it has neither, until ``over`` is set; see `Vigil` for what that
    makes of it. Any other check that is told to end by ``over`` before it is certain is
    inconclusive. Nobody looked for a while before ``resumed_at``.
    """
    program = bench.program(check)
    over = over or anyio.Event()
    unseen = resumed_at is not None and origin < resumed_at
    async with anyio.create_task_group() as group:
        group.start_soon(_wake, bench, over)
        if check.mode is Mode.EVENTUALLY:
            begun = Trial(check=check, origin=origin, unseen=unseen)
            trial, finding, early = await _tried(bench, program, begun, over=over)
            now = bench.clock.now()
            found = trial.validation(finding, now, phase=phase, step=step, early=early)
        else:
            watch = Vigil(check=check, origin=origin, unseen=unseen)
            vigil = await _kept(bench, program, watch, over=over)
            found = vigil.validation(bench.clock.now(), phase=phase, step=step)
        group.cancel_scope.cancel()
    return found


async def _wake(bench: Bench, over: anyio.Event) -> None:
    await over.wait()
    bench.observations.refresh()


async def _tried(
    bench: Bench, program: Program, trial: Trial, *, over: anyio.Event
) -> tuple[Trial, Finding, bool]:
    """Return the trial at its end, its finding, and whether it was told to end before."""
    while True:
        look = bench.look(program, trial.check, trial.origin)
        if look is not None:
            trial = trial.see(look)
        now = bench.clock.now()
        finding = trial.finding(now)
        if finding is not None:
            return trial, finding, False
        if over.is_set():
            return trial, Finding.INCONCLUSIVE, True
        await _news(bench, trial.decided_by() - now)


async def _kept(bench: Bench, program: Program, vigil: Vigil, *, over: anyio.Event) -> Vigil:
    """Return the vigil at its end.

    After that it waits, for ``LATE`` at most, for the looks that were begun before.
    """
    while True:
        vigil = _timed(bench, vigil, over)
        look = bench.look(program, vigil.check, vigil.origin, end=vigil.end)
        if look is not None:
            vigil = vigil.see(look)
        if vigil.breach is not None:
            return vigil
        now, end = bench.clock.now(), vigil.end
        if end is not None and now >= end:
            seen = bench.observations.seen_at(program.names, end, now=now)
            if seen is not None or now >= end + LATE:
                gap = bench.observations.gap(program.names, vigil.origin, end)
                return vigil.closed(gap)
        await _news(bench, timedelta.max if end is None else end - now)


def _timed(bench: Bench, vigil: Vigil, over: anyio.Event) -> Vigil:
    """Return the vigil with its end, as far as that is known."""
    check, now = vigil.check, bench.clock.now()
    if vigil.end is not None and vigil.end <= now:
        return vigil
    end = None
    if check.span is not None:
        end = vigil.origin + check.span
    elif check.during is not None:
        end = bench.observations.ended_at(check.during)
    if over.is_set() and (end is None or now < end):
        endless = check.span is None and check.during is None
        return replace(vigil, end=now, early=not endless)
    return replace(vigil, end=end)


async def _news(bench: Bench, left: timedelta) -> None:
    """Return when something new was seen, or when it is time to look or decide without."""
    seconds = left.total_seconds()
    with anyio.move_on_after(min(seconds, _ASK_AGAIN_S) if seconds > 0 else _ASK_AGAIN_S):
        await bench.observations.change()


class Watch:
    """One condition of the steady state, watched while the steps run.

    Leaving it and coming back are recorded. It is judged at the end if its severity is
    critical: then one moment outside breaks it, and one at which a value was missing leaves it
    inconclusive. Looking never waits for the log, or a moment outside could pass unseen while the
    log is slow. One that is begun anew by another worker is not judged to have held: nobody
    looked for a while.
    """

    def __init__(self, bench: Bench, check: PlannedCheck, recorder: Recorder) -> None:
        self._bench = bench
        self._check = check
        self._recorder = recorder
        self._began = bench.clock.now()
        self._unseen = recorder.state.resumed_at is not None
        self._inside = not any(
            each.check == check.id and each.regained_at is None
            for each in recorder.state.excursions
        )
        self._worst: Look | None = None
        self._missed: Look | None = None
        self._last: Look | None = None
        self._program = bench.program(check)
        self._untold: list[Event] = []
        self._passed_over = 0
        self._news = anyio.Event()
        self._looking = anyio.CancelScope()
        self._telling = anyio.CancelScope()

    async def look(self) -> None:
        """Look each time that something is seen, until `conclude` is called."""
        with self._looking:
            while True:
                self._see()
                await self._bench.observations.change()

    async def tell(self) -> None:
        """Record what `look` found, until `conclude` is called."""
        with self._telling:
            while True:
                await self._news.wait()
                await self._recorder.turn()
                # Whoever concluded while the turn came has told all of it.
                if self._untold:
                    await self._recorder.record(*self._next())

    def _see(self) -> None:
        look = self._bench.look(self._program, self._check, self._began)
        if look is None:
            return
        inside, self._inside = self._inside, look.truth is True
        observed = plain(look.measure.observed) if look.measure else None
        self._last = look
        if look.truth is False and self._worst is None:
            self._worst = look
        if look.truth is None and self._missed is None:
            self._missed = look
        if look.truth is not True and inside:
            self._note(SteadyStateLeft(check=self._check.id, observed=observed))
        elif look.truth is True and not inside:
            self._note(SteadyStateRegained(check=self._check.id, observed=observed))

    def _note(self, event: Event) -> None:
        if len(self._untold) < UNTOLD_MAX:
            self._untold.append(event)
        else:
            # It is the opposite of the last one: with both left out, all is as it is now.
            self._untold.pop()
            self._passed_over += 1
        self._news.set()

    def _next(self) -> list[Event]:
        """Return what is to be recorded next, and with the last of it what was passed over."""
        event = self._untold.pop(0)
        if self._untold:
            return [event]
        self._news = anyio.Event()
        return [event, *self._rest()]

    def _rest(self) -> list[Event]:
        """Return all that is not recorded yet."""
        rest, self._untold = self._untold, []
        passed_over, self._passed_over = self._passed_over, 0
        if not passed_over:
            return rest
        text = (
            f"check {self._check.id!r} changed to and fro {passed_over} more times, faster than "
            "it could be recorded"
        )
        return [*rest, Noted(text=text)]

    async def conclude(self) -> None:
        """End the watch, and record the judgement over the whole of it; call it once."""
        self._looking.cancel()
        self._telling.cancel()
        self._see()
        await self._recorder.record(*self._rest())
        if self._check.severity is not Severity.CRITICAL:
            return
        told = self._worst or self._missed or self._last
        trial = Trial(check=self._check, origin=self._began, last=told, unseen=self._unseen)
        finding = Finding.INCONCLUSIVE
        if self._worst is not None:
            finding = Finding.BROKEN
        elif told is not None and self._missed is None and not self._unseen:
            finding = Finding.HELD
        now = self._bench.clock.now()
        validation = trial.validation(finding, now, phase=Phase.DURING, step=None)
        await self._recorder.record(CheckJudged(validation=validation))
