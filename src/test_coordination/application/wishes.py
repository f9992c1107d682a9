"""Wishes: what somebody wants of executions, wherever they run, and who acts on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from anyio import TASK_STATUS_IGNORED, sleep_forever
from anyio.abc import TaskStatus

from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WishId, WorkerId


class Desire(StrEnum):
    """What may be wanted of an execution."""

    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody, named by ``by``, wants of one execution, and of those that are its steps.

    Without an ``execution`` all are meant that there are as it is made; those that are ordered
    later are not. With ``undo`` a pause ends the faults that are in force.
    """

    id: WishId
    desire: Desire
    reason: str
    by: str
    execution: ExecutionId | None = None
    undo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A worker says that it acts on a wish, for these of its executions."""

    worker: WorkerId
    executions: frozenset[ExecutionId]


class Wishes(Protocol):
    """One way in which wishes reach the workers.

    There may be several, and each wish takes all of them: one of them may be slow or away. So
    whoever hears must bear to hear a wish twice.
    """

    @property
    def store(self) -> str:
        """Return what the way goes through, as people call it."""
        ...

    async def make(self, wish: Wish) -> bool:
        """Tell all workers of ``wish``; return whether it was not known here before.

        Repeating the very same call is safe.

        Raises:
            StoreUnavailableError: whether anybody is told is not known.
        """
        ...

    async def answer(self, wish: WishId, answer: Answer) -> None:
        """Say who acts on a wish; what the same worker said before is replaced.

        An answer to a wish that is not known here may be dropped.

        Raises:
            StoreUnavailableError: whether that is known is not known.
        """
        ...

    async def answers(self, wish: WishId) -> Sequence[Answer]:
        """Return who has said by now that it acts on a wish.

        Raises:
            StoreUnavailableError: it cannot be asked.
        """
        ...

    async def unfinished(self) -> Mapping[ExecutionId, bool]:
        """Return the executions that have not ended, as far as is known here.

        With each stands whether it has no worker, and waits for one.

        Raises:
            StoreUnavailableError: it cannot be asked.
        """
        ...

    async def hear(
        self,
        tell: Callable[[Wish], object],
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """Call ``tell`` with each wish that is made from now on, until this is cancelled.

        It has started once none is missed any more, or once the store turned out to be away.
        What is made while it is, is told when it is back, as far as the store knows of it.
        """
        ...


class KeptWishes(Wishes, Protocol):
    """The way that is never emptied: what was wished there is found by whoever comes later."""

    async def of(self, execution: ExecutionId) -> Sequence[Wish]:
        """Return the wishes that mean an execution, in the order in which they were made.

        Raises:
            StoreUnavailableError: it cannot be asked.
        """
        ...

    async def unheeded(self) -> Mapping[ExecutionId, Wish]:
        """Return what has begun, has no worker, and is to be stopped, with the first such wish.

        Left out are those whose plans this program does not know.

        Raises:
            StoreUnavailableError: it cannot be asked.
        """
        ...


class NoWishes:
    """A `KeptWishes` for where no wish can come from or go to another process."""

    store = "this process alone"

    async def make(self, wish: Wish) -> bool:
        """See `Wishes.make`."""
        raise StoreUnavailableError(store=self.store, doing=f"telling others to {wish.desire}")

    async def answer(self, wish: WishId, answer: Answer) -> None:
        """See `Wishes.answer`."""

    async def answers(self, wish: WishId) -> Sequence[Answer]:
        """See `Wishes.answers`."""
        del wish
        return []

    async def unfinished(self) -> Mapping[ExecutionId, bool]:
        """See `Wishes.unfinished`."""
        return {}

    async def of(self, execution: ExecutionId) -> Sequence[Wish]:
        """See `KeptWishes.of`."""
        del execution
        return []

    async def unheeded(self) -> Mapping[ExecutionId, Wish]:
        """See `KeptWishes.unheeded`."""
        return {}

    async def hear(
        self,
        tell: Callable[[Wish], object],
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """See `Wishes.hear`."""
        del tell
        task_status.started()
        await sleep_forever()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways that a wish takes: ``kept`` outlives everything, ``quick`` may be absent."""

    kept: KeptWishes = field(default_factory=NoWishes)
    quick: Wishes | None = None

    def __iter__(self) -> Iterator[Wishes]:
        """Yield each way, the quick one first."""
        if self.quick is not None:
            yield self.quick
        yield self.kept


def outstanding(wishes: Sequence[Wish], heeded: WishId | None) -> Sequence[Wish]:
    """Return those of ``wishes`` that an execution has not heeded yet, in their order.

    ``heeded`` is the last wish to pause or to resume that its log knows of: those before it are
    settled. A wish to abort always stands, and none of the others matters beside it.
    """
    aborts = [wish for wish in wishes if wish.desire is Desire.ABORT]
    if aborts:
        return aborts[:1]
    places = [place for place, wish in enumerate(wishes) if wish.id == heeded]
    return wishes[places[-1] + 1 :] if places else wishes
