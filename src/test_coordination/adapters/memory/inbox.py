"""What has happened and was not heard of yet, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from test_coordination.adapters.codec import decode_facts, encode
from test_coordination.adapters.memory.schedules import KnownExecutions, MemoryTimetable
from test_coordination.application.timetable import Matches, Occurrence, Sighting
from test_coordination.domain.due import Instant
from test_coordination.domain.schedule import OnChange, ended_topic
from test_coordination.domain.values import ServiceName


class MemoryInbox:
    """An `Inbox` of the schedules in a timetable, and of the executions in ``log``."""

    def __init__(self, log: KnownExecutions, timetable: MemoryTimetable) -> None:
        self._log = log
        self._timetable = timetable
        timetable.unheard = lambda: bool(self._kept) or self._read < len(self._log.ended)
        self._read = 0
        self._kept: dict[str, Occurrence] = {}
        self._positions: dict[str, str] = {}
        self._seen: dict[tuple[str, str, ServiceName], Sighting] = {}

    async def put(self, occurrence: Occurrence) -> None:
        """See `Inbox.put`."""
        at = min(occurrence.at, await self._timetable.now())
        clean = replace(occurrence, at=at, data=decode_facts(encode(occurrence.data)))
        self._kept.setdefault(occurrence.cause, clean)

    async def hear(self, matches: Matches, *, limit: int) -> int:
        """See `Inbox.hear`."""
        await self._note_ends()
        handed = list(self._kept)[:limit]
        for cause in handed:
            occurrence = self._kept.pop(cause)
            for stored in self._timetable.waiting_for(occurrence.topic):
                if stored.created_at <= occurrence.at and matches(stored, occurrence):
                    instant = Instant(due=occurrence.at, moment=occurrence.at, cause=cause)
                    self._timetable.hear(stored, instant)
        return len(handed)

    async def position(self, source: str) -> str:
        """See `Inbox.position`."""
        return self._positions.get(source, "")

    async def receive(
        self, source: str, occurrences: Sequence[Occurrence], *, after: str, upto: str
    ) -> bool:
        """See `Inbox.receive`."""
        if self._positions.get(source, "") != after:
            return False
        self._positions[source] = upto
        for occurrence in occurrences:
            await self.put(occurrence)
        return True

    async def watched(self, system: str) -> Sequence[ServiceName]:
        """See `Inbox.watched`."""
        return sorted(
            ServiceName(stored.schedule.trigger.service)
            for stored in await self._timetable.list(limit=10**9)
            if stored.system == system and isinstance(stored.schedule.trigger, OnChange)
        )

    async def see(self, system: str, sightings: Sequence[Sighting]) -> None:
        """See `Inbox.see`."""
        for sighting in sightings:
            key = system, sighting.place, sighting.service
            known = self._seen.setdefault(key, sighting)
            if sighting.started_at <= known.started_at or sighting.mark == known.mark:
                continue
            self._seen[key] = sighting
            await self.put(sighting.after(known, system))

    async def _note_ends(self) -> None:
        """Take in the executions that have ended since the last look."""
        ended, self._read = self._log.ended[self._read :], len(self._log.ended)
        now = await self._timetable.now()
        for record in ended:
            topic = ended_topic(record.scenario_name)
            if record.parent is None and self._timetable.waiting_for(topic):
                data = {"execution": str(record.id), "verdict": record.verdict}
                cause = f"execution {record.id}"
                await self.put(Occurrence(topic=topic, cause=cause, at=now, data=data))
