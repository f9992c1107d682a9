"""Tell what an execution waits for before it begins, and while no worker has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import anyio

from test_coordination.application.fleet import Waiting
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId
from test_coordination.interfaces.cli.progress import Progress
from test_coordination.interfaces.cli.queue_text import reasons

FIRST_S: Final = 0.5
"""What begins within this time is not told to have waited."""
LOOK_S: Final = 2.0
MOVED_S: Final = 10.0
"""How often it is told, at most, that it has come forward."""
SEEN: Final = 1000
"""How far into the queue is looked."""


class Teller(Protocol):
    """What of a coordinator is asked here."""

    async def waiting_executions(self, *, limit: int) -> Sequence[Waiting]:
        """See `Coordinator.waiting_executions`."""
        ...


async def tell_of_the_queue(teller: Teller, execution: ExecutionId, shown: Progress) -> None:
    """Tell what keeps ``execution`` out and where it stands, until it is let in.

    A detached one is told of until a worker has it.
    """
    told, told_s = "", anyio.current_time()
    await anyio.sleep(FIRST_S)
    while (found := await _found(teller, execution)) is not None:
        place, why = found
        now_s = anyio.current_time()
        if why != told or now_s - told_s >= MOVED_S:
            shown.queued(f"{place}: {why}")
            told, told_s = why, now_s
        await anyio.sleep(LOOK_S)


async def tell_while(
    teller: Teller, execution: ExecutionId, shown: Progress, *, waits: Callable[[], bool]
) -> None:
    """Tell the same, again and again, whenever `waits` says that no worker has it."""
    while True:
        if waits():
            await tell_of_the_queue(teller, execution, shown)
        await anyio.sleep(LOOK_S)


async def _found(teller: Teller, execution: ExecutionId) -> tuple[str, str] | None:
    """Return where it stands and what it waits for; None if it waits no more."""
    try:
        waiting = await teller.waiting_executions(limit=SEEN)
    except StoreUnavailableError as error:
        return "waits in the queue", str(error)
    mine = next((each for each in waiting if each.execution == execution), None)
    if mine is None:
        behind = len(waiting) == SEEN
        return (f"waits behind {SEEN} others", "for its turn") if behind else None
    if mine.admitted_at is not None and not mine.detached:
        return None
    if not mine.place:
        return "waits", "; ".join(reasons(mine))
    return f"waits, number {mine.place} in the queue", "; ".join(reasons(mine))
