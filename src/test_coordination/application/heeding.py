"""Carries out what somebody wishes of the executions of one worker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeAlias

import anyio
from anyio.abc import TaskGroup

from test_coordination.application.engine.attempts import LOST
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.ports import ExecutionRecord, LogConflictError
from test_coordination.application.wishes import Desire, KeptWishes, Wish, outstanding
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import AbortRequested, ExecutionPaused, ExecutionResumed
from test_coordination.domain.execution import IllegalTransitionError
from test_coordination.domain.values import ExecutionId

Recording: TypeAlias = Callable[[], Coroutine[None, None, None]]


class Heeder(Protocol):
    """An execution that this worker has."""

    record: ExecutionRecord
    ended: anyio.Event

    @property
    def recorder(self) -> Recorder:
        """Return its pen."""
        ...

    async def abort(self, wish: AbortRequested) -> None:
        """Stop it; return when the wish is durable.

        Raises:
            LogConflictError: another worker has it; its faults are being undone.
            StoreUnavailableError: the wish could not be recorded; it is stopped all the same.
        """
        ...


class Heeding:
    """Has wishes carried out on the ``runs`` of a worker, as they come and go.

    ``busy`` are these, and those that are only being created yet.
    """

    def __init__(
        self, group: TaskGroup, runs: Mapping[ExecutionId, Heeder], busy: Collection[ExecutionId]
    ) -> None:
        """Record in ``group`` what was wished: nobody waits for that."""
        self._group = group
        self._runs = runs
        self._busy = busy
        self._early: dict[ExecutionId, list[Wish]] = {}

    def heed(self, wish: Wish) -> frozenset[ExecutionId]:
        """Have ``wish`` carried out at once; return the executions here that it is for."""
        meant = [run for run in self._under_way() if self._is_meant(run, wish)]
        for run in meant:
            self._carry_out(wish, run)
        coming = [each for each in self._busy if each not in self._runs]
        self._early = {each: self._early.get(each, []) for each in coming}
        early = {each for each in coming if wish.execution in {None, each}}
        for each in early:
            self._early[each].append(wish)
        return frozenset(early.union(run.record.id for run in meant))

    def join(self, run: Heeder) -> None:
        """Carry out on a run that is new what was wished of it before; see `heed`.

        One whose parent is paused is paused with it.
        """
        for wish in self._early.pop(run.record.id, []):
            self._carry_out(wish, run)
        parent = self._runs.get(run.record.parent) if run.record.parent else None
        pause = parent.recorder.wanted.pause if parent is not None else None
        if pause is not None:
            paused = ExecutionPaused(reason=pause.reason, by=pause.by, undo=pause.undo)
            run.recorder.wish(paused)
            self._group.start_soon(_written, run, paused)

    def _under_way(self) -> Iterator[Heeder]:
        return (run for run in self._runs.values() if not run.ended.is_set())

    def _is_meant(self, run: Heeder, wish: Wish) -> bool:
        """Tell whether a wish means a run; what is a step of an execution is not aborted by us.

        Whatever began it does that, and waits for its end.
        """
        if wish.execution in {None, run.record.id}:
            return True
        parent = run.record.parent
        if parent is None or wish.desire is Desire.ABORT:
            return False
        above = self._runs.get(parent)
        return parent == wish.execution or (above is not None and self._is_meant(above, wish))

    def _carry_out(self, wish: Wish, run: Heeder) -> None:
        recording = carried_out(wish, run)
        if recording is not None:
            self._group.start_soon(recording)


def carried_out(wish: Wish, run: Heeder) -> Recording | None:
    """Have ``wish`` decided by at once; return what records it, or None if it changes nothing."""
    wanted = run.recorder.wanted
    match wish.desire:
        case Desire.ABORT if wanted.abort is None:
            stop = AbortRequested(reason=wish.reason, by=wish.by)
            run.recorder.wish(stop)
            return partial(_aborted, run, stop)
        case Desire.PAUSE if wanted.pause is None or (wish.undo and not wanted.pause.undo):
            pause = ExecutionPaused(reason=wish.reason, by=wish.by, undo=wish.undo, wish=wish.id)
            run.recorder.wish(pause)
            return partial(_written, run, pause)
        case Desire.RESUME if wanted.pause is not None:
            resume = ExecutionResumed(reason=wish.reason, by=wish.by, wish=wish.id)
            return partial(_written, run, resume)
        case _:
            return None


async def recalled(run: Heeder, kept: KeptWishes) -> None:
    """Carry out what was wished of an execution while no worker had it.

    Raises:
        StoreUnavailableError: that could not be found out.
        LogConflictError: another worker has it.
    """
    asked = partial(kept.of, run.record.id)
    wishes = await patiently(asked, doing=f"looking for wishes of execution {run.record.id}")
    for wish in outstanding(wishes, run.recorder.state.heeded):
        recording = carried_out(wish, run)
        if recording is not None:
            await recording()


async def _aborted(run: Heeder, stop: AbortRequested) -> None:
    with suppress(*LOST):  # whoever waits for its end is told
        await run.abort(stop)


async def _written(run: Heeder, event: ExecutionPaused | ExecutionResumed) -> None:
    """Record ``event``, also after the store was away for long, unless the execution has ended."""
    while not run.ended.is_set():
        try:
            await run.recorder.record(event)
        except StoreUnavailableError:
            continue
        except (IllegalTransitionError, LogConflictError):
            pass
        return
