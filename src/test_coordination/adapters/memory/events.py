"""A stream of events in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from test_coordination.application.timetable import Arrival


class MemoryEvents:
    """An `EventsIn` that whoever has it writes to; positions count from 1."""

    source = "memory"

    def __init__(self) -> None:
        self._arrivals: list[Arrival] = []

    def write(
        self, name: str, data: Mapping[str, object] | None = None, *, at: datetime | None = None
    ) -> None:
        """Put an event at the end of the stream."""
        position = str(len(self._arrivals) + 1)
        self._arrivals.append(Arrival(position=position, name=name, at=at, data=data or {}))

    async def read(self, *, after: str, limit: int) -> Sequence[Arrival]:
        """See `EventsIn.read`."""
        start = int(after or 0)
        return self._arrivals[start : start + limit]
