"""A crowd of executions that want the same things, in a system of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from support.stores_story import NEW, PLAN, Story, new_record
from test_coordination.adapters.machine import SystemClock
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.fleet import Queue, Waiting
from test_coordination.application.ports import ExecutionLog
from test_coordination.domain.events import Event, ExecutionEnded, ExecutionTakenOver
from test_coordination.domain.plan import Claims
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict

MANY = 10_000
NOTHING = Claims()


def alone(*names: str) -> Claims:
    return Claims(exclusive=names)


def beside(*names: str) -> Claims:
    return Claims(shared=names)


def slots(count: int, *, of: int) -> Claims:
    return Claims(pools={"network": count}, sizes={"network": of})


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Who comes for what, and how urgent it is."""

    claims: Claims
    by: str = "ann"
    priority: int = 0
    detached: bool = False
    requires: frozenset[str] = frozenset()
    parent: ExecutionId | None = None
    services_max: int | None = None


@dataclass(slots=True, kw_only=True)
class Crowd:
    """Those that came, by their names, in a queue that others may use, too."""

    log: ExecutionLog
    queue: Queue
    scenario: StoredScenario
    system: str = field(default_factory=lambda: f"system-{NEW.new()}")
    stories: dict[str, Story] = field(default_factory=dict)

    async def comes(self, name: str, claims: Claims = NOTHING, **more: object) -> Story:
        """Let one come for ``claims``; what else is said of it are the fields of `Guest`."""
        guest = replace(Guest(claims=claims), **more)  # type: ignore[arg-type]  # its fields
        plan = replace(
            PLAN, topology=self.system, claims=guest.claims, services_max=guest.services_max
        )
        record = replace(
            new_record(self.scenario),
            plan=plan,
            requested_at=SystemClock().now(),
            requested_by=f"{guest.by} of {self.system}",
            priority=guest.priority,
            detached=guest.detached,
            requires=guest.requires,
            parent=guest.parent,
        )
        await self.log.create(record)
        self.stories[name] = Story(record)
        return self.stories[name]

    async def come(self, names: str, claims: Claims, **more: object) -> None:
        """Let one come for each of the ``names``."""
        for name in names.split():
            await self.comes(name, claims, **more)

    async def admit(self) -> list[str]:
        """Try the queue, and return the names of ours that came in, in order."""
        return self.names(await self.queue.admit())

    async def line(self) -> Mapping[str, Waiting]:
        """Return ours that wait, by name, in order."""
        waiting = await self.queue.waiting(limit=MANY)
        known = {story.record.id: name for name, story in self.stories.items()}
        return {known[w.execution]: w for w in waiting if w.execution in known}

    async def tell(self, name: str, *events: Event) -> None:
        """Append ``events`` to the log of one."""
        story = self.stories[name]
        entries = story.tell(*events)
        await self.log.append(entries, leading_to=story.state, epoch=story.record.epoch)

    async def begins(self, name: str, *events: Event) -> None:
        """Begin one, and tell of it."""
        story = self.stories[name]
        began = story.begin()
        await self.log.append(began, leading_to=story.state, epoch=story.record.epoch)
        if events:
            await self.tell(name, *events)

    async def ends(self, name: str) -> None:
        """End one, which may not have begun."""
        story = self.stories[name]
        ended = ExecutionEnded(verdict=Verdict.HELD, reason="all checks held")
        if story.state.started_at is None:
            gone = ExecutionTakenOver(worker=story.record.worker, reason="its worker is dead")
            await self.tell(name, gone, ended)
        else:
            await self.tell(name, ended)

    def names(self, executions: Sequence[ExecutionId]) -> list[str]:
        """Return the names of those of ``executions`` that are ours."""
        known = {story.record.id: name for name, story in self.stories.items()}
        return [known[each] for each in executions if each in known]
