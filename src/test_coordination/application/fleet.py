"""Workers: who they are, who of them is alive, and which of them has an execution."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import ClassVar, Final, Protocol
from uuid import UUID

from test_coordination.domain.admission import Obstacle
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.values import ExecutionId, WorkerId

NOBODY: Final = WorkerId(UUID(int=0))
"""The worker of an execution that none has at present."""

REMEMBERED: Final = timedelta(days=1)
"""For how long one is told of workers that died, after all that was theirs is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One coordinator process: where it runs, so that its death can be seen at once there.

    ``born`` names the process beyond its pid, which is used again; ``host`` names the machine
    and its boot.
    """

    id: WorkerId
    host: str
    pid: int
    born: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has executions that have not ended, or whose faults may be in force.

    ``worker`` is None if it has left. It is ``silent`` if its lease has ended without that.
    ``running`` counts those of its executions that have not ended.
    """

    id: WorkerId
    worker: Worker | None
    silent: bool
    running: int


class Machine(Protocol):
    """The machine that we run on, and the processes on it."""

    def uptime(self) -> timedelta:
        """Return how long the machine has been up, the time in which it slept included."""
        ...

    def present(self, worker: WorkerId) -> Worker:
        """Return ``worker`` as the process that asks."""
        ...

    def is_dead(self, worker: Worker) -> bool:
        """Tell whether the worker's process is certainly gone; False where it cannot be known."""
        ...


class Workers(Protocol):
    """Who is alive: each worker holds a lease that it must renew.

    Time is the store's own, so that no two machines' clocks are compared. Whatever else is asked
    of the store does not delay `beat` and `held`.
    """

    async def beat(self, worker: Worker, *, lease: timedelta) -> None:
        """Say that ``worker`` lives for ``lease`` from now on; the first call registers it."""
        ...

    async def leave(self, worker: WorkerId) -> None:
        """Say that the worker has ended and holds nothing.

        Who has been silent for longer than ``REMEMBERED``, and holds nothing, is forgotten, too.
        """
        ...

    async def all(self) -> Sequence[Worker]:
        """Return every worker that has not left, the silent ones too."""
        ...

    async def holders(self) -> Sequence[Holder]:
        """Return who has executions that are not settled; cheap enough to ask twice a second.

        Executions of `NOBODY` are left out.
        """
        ...

    async def claim(
        self, execution: ExecutionId, *, by: WorkerId, epoch: int, from_living: bool = False
    ) -> int | None:
        """Make ``by`` the worker of an execution that was last given away under ``epoch``.

        Return the epoch under which it may write from now on, which is one more; whoever had
        the execution before cannot write any more. None if another worker was faster, or if the
        lease of who has it is in force; ``from_living`` says that this does not matter. Who has
        stopped in the middle of a write does not hold a claim up.
        """
        ...

    async def held(self, epochs: Mapping[ExecutionId, int]) -> frozenset[ExecutionId]:
        """Return those executions that may still be written under the epoch that is given.

        A claim that is under way is waited for, so that what is said stays true for as long as
        the lease of their worker is in force.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An execution in the queue; ``place`` counts from 1, the next one to be looked at.

    One that has been let in (``admitted_at``) waits for its worker, a detached one for any that
    has all that it ``requires``; its place is 0, and nothing is in its way. So it is with a
    detached one that no worker at work can carry out: it is not let in, and keeps nobody else
    out. ``lacks`` says why none can, and ``released`` why the last worker that had it has it no
    more, also of one that has begun.
    """

    execution: ExecutionId
    scenario: str
    requested_by: str
    priority: int
    since: datetime
    place: int
    detached: bool
    requires: frozenset[str]
    admitted_at: datetime | None
    obstacles: tuple[Obstacle, ...]
    lacks: str = ""
    released: str = ""


@dataclass(eq=False, kw_only=True)
class BudgetExceededError(CoordinationError):
    """A fault would hit more of a system at a time than its topology allows."""

    code: ClassVar[str] = "execution.budget_exceeded"

    system: str
    services: frozenset[str]
    hit: frozenset[str]
    limit: int

    def __str__(self) -> str:
        more, hit = (", ".join(sorted(names)) or "none" for names in (self.services, self.hit))
        return (
            f"faults may hit {self.limit} of the services of {self.system!r} at a time, and hit "
            f"{hit} now: {more} must wait until one is undone, or raise 'blast_radius' in the "
            "topology"
        )


