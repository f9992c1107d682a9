"""Executions and their logs in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from test_coordination.adapters.codec import decode_event, decode_plan
from test_coordination.adapters.postgres.batcher import Append, Batcher, open_batcher
from test_coordination.adapters.postgres.books import keep_books, over_budget
from test_coordination.adapters.postgres.copying import COLUMNS, copied
from test_coordination.adapters.postgres.history import PostgresHistory
from test_coordination.adapters.postgres.lanes import claims_of, lane_of
from test_coordination.adapters.postgres.partitions import Month, add_month_of, month_of
from test_coordination.adapters.postgres.pool import Pool, connection, jsonb, transaction
from test_coordination.application.fleet import NOBODY
from test_coordination.application.ports import ExecutionRecord, NotFoundError
from test_coordination.domain.admission import bounded
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import Entry
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.plan import PLAN_FORMATS
from test_coordination.domain.values import ExecutionId, ScenarioId, StepId, WorkerId
from test_coordination.domain.verdicts import Verdict

# Whoever is no step of another waits from now on. A row that there is already changes nothing.
CREATE: Final = """
    WITH created AS (
        INSERT INTO execution (
            id, scenario_id, scenario_name, scenario_version, plan, requested_at, requested_by,
            worker, parent, suite, epoch, priority, requires, detached, parent_step, system,
            services_max, holder, status, log_end, outstanding
        )
        VALUES (
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
            (SELECT coalesce(holder, id) FROM execution WHERE id = $9), 'pending', 0, 0
        )
        ON CONFLICT (id) DO NOTHING
        RETURNING id, parent, requested_by, priority, detached
    )
    INSERT INTO waiting_execution (execution_id, lane, claims, requested_by, priority, detached)
    SELECT id, $18, $19, requested_by, priority, detached FROM created WHERE parent IS NULL
