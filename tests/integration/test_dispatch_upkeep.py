"""The job queue under the dispatch: its tables, what it leaves behind, and what it survives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version

import anyio
import asyncpg
import pytest
from pgqueuer.domain.settings import DBSettings

from support.stores_story import NEW, new_record, new_scenario
from test_coordination.adapters.postgres.dispatch import PostgresDispatch, enqueue
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.jobs import SETTINGS, queries
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.pool import Pool, open_pool, transaction
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.application.engine.patience import patiently
from test_coordination.application.fleet import NOBODY, Handled, Job, Service
from test_coordination.domain.values import ExecutionId, WorkerId

PLACES = """
    SELECT relname, nspname
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname LIKE '%pgqueuer%'
"""
CUT_OFF = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'test-coordination' AND pid <> pg_backend_pid()
        AND datname = current_database()
"""


@dataclass(slots=True, eq=False)
class Shift:
    """A worker that is done at once with whatever it is given."""

    taken: list[ExecutionId] = field(default_factory=list)
    came: anyio.Event = field(default_factory=anyio.Event)

    async def handle(self, execution: ExecutionId) -> Handled:
        self.taken.append(execution)
        self.came.set()
        self.came = anyio.Event()
        return Handled.DONE

    async def until(self, count: int) -> None:
        with anyio.fail_after(10):
            while len(self.taken) < count:
                await self.came.wait()


@asynccontextmanager
async def serving(pool: Pool, url: str) -> AsyncIterator[Shift]:
    shift = Shift()
    service = Service(
        worker=WorkerId(NEW.new()), offers=frozenset(), most=lambda: 5, handle=shift.handle
    )
    async with anyio.create_task_group() as group:
        group.start_soon(PostgresDispatch(pool, url).serve, service)
        yield shift
        group.cancel_scope.cancel()


async def given(pool: Pool) -> ExecutionId:
    execution = ExecutionId(NEW.new())
    async with transaction(pool, doing="enqueuing") as lent:
        await enqueue(lent, [Job(execution=execution)])
    return execution


@pytest.fixture
async def pool(empty_database: str) -> AsyncIterator[Pool]:
    await migrate(empty_database)
    async with open_pool(empty_database) as opened:
        yield opened


async def planned(pool: Pool) -> list[str]:
    """Return what the job queue would still change about its tables."""
    async with pool.acquire() as lent:
        plan = await queries(lent).plan_upgrade()
    return [*plan.statements, *plan.notes]


async def test_its_tables_are_in_our_schema_and_there_is_nothing_left_to_change(
    pool: Pool,
) -> None:
    rows = await pool.fetch(PLACES)

    assert {"pgqueuer", "pgqueuer_log"} <= {row["relname"] for row in rows}
    assert {row["nspname"] for row in rows} == {"test_coordination"}
    assert await planned(pool) == []


def test_variables_of_the_environment_have_no_say_in_it() -> None:
    assert SETTINGS.model_fields_set == set(DBSettings.model_fields)


async def test_an_earlier_release_is_brought_up_to_date_and_a_later_one_is_left_alone(
    pool: Pool, empty_database: str
) -> None:
    await pool.execute("DROP INDEX pgqueuer_log_status")

    await pool.execute("UPDATE dispatch_engine SET version = '99.0.0'")
    await migrate(empty_database)
    left = await planned(pool)
    await pool.execute("UPDATE dispatch_engine SET version = '1.5.10'")
    await migrate(empty_database)

    assert len(left) == 1
    assert "pgqueuer_log_status" in left[0]
    assert await planned(pool) == []
    assert await pool.fetchval("SELECT version FROM dispatch_engine") == version("pgqueuer")


async def test_an_execution_that_lost_its_job_is_given_to_a_worker_again(
    pool: Pool, empty_database: str
) -> None:
    scenario = await PostgresScenarioStore(pool).store(new_scenario())
    records = [
        replace(new_record(scenario), worker=NOBODY, detached=detached)
        for detached in (True, True, False)
    ]
    async with open_execution_log(pool) as log:
        for record in records:
            await log.create(record)
    lost, waiting, attached = (record.id for record in records)
    await pool.execute(
        "UPDATE execution SET admitted_at = now() WHERE id = ANY ($1)", [lost, attached]
    )

    async with serving(pool, empty_database) as shift:
        await shift.until(1)
        await anyio.sleep(0.2)

    assert shift.taken == [lost], f"not {waiting}, which was not let in, nor {attached}"


async def test_what_the_job_queue_writes_of_its_jobs_does_not_grow_without_end(
    pool: Pool, empty_database: str
) -> None:
    await pool.execute("""
        INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint)
        SELECT now() - make_interval(mins => 2 * n), n, 'successful', 0, 'old'
        FROM generate_series(1, 100) AS n
    """)
    await pool.execute("INSERT INTO dispatch_route VALUES ('old', '{}', now() - interval '2 days')")

    async with serving(pool, empty_database) as shift:
        for _ in range(3):
            await given(pool)
        await shift.until(3)
        with anyio.fail_after(5):
            while await pool.fetchval("SELECT count(*) FROM pgqueuer"):  # noqa: ASYNC110  theirs
                await anyio.sleep(0.02)
    log = await pool.fetch("SELECT entrypoint, count(*) FROM pgqueuer_log GROUP BY 1 ORDER BY 2")

    assert [row["count"] for row in log] == [9, 29], "three lines a job, and an hour of others"
    assert await pool.fetchval("SELECT count(*) FROM pgqueuer_statistics") == 0
    assert await pool.fetchval("SELECT count(*) FROM dispatch_route") == 1


async def test_it_goes_on_after_all_its_connections_were_cut(
    pool: Pool, empty_database: str
) -> None:
    async with serving(pool, empty_database) as shift:
        await given(pool)
        await shift.until(1)
        own = await asyncpg.connect(empty_database)
        assert await own.fetchval(CUT_OFF) >= 2
        await own.close()
        with anyio.fail_after(5):
            await patiently(partial(given, pool), doing="enqueuing")
            await shift.until(2)

    assert len(shift.taken) == 2
