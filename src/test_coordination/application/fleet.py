"""Workers: who they are, who of them is alive, and which of them has an execution."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from test_coordination.domain.values import ExecutionId, WorkerId

NOBODY: Final = WorkerId(UUID(int=0))
"""The worker of an execution that none has at present."""


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


class Machine(Protocol):
    """The machine that we run on, and the processes on it."""

    def present(self, worker: WorkerId) -> Worker:
        """Return ``worker`` as the process that asks."""
        ...

    def is_dead(self, worker: Worker) -> bool:
        """Tell whether the worker's process is certainly gone; False where it cannot be known."""
        ...


class Workers(Protocol):
    """Who is alive: each worker holds a lease that it must renew.

    Time is the store's own, so that no two machines' clocks are compared.
    """

    async def beat(self, worker: Worker, *, lease: timedelta) -> None:
        """Say that ``worker`` lives for ``lease`` from now on; the first call registers it."""
        ...

    async def leave(self, worker: WorkerId) -> None:
        """Say that the worker has ended and holds nothing."""
        ...

    async def silent(self) -> Sequence[WorkerId]:
        """Return the workers whose lease has ended without their leaving."""
        ...

    async def all(self) -> Sequence[Worker]:
        """Return every worker that has not left."""
        ...

    async def claim(self, execution: ExecutionId, *, by: WorkerId, epoch: int) -> int | None:
        """Make ``by`` the worker of an execution that was last given away under ``epoch``.

        Return the epoch under which it may write from now on; whoever had the execution before
        cannot write any more. None if another worker was faster.
        """
        ...

    async def holds(self, execution: ExecutionId, *, epoch: int) -> bool:
        """Tell whether ``epoch`` is still the one under which the execution may be written."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One thing that an execution waits for, and who is in its way.

    ``kind`` is ``exclusive`` or ``shared`` where the thing is held so, ``pool`` for slots. ``by``
    has held it since ``since``; with ``residue`` it has ended, and what it did is not undone.
    With ``reserved`` it does not hold it, but waits since then in front of us, and needs it, too.
    """

    kind: str
    name: str
    by: ExecutionId
    scenario: str
    since: datetime
    residue: bool = False
    reserved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An execution in the queue; ``place`` counts from 1, the next one to be looked at.

    Nothing is in the way of one that came just now, and of one that has been let in
    (``admitted_at``) and waits for a worker that has all that it ``requires``; its place is 0.
    """

    execution: ExecutionId
    scenario: str
    requested_by: str
    priority: int
    since: datetime
    place: int
    detached: bool = False
    requires: frozenset[str] = frozenset()
    admitted_at: datetime | None = None
    obstacles: tuple[Obstacle, ...] = ()


class Queue(Protocol):
    """Lets executions in as what they claim becomes free; `ExecutionLog.create` puts them in.

    An execution holds what it claims, all of it or nothing, from when it is let in until its log
    says that it has ended and that none of its faults, nor of those that are its steps, may be in
    force. Whose worker dies goes on holding it.
    """

    async def admit(self) -> Sequence[ExecutionId]:
        """Let in every execution that can be now, and return which; any number may try at once.

        Detached ones are given to the dispatch in the same transaction. What is freed wakes
        nobody: whoever ends an execution, begins one, or waits for one, tries.

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
