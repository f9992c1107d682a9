"""What a probe sees in a real database, and that it can change nothing there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import asyncpg
import pytest

from support.probes_scene import SOON, read
from support.stores_servers import Urls
from support.target_systems import MARK, free_port, system
from test_coordination.adapters.probes.sql import SqlProbe
from test_coordination.application.capabilities import ProbeFailedError
from test_coordination.domain.topology import Store, Topology

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("query", "value", "rows"),
    [
        ("SELECT 3.50::numeric", 3.5, 1),
        ("SELECT 12::numeric", 12, 1),
        ("SELECT 'NaN'::float8", "nan", 1),
        ("SELECT NULL", None, 1),
        ("SELECT 1 WHERE false", None, 0),
        ("SELECT * FROM generate_series(5, 9)", 5, 5),
        ("SELECT '2026-01-02 03:04:05+00'::timestamptz", "2026-01-02T03:04:05+00:00", 1),
        ("SELECT '1 minute'::interval", 60.0, 1),
        ("""SELECT '{"a": [1, null]}'::jsonb""", {"a": [1, None]}, 1),
        ("SELECT ARRAY[1.0, 2.5]::numeric[]", [1, 2.5], 1),
        ("SELECT 'a'::bytea", "61", 1),
        ("SELECT '00000000-0000-0000-0000-000000000001'::uuid", f"{'0' * 8}-0000", 1),
        ("SHOW transaction_read_only", "on", 1),
    ],
)
async def test_sql_the_first_value_and_the_number_of_rows(
    audited: Topology, *, query: str, value: object, rows: int
) -> None:
    reading = await read(SqlProbe(), audited, target="auditor-db", query=query)

    seen = reading["value"]
    assert (seen[:13] if isinstance(value, str) and "-0000" in value else seen) == value  # type: ignore[index]
    assert reading["rows"] == rows


@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE t (a int)",
        "SELECT 1; DROP TABLE x",
        "INSERT INTO kept VALUES (2)",
        "WITH gone AS (DELETE FROM kept RETURNING *) SELECT * FROM gone",
        "SELECT setval('counter', 5)",
        "SELEC 1",
    ],
)
async def test_sql_nothing_can_be_changed(audited: Topology, embedded: Urls, query: str) -> None:
    connection = await asyncpg.connect(embedded.postgres)
    await connection.execute("DROP TABLE IF EXISTS kept; DROP SEQUENCE IF EXISTS counter")
    await connection.execute("CREATE TABLE kept AS SELECT 1; CREATE SEQUENCE counter")

    with pytest.raises(ProbeFailedError, match="store 'auditor-db' refused"):
        await read(SqlProbe(), audited, target="auditor-db", query=query)

    assert await connection.fetchval("SELECT count(*) FROM kept") == 1
    await connection.close()


async def test_sql_one_connection_is_kept_and_made_anew_after_a_failure(
    audited: Topology, embedded: Urls
) -> None:
    parameters = {"target": "auditor-db", "query": "SELECT pg_backend_pid()"}
    other = await asyncpg.connect(embedded.postgres)

    async with SqlProbe().open(audited, parameters, timeout=SOON) as probe:
        first, second = [(await probe.read())["value"] for _ in range(2)]
        await other.execute("SELECT pg_terminate_backend($1)", first)
        await anyio.sleep(0.2)
        third = (await probe.read())["value"]

    await other.close()
    assert first == second
    assert third not in {None, first}


async def test_sql_a_refused_query_does_not_spoil_the_next(audited: Topology) -> None:
    parameters = {"target": "auditor-db", "query": "SELECT 1 / (random() * 0)::int"}

    async with SqlProbe().open(audited, parameters, timeout=SOON) as probe:
        for _ in range(3):
            with pytest.raises(ProbeFailedError, match="division by zero"):
                await probe.read()


async def test_sql_no_answer_in_time_is_a_missing_sample_and_ends_on_the_server(
    audited: Topology, embedded: Urls
) -> None:
    parameters = {"target": "auditor-db", "query": "SELECT pg_sleep(60)"}

    async with SqlProbe().open(audited, parameters, timeout=timedelta(seconds=0.3)) as probe:
        for _ in range(2):
            with pytest.raises(ProbeFailedError, match=r"within 0\.3 s"):
                await probe.read()

    await anyio.sleep(1)
    other = await asyncpg.connect(embedded.postgres)
    busy = await other.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' "
        "AND pid <> pg_backend_pid()"
    )
    await other.close()
    assert busy == 0


async def test_sql_a_store_that_is_gone_is_a_missing_sample(tmp_path: Path) -> None:
    store = Store(name="db", mark=MARK, url=f"postgresql://u:secret@127.0.0.1:{free_port()}/x")
    topology = replace(system(tmp_path), stores={"db": store})

    with pytest.raises(ProbeFailedError, match="store 'db' did not answer") as refused:
        await read(SqlProbe(), topology, target="db", query="SELECT 1")

    assert "secret" not in str(refused.value)


async def test_sql_rows_without_end_are_refused_as_a_reading_and_cut_in_a_capture(
    audited: Topology,
) -> None:
    parameters = {"target": "auditor-db", "query": "SELECT n FROM generate_series(1, 50000) n"}

    with pytest.raises(ProbeFailedError, match="more than 10000 rows"):
        await read(SqlProbe(), audited, **parameters)
    captured = await SqlProbe().capture(audited, parameters)

    assert isinstance(captured, list)
    assert captured[:2] == [{"n": 1}, {"n": 2}]
    assert len(captured) == 1000
