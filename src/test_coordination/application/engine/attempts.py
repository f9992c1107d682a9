"""Do something again: after a failure, or in time with the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final, TypeVar

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


@dataclass(eq=False, kw_only=True)
class NotTriedAgainError(CoordinationError):
    """A step was told to end while it waited to be tried again, by another worker than before."""

    code: ClassVar[str] = "step.not_tried_again"

    def __str__(self) -> str:
        return "it failed, and was told to end before another worker tried it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What became of a step before: how many ``tries`` failed, and for how long to wait still.

    There is nothing to wait for if the next try has ``begun``.
    """

    tries: int = 0
    left: timedelta = timedelta(0)
    begun: bool = False


FIRST: Final = Earlier()

Found = TypeVar("Found")
Act = Callable[[], Awaitable[Found]]


async def tried(
    act: Act[Found],
    *,
    step: PlannedStep,
    recorder: Recorder,
    over: anyio.Event,
    again: Callable[[CoordinationError], bool],
    earlier: Earlier = FIRST,
) -> Found:
    """Return what ``act`` returns, tried as often as the step's retry allows.

    Each failure that is followed by another try is recorded. ``again`` tells whether a failure
    is one of those. A step that is told to end while it waits for its next try does not try, and
    while the execution is paused none does. Tries count on from the ``earlier`` ones.

    Raises:
        NotTriedAgainError: it was told to end before it was tried again here.
        CoordinationError: the last try failed, or one that is not to be repeated.
    """
    attempt = earlier.tries + 1
    waits = earlier.tries and not earlier.begun
    if waits and await _ends_before(earlier.left, recorder, over):
        raise NotTriedAgainError
    while True:
        try:
            return await act()
        except LOST:
            raise
        except CoordinationError as error:
            if attempt >= step.retry.attempts or not again(error):
                raise
            delay = delay_before(attempt + 1, step)
            retried = StepRetried(
                step=step.id, attempt=attempt, error=str(error), code=error.code, delay=delay
            )
            await recorder.turn()
            await recorder.record(retried)
            if await _ends_before(delay, recorder, over):
                raise
        attempt += 1


def delay_before(attempt: int, step: PlannedStep) -> timedelta:
    """Return how long is waited before the try of that number, from the second one on."""
    delay = step.retry.delay
    for _ in range(attempt - 2):
        # No try could come after the timeout, and a longer delay might be no duration at all.
        longer_s = delay.total_seconds() * step.retry.backoff
        delay = timedelta(seconds=min(longer_s, step.timeout.total_seconds()))
    return delay


async def _ends_before(delay: timedelta, recorder: Recorder, over: anyio.Event) -> bool:
    """Wait for the next try; tell whether the step was told to end meanwhile."""
    with anyio.move_on_after(delay.total_seconds()):
        await over.wait()
    await recorder.resumed()
    return over.is_set()


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
