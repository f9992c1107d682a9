"""The schema: brought up to date once, by whoever comes first, and never to be confused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import anyio
import asyncpg
import pytest

from support.stores_servers import Urls, administer
from support.stores_story import NEW, START, Story, new_record, new_scenario
from test_coordination.adapters.postgres.executions import (
    LATEST,
    READ,
    RECENT_OF_SUITE,
    open_execution_log,
)
from test_coordination.adapters.postgres.migrate import (
    Migration,
    MigrationDriftError,
    MissingRightError,
    NewerDatabaseError,
    load,
    migrate,
)
from test_coordination.adapters.postgres.partitions import Month, add_month_of, month_of
from test_coordination.adapters.postgres.pool import InvalidUrlError, jsonb, open_pool
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.application.definitions import DefinitionFilter, DefinitionKindError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.values import ExecutionId

SHIPPED = load()
NEWEST = SHIPPED[-1].version


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url, server_settings={"search_path": "test_coordination"})
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def as_user(url: str, user: str) -> str:
    return urlunsplit(urlsplit(url)._replace(netloc=f"{user}@"))


def test_no_number_is_left_out_among_the_files() -> None:
    assert [migration.version for migration in SHIPPED] == list(range(1, NEWEST + 1))


async def test_an_empty_database_gets_everything_once(empty_database: str) -> None:
    assert await migrate(empty_database) == len(SHIPPED)
    assert await migrate(empty_database) == 0


async def test_of_many_who_start_together_each_file_is_applied_by_one(empty_database: str) -> None:
    applied = []

    async def start() -> None:
        applied.append(await migrate(empty_database))

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(start)

    assert sorted(applied) == [0] * 5 + [len(SHIPPED)]


async def test_what_was_applied_and_changed_since_is_refused(empty_database: str) -> None:
    await migrate(empty_database)
    first = SHIPPED[0]
    changed = Migration(version=1, name=first.name, text=first.text + "-- a remark\n")

    with pytest.raises(MigrationDriftError, match=first.name) as refused:
        await migrate(empty_database, migrations=[changed, *SHIPPED[1:]])

    assert refused.value.code == "postgres.migration_drift"


def later(text: str) -> Migration:
    return Migration(version=NEWEST + 1, name="later.sql", text=text)


async def test_a_database_of_a_later_program_is_used_on_unless_that_says_otherwise(
    empty_database: str,
) -> None:
    beside = later("CREATE TABLE later (a integer)")
    await migrate(empty_database, migrations=[*SHIPPED, beside])

    assert await migrate(empty_database) == 0

    breaking = replace(
        later(f"-- compatible-from: {NEWEST + 2}\nDROP TABLE later"), version=NEWEST + 2
    )
    await migrate(empty_database, migrations=[*SHIPPED, beside, breaking])
    with pytest.raises(NewerDatabaseError, match="or a later one") as refused:
        await migrate(empty_database)
    with pytest.raises(NewerDatabaseError):
        await migrate(empty_database, migrations=[*SHIPPED, beside])

    told = (refused.value.database, refused.value.program, refused.value.needed)
    assert told == (NEWEST + 2, NEWEST, NEWEST + 2)


async def test_programs_from_before_databases_could_be_newer_are_refused(
    empty_database: str,
) -> None:
    await migrate(empty_database)

    with pytest.raises(NewerDatabaseError, match="from schema version 7 on"):
        await migrate(empty_database, migrations=SHIPPED[:3])


async def test_a_file_is_applied_as_a_whole_or_not_at_all(empty_database: str) -> None:
    await migrate(empty_database)
    broken = later("CREATE TABLE half (a integer); SELECT 1/0;")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_database, migrations=[*SHIPPED, broken])

    assert await value(empty_database, "SELECT to_regclass('half')") is None
    assert await migrate(empty_database) == 0


async def test_a_role_without_the_right_is_told_what_to_ask_for(
    empty_database: str, least_privilege: Urls
) -> None:
    role = urlsplit(least_privilege.postgres).netloc.removesuffix("@")
    url = as_user(empty_database, role)

    with pytest.raises(MissingRightError, match="CREATE SCHEMA test_coordination") as no_schema:
        await migrate(url)
    await administer(empty_database, "CREATE SCHEMA test_coordination")
    await administer(empty_database, "GRANT USAGE ON SCHEMA test_coordination TO tcoord_least")
    with pytest.raises(MissingRightError, match="GRANT USAGE, CREATE ON SCHEMA"):
        await migrate(url)

    assert "word" not in str(no_schema.value), "no password is repeated"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:secret@127.0.0.1:1/db",
        "postgresql://ann:secret@/db?host=/nowhere",
        "postgresql://ann:secret@no-such-host.invalid/db",
    ],
)
async def test_a_server_that_is_not_there_is_unavailable(url: str) -> None:
    with pytest.raises(StoreUnavailableError) as migrating:
        await migrate(url)
    with pytest.raises(StoreUnavailableError) as opening:
        async with open_pool(url):
            pass

    assert "secret" not in str(migrating.value) + str(opening.value)


async def test_an_unknown_database_or_role_is_unavailable(embedded: Urls) -> None:
    nowhere = urlunsplit(urlsplit(embedded.postgres)._replace(path="/nowhere"))

    for url in (nowhere, as_user(embedded.postgres, "nobody:secret")):
        with pytest.raises(StoreUnavailableError, match="no") as refused:
            await migrate(url)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["mysql://u:secret@h/db", "postgresql://u:sec@ret:x@h:p/db"])
async def test_a_malformed_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidUrlError) as migrating:
        await migrate(url)
    with pytest.raises(InvalidUrlError):
        async with open_pool(url):
            pass

    assert "sec" not in str(migrating.value)
    assert migrating.value.__cause__ is None


def test_an_identity_tells_its_month() -> None:
    born = datetime(2026, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    milliseconds = (born - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    last = UUID(int=(milliseconds << 80) | (0x7FFF << 64) | (0xBFFF << 48) | (2**48 - 1))

    assert last.version == 7
    assert month_of(last) == Month(2026, 12)
    assert Month(2026, 12).low < last < Month(2026, 12).after(1).low
    assert Month(2026, 12).after(1) == Month(2027, 1)
    assert Month(2026, 1).after(-1) == Month(2025, 12)
    assert month_of(uuid4()) is None
    assert month_of(UUID(int=(2**128 - 1) & ~(0xF << 76) | (7 << 76))) is None


def identity_in(month: Month) -> ExecutionId:
    return ExecutionId(
        UUID(int=month.low.int | (0x7000 << 64) | (0x8000 << 48) | uuid4().fields[5])
    )


async def test_logs_go_to_the_month_of_their_execution(empty_database: str) -> None:
    await migrate(empty_database)
    month = Month.of(datetime.now(UTC)).after(5)  # noqa: TID251  the server's own clock
    async with open_pool(empty_database) as pool, open_execution_log(pool) as log:
        scenario = await PostgresScenarioStore(pool).store(new_scenario())
        for identity in (ExecutionId(NEW.new()), identity_in(month), ExecutionId(uuid4())):
            story = Story(new_record(scenario, identity))
            await log.create(story.record)
            await log.append(story.begin(), leading_to=story.state, epoch=1)
            assert await log.read(identity) == story.entries
        rows = await pool.fetch("SELECT tableoid::regclass::text AS part FROM execution_event")

    now = Month.of(datetime.now(UTC))  # noqa: TID251  the server's own clock
    assert sorted(row["part"] for row in rows) == [
        f"execution_event_{now.suffix}",
        f"execution_event_{month.suffix}",
        "execution_event_default",
    ]


async def test_what_fell_into_the_default_is_moved_to_its_month(empty_database: str) -> None:
    await migrate(empty_database)
    month = Month.of(datetime.now(UTC)).after(4)  # noqa: TID251  the server's own clock
    identity, other = identity_in(month), identity_in(month.after(1))
    async with open_pool(empty_database) as pool:
        for one in (identity, other):
            await pool.execute(
                "INSERT INTO execution_event VALUES ($1, 1, now(), 'Noted', $2)", one, b"\x01{}"
            )

        async def make() -> None:
            async with pool.acquire() as connection:
                await add_month_of(connection, identity)

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(make)
        rows = await pool.fetch(
            "SELECT execution_id, tableoid::regclass::text FROM execution_event ORDER BY 1"
        )

    assert [tuple(row) for row in rows] == [
        (identity, f"execution_event_{month.suffix}"),
        (other, "execution_event_default"),
    ]


async def test_reading_one_log_looks_into_one_partition_by_its_key(empty_database: str) -> None:
    await migrate(empty_database)
    async with open_pool(empty_database) as pool:
        query = READ.replace("$1", f"'{NEW.new()}'").replace("$2", "0")
        plan = [row[0] for row in await pool.fetch("EXPLAIN " + query)]

    scans = [line for line in plan if " on execution_event" in line]
    assert len(scans) == 1, plan
    assert "pkey" in " ".join(plan), plan


OLD_EXECUTION = """
    INSERT INTO execution (
        id, scenario_id, scenario_name, scenario_version, plan, requested_at, requested_by,
        worker, status, verdict, started_at, ended_at, log_end, outstanding
    )
    VALUES ($1, $2, $3, 2, $4, $5, 'ann', $1, 'finished', 'held', $5, $5, 7, 0)
