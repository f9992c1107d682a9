"""Samples and snapshots in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from test_coordination.adapters.codec import decode_facts, decode_state, storable
from test_coordination.adapters.postgres.pool import Pool, connection, jsonb
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.evidence import Sample, Snapshot
from test_coordination.domain.values import ExecutionId, ProbeName, SnapshotId, StepId

SAMPLE_COLUMNS: Final = ("execution_id", "probe", "at", "took", "fields", "error")
# COPY knows no ON CONFLICT, so samples of which some are kept already take this slower way.
MERGE_SAMPLES: Final = """
    INSERT INTO probe_sample (execution_id, probe, at, took, fields, error)
    SELECT $1, new.*
    FROM unnest($2::text[], $3::timestamptz[], $4::interval[], $5::jsonb[], $6::text[]) AS new
    ON CONFLICT (execution_id, at, probe) DO NOTHING
"""
SAMPLES: Final = """
    SELECT probe, at, took, fields, error
    FROM probe_sample
    WHERE execution_id = $1
    ORDER BY at, probe COLLATE "C"
"""
ADD_SNAPSHOT: Final = """
    INSERT INTO system_snapshot (id, taken_at, execution_id, step, state, problems)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (id) DO NOTHING
"""
SNAPSHOT: Final = "SELECT * FROM system_snapshot WHERE id = $1"


class PostgresEvidence:
    """An `Evidence` that keeps each sample and each snapshot as a row."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """See `Evidence.add_samples`."""
        if not samples:
            return
        async with connection(self._pool, doing="keeping samples") as lent:
            try:
                await lent.copy_records_to_table(
                    "probe_sample",
                    records=(
                        (execution, s.probe, s.at, s.took, jsonb(s.fields), storable(s.error))
                        for s in samples
                    ),
                    columns=SAMPLE_COLUMNS,
                )
            except asyncpg.UniqueViolationError:
                await lent.execute(
                    MERGE_SAMPLES,
                    execution,
                    [s.probe for s in samples],
                    [s.at for s in samples],
                    [s.took for s in samples],
                    [jsonb(s.fields) for s in samples],
                    [storable(s.error) for s in samples],
                )

    async def samples(self, execution: ExecutionId) -> Sequence[Sample]:
        """See `Evidence.samples`."""
        async with connection(self._pool, doing="reading samples") as lent:
            rows = await lent.fetch(SAMPLES, execution)
        return [
            Sample(
                probe=ProbeName(probe), at=at, took=took, fields=decode_facts(fields), error=error
            )
            for probe, at, took, fields, error in rows
        ]

    async def add_snapshot(self, snapshot: Snapshot) -> None:
        """See `Evidence.add_snapshot`."""
        async with connection(self._pool, doing="keeping a snapshot") as lent:
            await lent.execute(
                ADD_SNAPSHOT,
                snapshot.id,
                snapshot.taken_at,
                snapshot.execution,
                snapshot.step,
                jsonb(snapshot.state),
                [storable(problem) for problem in snapshot.problems],
            )

    async def snapshot(self, snapshot: SnapshotId) -> Snapshot:
        """See `Evidence.snapshot`."""
        async with connection(self._pool, doing="reading a snapshot") as lent:
            row = await lent.fetchrow(SNAPSHOT, snapshot)
        if row is None:
            raise NotFoundError(kind="snapshot", identity=str(snapshot))
        return Snapshot(
            id=SnapshotId(row["id"]),
            taken_at=row["taken_at"],
            state=decode_state(row["state"]),
            execution=None if row["execution_id"] is None else ExecutionId(row["execution_id"]),
            step=None if row["step"] is None else StepId(row["step"]),
            problems=tuple(row["problems"]),
        )