class Queue(Protocol):
    """Lets executions in as what they claim becomes free; `ExecutionLog.create` puts them in.

    An execution holds what it claims, all of it or nothing, from when it is let in until its log
    says that it has ended and that none of its faults, nor of those that are its steps, may be in
    force. Whose worker dies goes on holding it.
    """

    async def admit(self) -> Sequence[ExecutionId]:
        """Let in every execution that can be now, and return which; any number may try at once.

        Detached ones are given to the dispatch in the same transaction; only those are let in that
        some worker at work can carry out. What is freed wakes nobody: whoever ends an execution,
        begins one, or waits for one, tries.

        Raises:
            StoreUnavailableError: whether any was let in is not known; trying again is safe.
        """
        ...

    async def admitted(self, executions: Collection[ExecutionId]) -> frozenset[ExecutionId]:
        """Return those of ``executions`` that wait no longer, also because they have ended.

        Raises:
            StoreUnavailableError: they cannot be looked at.
        """
        ...

    async def waiting(self, *, limit: int) -> Sequence[Waiting]:
        """Return at most ``limit`` executions that wait for a worker or in the queue, in order.

        Raises:
            StoreUnavailableError: they cannot be looked at.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Advert:
    """What a worker says of itself, again and again.

    ``offers`` is what executions may require of it; None says that it carries out nothing but
    what it was asked for itself. ``executions`` counts those that it is at, of at most
    ``executions_max``. ``memory`` is what its process takes, in bytes; above ``memory_max`` it
    takes no further execution. One that is ``draining`` ends what it has, and takes no more.
    """

    program: str
    offers: frozenset[str] | None = None
    executions: int = 0
    executions_max: int = 0
    memory: int = 0
    memory_max: int | None = None
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A worker that has not left; one that is ``silent`` has let its lease end."""

    worker: Worker
    advert: Advert
    began_at: datetime
    silent: bool


def taking(present: Iterable[Presence]) -> Sequence[frozenset[str]]:
    """Return what each of those offers that takes executions of others, and is not silent."""
    adverts = [each.advert for each in present if not each.silent and not each.advert.draining]
    return [advert.offers for advert in adverts if advert.offers is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An execution that is to be given to a worker which offers all that it ``requires``.

    Those of a higher ``priority`` are given first, and then those that came first.
    """

    execution: ExecutionId
    requires: frozenset[str] = frozenset()
    priority: int = 0


class Handled(Enum):
    """What has become of an execution that a worker was given."""

    DONE = "done"
    """It needs no worker any more."""
    AGAIN = "again"
    """It is to be given to a worker again, perhaps to another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A worker, as the dispatch sees it.

    It is given executions whose requirements are among its ``offers``, as long as it is at fewer
    than ``most`` says at that moment. ``handle`` is called in a task of its own for each, and
    returns when this worker is not at it any more; it raises nothing.
    """

    worker: WorkerId
    offers: frozenset[str]
    most: Callable[[], int]
    handle: Callable[[ExecutionId], Awaitable[Handled]]


class Dispatch(Protocol):
    """Gives each detached execution that was let in to a worker that can carry it out.

    It is given to one at a time, again if that one is silent for some seconds, until one says
    that it is done. A worker that was silent without being dead may have it beside the next one:
    the execution's epoch tells them apart, and what it then says of it is not heard.
    """

    async def announce(self, worker: WorkerId, advert: Advert) -> None:
        """Say what a worker offers, and how it fares; repeat it, for it may be forgotten.

        Raises:
            StoreUnavailableError: it could not be said.
        """
        ...

    async def present(self) -> Sequence[Presence]:
        """Return every worker that has not left, in the order of their identities.

        Raises:
            StoreUnavailableError: they cannot be looked at.
        """
        ...

    async def serve(self, service: Service) -> None:
        """Give executions to ``service`` until cancelled; a store that is away is waited for.

        What ``handle`` is still at then is cancelled and given to others.
        """
        ...
