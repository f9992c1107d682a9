"""Wishes of programs that are newer than ours, and wishes from while a store is out of reach."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

import anyio
import pytest

from support.stores_servers import Urls, administer
from support.stores_story import NEW
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.wishes import open_wishes as open_postgres
from test_coordination.adapters.redis.wishes import open_wishes as open_redis
from test_coordination.application.wishes import Desire, Wish
from test_coordination.domain.values import ExecutionId, WishId

pytestmark = pytest.mark.anyio
LATER = """
    INSERT INTO wish (id, desire, execution_id, reason, requested_by, undo)
    VALUES ('{wish}', 'snooze', '{execution}', 'later', 'ann', false)
"""


def wish(execution: ExecutionId | None = None) -> Wish:
    return Wish(
        id=WishId(NEW.new()), desire=Desire.ABORT, reason="so", by="ann", execution=execution
    )


async def test_what_only_a_later_program_can_wish_is_passed_over_and_said_once(
    empty_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    await migrate(empty_database)
    await administer(
        empty_database, "ALTER TABLE test_coordination.wish DROP CONSTRAINT wish_desire_check"
    )
    execution, unknown, heard = ExecutionId(NEW.new()), UUID(int=NEW.new().int), list[Wish]()
    known = wish(execution)

    async with open_postgres(empty_database) as kept, anyio.create_task_group() as group:
        await group.start(kept.hear, heard.append)
        words = LATER.format(wish=unknown, execution=execution)
        await administer(empty_database, words.replace("INTO wish", "INTO test_coordination.wish"))
        await administer(
            empty_database,
            f"INSERT INTO test_coordination.execution_wish VALUES ('{execution}', '{unknown}')",
        )
        await kept.make(known)
        with anyio.fail_after(5):
            while not heard:  # noqa: ASYNC110  another task's
                await anyio.sleep(0.05)
        await anyio.sleep(0.6)
        found = await kept.of(execution)
        group.cancel_scope.cancel()

    assert [each.id for each in heard] == [each.id for each in found] == [known.id]
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert [str(unknown) in each and "snooze" in each for each in said] == [True]


async def test_what_is_wished_while_redis_is_out_of_our_reach_is_heard_later(
    embedded: Urls, tmp_path: Path
) -> None:
    way = tmp_path / "redis"
    before, heard = wish(), list[Wish]()

    async with (
        open_redis(embedded.redis, SystemClock()) as other,
        open_redis(f"unix://{way}", SystemClock()) as ours,
    ):
        assert other is not None
        assert ours is not None
        await other.make(before)
        async with anyio.create_task_group() as group:
            await group.start(ours.hear, heard.append)
            await other.make(meanwhile := wish())
            await anyio.sleep(0.3)
            way.symlink_to(unquote(urlsplit(embedded.redis).path))
            with anyio.fail_after(5):
                while not heard:  # noqa: ASYNC110  another task's
                    await anyio.sleep(0.05)
            group.cancel_scope.cancel()

    assert [each.id for each in heard] == [meanwhile.id]
