"""Do something again: after a failure, or in time with the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Final, TypeVar

import anyio

from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.ports import Clock, LogConflictError
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.events import StepRetried
from test_coordination.domain.evidence import Facts
from test_coordination.domain.plan import ActionWork, PlannedStep

LOST: Final = (LogConflictError, StoreUnavailableError)
"""Errors after which this worker cannot go on with the execution at all."""

_EVERY_LEAST: Final = timedelta(milliseconds=50)

Found = TypeVar("Found")
Act = Callable[[], Awaitable[Found]]


async def tried(
    act: Act[Found],
    *,
    step: PlannedStep,
    recorder: Recorder,
    over: anyio.Event,
    again: Callable[[CoordinationError], bool],
) -> Found:
    """Return what ``act`` returns, tried as often as the step's retry allows.

    Each failure that is followed by another try is recorded. ``again`` tells whether a failure
    is one of those. A step that is told to end while it waits for its next try does not try, and
    while the execution is paused none does.

    Raises:
        CoordinationError: the last try failed, or one that is not to be repeated.
    """
    retry, attempt, delay = step.retry, 1, step.retry.delay
    while True:
        try:
            return await act()
        except LOST:
            raise
        except CoordinationError as error:
            if attempt >= retry.attempts or not again(error):
                raise
            retried = StepRetried(
                step=step.id, attempt=attempt, error=str(error), code=error.code, delay=delay
            )
            await recorder.record(retried)
            with anyio.move_on_after(delay.total_seconds()):
                await over.wait()
            await recorder.resumed()
            if over.is_set():
                raise
        attempt += 1
        # No try could come after the timeout, and a longer delay might be no duration at all.
        longer_s = min(delay.total_seconds() * retry.backoff, step.timeout.total_seconds())
        delay = timedelta(seconds=longer_s)


async def repeated(
    run: Act[Facts],
    work: ActionWork,
    *,
    clock: Clock,
    over: anyio.Event,
    forgiving: bool,
) -> Facts:
    """Run again and again, ``work.times`` times or until ``over`` is set; return what came of it.

    Turns count from the first begin, so that no delay adds up. A run that takes longer than
    ``work.every`` misses the turns that would have begun meanwhile. The run under way is always
    ended. With ``forgiving`` a run that fails is only counted.

    Raises:
        CoordinationError: a run failed.
    """
    every, start = work.every or _EVERY_LEAST, clock.now()
    runs = turn = missed = failed = 0
    last: Facts = {}
    error = ""
    while True:
        try:
            last = await run()
        except LOST:
            raise
        except CoordinationError as failure:
            if not forgiving:
                raise
            failed, error = failed + 1, str(failure)
        runs += 1
        if runs == work.times:
            break
        following = _following(turn, start=start, every=every, now=clock.now())
        missed, turn = missed + following - turn - 1, following
        if await _comes_first(over, start + turn * every, clock):
            break
    failures: Facts = {"failed": failed, "error": error} if failed else {}
    return {"runs": runs, "missed": missed, **failures, "last": last}


def _following(turn: int, *, start: datetime, every: timedelta, now: datetime) -> int:
    """Return the next turn that is not missed."""
    return max(turn + 1, -((start - now) // every))


async def _comes_first(over: anyio.Event, moment: datetime, clock: Clock) -> bool:
    """Return True when ``over`` is set, False at ``moment``; whichever comes first."""
    left_s = (moment - clock.now()).total_seconds()
    if left_s > 0:
        with anyio.move_on_after(left_s):
            await over.wait()
    return over.is_set()


async def accompanied(
    act: Act[Found], companion: Callable[[], Coroutine[None, None, None]]
) -> Found:
    """Return what ``act`` returns; ``companion`` runs beside it, and not for longer.

    What ``act`` raises comes out as it is.
    """
    found: list[Found] = []
    failures: list[Exception] = []
    async with anyio.create_task_group() as group:
        group.start_soon(companion)
        try:
            found.append(await act())
        except Exception as error:  # noqa: BLE001  a task group would wrap it
            failures.append(error)
        group.cancel_scope.cancel()
    return _outcome(found, failures)


def _outcome(found: list[Found], failures: list[Exception]) -> Found:
    for failure in failures:
        raise failure
    return found[0]