"""
OLD_VERSION = """
    INSERT INTO scenario_version (id, name, version, digest, source, file, stored_at)
    VALUES ($1, $2, $3, $4, $5, 'old.yaml', $6)
"""


async def test_what_was_kept_before_there_were_templates_is_a_scenario_and_can_be_used_on(
    empty_database: str,
) -> None:
    await migrate(empty_database, migrations=SHIPPED[:1])
    old = [replace(new_scenario("old", text), file="old.yaml") for text in ("a", "b")]
    record = new_record(replace(old[1], version=2))
    async with open_pool(empty_database) as pool:
        await pool.execute("INSERT INTO scenario VALUES ('old', 2)")
        for version, each in enumerate(old, start=1):
            row = (each.id, "old", version, each.digest, each.source, START)
            await pool.execute(OLD_VERSION, *row)
        plan = jsonb(record.plan)
        await pool.execute(OLD_EXECUTION, record.id, old[1].id, "old", plan, START)

    assert await migrate(empty_database) == len(SHIPPED) - 1

    async with open_pool(empty_database) as pool, open_execution_log(pool) as log:
        store = PostgresScenarioStore(pool)
        first, second = (replace(each, version=n) for n, each in enumerate(old, start=1))
        kept = await log.get(record.id)
        assert await store.versions("old") == [second, first]
        assert await store.list(DefinitionFilter(kind=DocumentKind.SCENARIO), limit=2) == [second]
        assert (kept.plan, kept.parent, kept.suite) == (record.plan, None, "")
        assert await log.latest("old") == kept
        assert (await store.store(new_scenario("old", "c"))).version == 3
        with pytest.raises(DefinitionKindError):
            await store.store(replace(new_scenario("old", "d"), kind=DocumentKind.SUITE))


async def test_the_latest_execution_of_a_scenario_is_looked_up_in_an_index(
    empty_database: str,
) -> None:
    await migrate(empty_database)
    async with open_pool(empty_database) as pool, pool.acquire() as connection:
        await connection.execute("SET enable_seqscan = off")
        query = LATEST.replace("$1", "'old'").replace("$2", "NULL")
        latest = " ".join(row[0] for row in await connection.fetch("EXPLAIN " + query))
        query = RECENT_OF_SUITE.replace("$1", "9").replace("$2", "NULL").replace("$3", "'s/1'")
        of_suite = " ".join(row[0] for row in await connection.fetch("EXPLAIN " + query))

    assert "Index Scan Backward using execution_latest" in latest
    assert "Sort" not in latest + of_suite
    assert "execution_of_suite" in of_suite


async def test_an_append_that_ends_nothing_touches_no_index(empty_database: str) -> None:
    await migrate(empty_database)
    async with open_pool(empty_database) as pool:
        async with open_execution_log(pool) as log:
            scenario = await PostgresScenarioStore(pool).store(new_scenario())
            story = Story(replace(new_record(scenario), suite="nightly/1"))
            await log.create(story.record)
            await log.append(story.begin(), leading_to=story.state, epoch=1)
            for told in story.notes(20):
                await log.append(told, leading_to=story.state, epoch=1)
        await pool.execute("SELECT pg_stat_force_next_flush()")
        found = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = $1"
        with anyio.fail_after(20):
            while (row := await pool.fetchrow(found, "execution")) is None or row[0] < 21:  # noqa: ASYNC110  the server's own
                await anyio.sleep(0.05)

    assert row[1] >= 20
