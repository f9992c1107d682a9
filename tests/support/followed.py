"""Executions that are written by hand while others follow them, on a store that is counted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import anyio

from support.engine_stores import ShakyLog, gone
from support.stores_story import Story, new_record, new_scenario
from support.virtual_time import LoopClock
from test_coordination.adapters.codec import UnreadableError
from test_coordination.adapters.memory.live import MemoryLiveView
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.following import Feed
from test_coordination.application.ports import Heard
from test_coordination.domain.events import Entry, Event
from test_coordination.domain.values import ExecutionId


class CountedLog(ShakyLog):
    """Counts how often and by how many at once news are asked for; some logs cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.at_once = 0
        self.at_once_max = 0
        self.takes_s = 0.001
        self.broken: set[ExecutionId] = set()

    async def news(
        self, after: Mapping[ExecutionId, int], *, limit: int
    ) -> Mapping[ExecutionId, Sequence[Entry]]:
        self.asked += 1
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            await anyio.sleep(self.takes_s)
            if self.away:
                raise gone()
            if self.broken.intersection(after):
                raise UnreadableError(kind="event", cause="it is too new")
            return await super().news(after, limit=limit)
        finally:
            self.at_once -= 1


class DeafLiveView(MemoryLiveView):
    """Never knows anything."""

    async def news(self, after: Mapping[ExecutionId, int], *, limit: timedelta) -> Heard:
        del after, limit
        return Heard.DEAF


@dataclass(slots=True, kw_only=True)
class Desk:
    """Who writes, and who follows."""

    feed: Feed
    log: CountedLog
    live: MemoryLiveView
    seen: dict[str, list[tuple[float, Entry]]] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)

    async def new(self) -> Story:
        """Return an execution that has begun."""
        story = Story(new_record(new_scenario()))
        await self.log.create(story.record)
        await self.write(story, story.begin())
        return story

    async def write(self, story: Story, entries: Sequence[Entry]) -> None:
        await self.log.append(entries, leading_to=story.state, epoch=1)
        self.live.publish(story.record, story.state, entries)

    async def tell(self, story: Story, *events: Event) -> None:
        await self.write(story, story.tell(*events))

    async def end(self, story: Story) -> None:
        await self.write(story, story.end())

    async def follow(self, name: str, story: Story, *, after: int = 0, takes_s: float = 0) -> None:
        """Note all that a follower sees and when; it takes so long for each."""
        seen = self.seen.setdefault(name, [])
        try:
            async for entry in self.feed.follow(story.record.id, after=after):
                seen.append((anyio.current_time(), entry))
                if takes_s:
                    await anyio.sleep(takes_s)
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the test asks for
            self.failures[name] = error

    def positions(self, name: str) -> list[int]:
        return [entry.position for _, entry in self.seen[name]]


@asynccontextmanager
async def desk(live: MemoryLiveView | None = None) -> AsyncGenerator[Desk]:
    """Lend a desk; without a ``live`` view nobody tells of news."""
    log, view = CountedLog(), live or DeafLiveView()
    stores = Stores(log=log, live=view, clock=LoopClock())
    async with anyio.create_task_group() as group:
        yield Desk(feed=Feed(stores, group), log=log, live=view)
        group.cancel_scope.cancel()
