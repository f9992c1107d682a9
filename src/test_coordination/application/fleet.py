"""Workers: who they are, who of them is alive, and which of them has an execution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from test_coordination.domain.values import ExecutionId, WorkerId


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
