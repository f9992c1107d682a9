"""What is new in many logs at once, and how long steps took before, from PostgreSQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from test_coordination.adapters.codec import decode_event
from test_coordination.adapters.postgres.pool import Pool, connection
from test_coordination.application.history import PAST_MAX
from test_coordination.domain.events import Entry
from test_coordination.domain.values import ExecutionId, StepId

# A look-up in the primary key for each log, in the one partition that can have it.
NEWS: Final = """
    SELECT wanted.id, event.position, event.at, event.kind, event.body
    FROM unnest($1::uuid[], $2::int[]) AS wanted (id, after)
    CROSS JOIN LATERAL (
        SELECT position, at, kind, body
        FROM execution_event
        WHERE execution_id = wanted.id AND position > wanted.after
        ORDER BY position
        LIMIT $3
    ) AS event
    ORDER BY wanted.id, event.position
"""
# The first part is answered by the index execution_latest alone. A step that was retried or taken
# over has still one start and one end.
DURATIONS: Final = """
    WITH past AS (
        SELECT id
        FROM execution
        WHERE scenario_name = $1 AND status = 'finished' AND ended_at <= $2
        ORDER BY ended_at DESC, id DESC
        LIMIT $3
    )
    SELECT event.body ->> 'step', max(event.at) - min(event.at)
    FROM past
    JOIN execution_event AS event ON event.execution_id = past.id
    WHERE event.kind = 'StepStarted'
        OR event.kind = 'StepEnded' AND event.body ->> 'outcome' = 'done'
    GROUP BY past.id, event.body ->> 'step'
    HAVING count(*) = 2
"""


class PostgresHistory:
    """A `History` of the executions that a database has."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def news(
        self, after: Mapping[ExecutionId, int], *, limit: int
    ) -> Mapping[ExecutionId, Sequence[Entry]]:
        """See `History.news`."""
        async with connection(self._pool, doing="reading what is new") as lent:
            rows = await lent.fetch(NEWS, list(after), list(after.values()), limit)
        found = defaultdict[ExecutionId, list[Entry]](list)
        for execution, position, at, kind, body in rows:
            entry = Entry(position=position, at=at, event=decode_event(kind, body))
            found[ExecutionId(execution)].append(entry)
        return found

    async def durations(
        self, scenario_name: str, *, before: datetime
    ) -> Mapping[StepId, Sequence[timedelta]]:
        """See `History.durations`."""
        async with connection(self._pool, doing="looking how long steps took") as lent:
            rows = await lent.fetch(DURATIONS, scenario_name, before, PAST_MAX)
        found = defaultdict[StepId, list[timedelta]](list)
        for step, took in rows:
            found[StepId(step)].append(took)
        return found
