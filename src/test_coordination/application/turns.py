"""Does what waits for each other in turn: as soon as it may be, and not too much at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import anyio

from test_coordination.domain.graph import layers


@dataclass(slots=True)
class _Turns:
    """What is over, and what is under way."""

    over: set[str] = field(default_factory=set)
    running: int = 0
    failures: list[Exception] = field(default_factory=list)
    changed: anyio.Event = field(default_factory=anyio.Event)

    async def take(self, name: str, work: Callable[[str], Awaitable[None]]) -> None:
        try:
            await work(name)
        except Exception as error:  # noqa: BLE001  a border: it must not cut off what is under way
            self.failures.append(error)
        self.over.add(name)
        self.running -= 1
        self.changed.set()

    async def change(self) -> None:
        await self.changed.wait()
        self.changed = anyio.Event()


async def in_turn(
    needs: Mapping[str, AbstractSet[str]],
    work: Callable[[str], Awaitable[None]],
    *,
    concurrency: int,
) -> None:
    """Do the ``work`` of every name once the names that it needs are over, however they ended.

    At most ``concurrency`` are under way at once; of those that could begin, the first of the
    mapping does. If one raises, nothing further begins, and what is under way comes to its end.

    Raises:
        CircularNeedsError: names wait for each other; nothing was begun.
        Exception: the first that ``work`` raised.
    """
    layers(needs)
    turns, waiting = _Turns(), list(needs)
    async with anyio.create_task_group() as group:
        while waiting and not turns.failures:
            ready = (name for name in waiting if needs[name] & needs.keys() <= turns.over)
            name = next(ready, None) if turns.running < concurrency else None
            if name is None:
                await turns.change()
                continue
            waiting.remove(name)
            turns.running += 1
            group.start_soon(turns.take, name, work)
    if turns.failures:
        raise turns.failures[0]