"""

# Rows are locked in the order of their identities before any is changed, so that two programs
# whose batches overlap cannot wait for each other. A row that another program changed while we
# waited for its lock is looked at again as it is now: its log_end and its epoch decide.
ADVANCE: Final = """
    WITH wanted AS (
        SELECT *
        FROM unnest(
            $1::uuid[], $2::int[], $3::int[], $4::text[], $5::text[],
            $6::timestamptz[], $7::timestamptz[], $8::int[], $9::int[]
        ) AS w (id, expected, log_end, status, verdict, started_at, ended_at, outstanding, epoch)
    ),
    locked AS MATERIALIZED (
        SELECT id FROM execution WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE execution
    SET log_end = wanted.log_end,
        status = wanted.status,
        verdict = wanted.verdict,
        started_at = wanted.started_at,
        ended_at = wanted.ended_at,
        outstanding = wanted.outstanding
    FROM wanted
    JOIN locked USING (id)
    WHERE execution.id = wanted.id
        AND execution.log_end = wanted.expected
        AND execution.epoch = wanted.epoch
    RETURNING execution.id
"""

READ: Final = """
    SELECT position, at, kind, body
    FROM execution_event
    WHERE execution_id = $1 AND position > $2
    ORDER BY position
"""
GET: Final = "SELECT * FROM execution WHERE id = $1"
RECENT: Final = """
    SELECT * FROM execution WHERE $2::uuid IS NULL OR id < $2 ORDER BY id DESC LIMIT $1
"""
# The condition on the empty text is that of the partial index execution_of_suite.
RECENT_OF_SUITE: Final = """
    SELECT *
    FROM execution
    WHERE suite = $3 AND suite <> '' AND ($2::uuid IS NULL OR id < $2)
    ORDER BY id DESC
    LIMIT $1
"""
LATEST: Final = """
    SELECT *
    FROM execution
    WHERE scenario_name = $1 AND status = 'finished'
        AND ($2::int IS NULL OR scenario_version = $2)
    ORDER BY ended_at DESC, id DESC
    LIMIT 1
"""
CHILDREN: Final = "SELECT * FROM execution WHERE parent = $1 ORDER BY id"
# The first condition is that of the partial index execution_unsettled, word for word. What later
# programs have begun beside this one is left to them: neither plan nor log may be readable here.
UNSETTLED: Final = """
    SELECT * FROM execution
    WHERE (status <> 'finished' OR outstanding > 0)
        AND coalesce((plan ->> 'format')::integer, 1) = ANY ($1)
    ORDER BY id
"""
# The same, but for what needs no look at each of those that run.
ORPHANS: Final = """
    SELECT orphan.*
    FROM execution AS orphan
    JOIN execution AS above ON above.id = orphan.parent
    WHERE (orphan.status <> 'finished' OR orphan.outstanding > 0)
        AND orphan.status <> 'finished' AND orphan.worker = $2 AND above.status = 'finished'
        AND coalesce((orphan.plan ->> 'format')::integer, 1) = ANY ($1)
    ORDER BY orphan.id
"""


@asynccontextmanager
async def open_execution_log(pool: Pool) -> AsyncGenerator[PostgresExecutionLog]:
    """Lend the log; at the end what it has accepted is still written."""

    async def write(batch: Sequence[Append]) -> Mapping[ExecutionId, CoordinationError]:
        return await write_batch(pool, batch)

    async with open_batcher(write) as batcher:
        yield PostgresExecutionLog(pool, batcher)


class PostgresExecutionLog(PostgresHistory):
    """An `ExecutionLog` that keeps each event as a row."""

    def __init__(self, pool: Pool, batcher: Batcher) -> None:
        super().__init__(pool)
        self._batcher = batcher
        self._months: set[Month | None] = {None}

    async def create(self, record: ExecutionRecord) -> None:
        """See `ExecutionLog.create`."""
        async with connection(self._pool, doing="creating an execution") as lent:
            # A program that runs for long sees months that its start did not.
            if (month := month_of(record.id)) not in self._months:
                await add_month_of(lent, record.id)
                self._months.add(month)
            try:
                await lent.execute(
                    CREATE,
                    record.id,
                    record.scenario,
                    record.scenario_name,
                    record.scenario_version,
                    jsonb(record.plan),
                    record.requested_at,
                    record.requested_by,
                    record.worker,
                    record.parent,
                    record.suite,
                    record.epoch,
                    bounded(record.priority),
                    sorted(record.requires),
                    record.detached,
                    record.parent_step,
                    record.plan.topology,
                    record.plan.services_max,
                    lane_of(record),
                    jsonb(claims_of(record)),
                )
            except asyncpg.ForeignKeyViolationError as error:
                raise NotFoundError(kind="definition", identity=str(record.scenario)) from error

    async def append(self, entries: Sequence[Entry], *, leading_to: Execution, epoch: int) -> None:
        """See `ExecutionLog.append`; a caller that is cancelled may find its entries written."""
        if not entries:
            return
        assert leading_to.position == entries[-1].position
        assert len(entries) == entries[-1].position - entries[0].position + 1
        await self._batcher.append(Append(entries=entries, leading_to=leading_to, epoch=epoch))

    async def read(self, execution: ExecutionId, *, after: int = 0) -> Sequence[Entry]:
        """See `ExecutionLog.read`."""
        async with connection(self._pool, doing="reading an execution's log") as lent:
            rows = await lent.fetch(READ, execution, after)
        return [
            Entry(position=position, at=at, event=decode_event(kind, body))
            for position, at, kind, body in rows
        ]

    async def get(self, execution: ExecutionId) -> ExecutionRecord:
        """See `ExecutionLog.get`."""
        async with connection(self._pool, doing="reading an execution") as lent:
            row = await lent.fetchrow(GET, execution)
        if row is None:
            raise NotFoundError(kind="execution", identity=str(execution))
        return _record(row)

    async def recent(
        self, *, limit: int, before: ExecutionId | None = None, suite: str = ""
    ) -> Sequence[ExecutionRecord]:
        """See `ExecutionLog.recent`."""
        async with connection(self._pool, doing="listing executions") as lent:
            if suite:
                rows = await lent.fetch(RECENT_OF_SUITE, limit, before, suite)
            else:
                rows = await lent.fetch(RECENT, limit, before)
        return [_record(row) for row in rows]

    async def latest(
        self, scenario_name: str, *, version: int | None = None
    ) -> ExecutionRecord | None:
        """See `ExecutionLog.latest`."""
        async with connection(self._pool, doing="looking for an execution") as lent:
            row = await lent.fetchrow(LATEST, scenario_name, version)
        return None if row is None else _record(row)

    async def children(self, parent: ExecutionId) -> Sequence[ExecutionRecord]:
        """See `ExecutionLog.children`."""
        async with connection(self._pool, doing="listing executions") as lent:
            return [_record(row) for row in await lent.fetch(CHILDREN, parent)]

    async def unsettled(self) -> Sequence[ExecutionRecord]:
        """See `ExecutionLog.unsettled`."""
        async with connection(self._pool, doing="listing executions") as lent:
            return [_record(row) for row in await lent.fetch(UNSETTLED, sorted(PLAN_FORMATS))]

    async def orphans(self) -> Sequence[ExecutionRecord]:
        """See `ExecutionLog.orphans`."""
        async with connection(self._pool, doing="listing executions") as lent:
            rows = await lent.fetch(ORPHANS, sorted(PLAN_FORMATS), NOBODY)
        return [_record(row) for row in rows]


async def write_batch(
    pool: Pool, batch: Sequence[Append]
) -> Mapping[ExecutionId, CoordinationError]:
    """Write those appends that may be written; return why the others may not.

    Raises:
        StoreUnavailableError: whether anything was written is not known.
    """
    async with transaction(pool, doing="appending to an execution's log") as lent:
        refused = dict[ExecutionId, CoordinationError](await over_budget(lent, batch))
        allowed = [append for append in batch if append.leading_to.id not in refused]
        rows = await lent.fetch(ADVANCE, *_columns(allowed))
        winners = {row["id"] for row in rows}
        won = [append for append in allowed if append.leading_to.id in winners]
        if won:
            await lent.copy_to_table(
                "execution_event",
                source=copied([(append.leading_to.id, append.entries) for append in won]),
                columns=COLUMNS,
                format="binary",
            )
            await keep_books(lent, won)
    lost = (append for append in allowed if append.leading_to.id not in winners)
    return refused | {append.leading_to.id: append.conflict() for append in lost}


def _columns(batch: Sequence[Append]) -> tuple[list[object], ...]:
    states = [append.leading_to for append in batch]
    return (
        [state.id for state in states],
        [append.expected for append in batch],
        [state.position for state in states],
        [state.status for state in states],
        [state.verdict for state in states],
        [state.started_at for state in states],
        [state.ended_at for state in states],
        [len(state.outstanding) for state in states],
        [append.epoch for append in batch],
    )


def _record(row: asyncpg.Record) -> ExecutionRecord:
    return ExecutionRecord(
        id=ExecutionId(row["id"]),
        scenario=ScenarioId(row["scenario_id"]),
        scenario_name=row["scenario_name"],
        scenario_version=row["scenario_version"],
        plan=decode_plan(row["plan"]),
        requested_at=row["requested_at"],
        requested_by=row["requested_by"],
        worker=WorkerId(row["worker"]),
        status=Status(row["status"]),
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        end=row["log_end"],
        outstanding=row["outstanding"],
        parent=None if row["parent"] is None else ExecutionId(row["parent"]),
        suite=row["suite"],
        epoch=row["epoch"],
        priority=row["priority"],
        requires=frozenset(row["requires"]),
        detached=row["detached"],
        admitted_at=row["admitted_at"],
        parent_step=None if row["parent_step"] is None else StepId(row["parent_step"]),
    )
