"""Wishes in PostgreSQL: kept as rows, told by NOTIFY, and looked for now and then all the same."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import anyio
import asyncpg
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from test_coordination.adapters.codec import storable
from test_coordination.adapters.postgres.pool import (
    STORE,
    Connection,
    open_connection,
    translated,
)
from test_coordination.adapters.postgres.private import PrivateConnection
from test_coordination.application.fleet import NOBODY
from test_coordination.application.wishes import Answer, Desire, Wish
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.plan import PLAN_FORMATS
from test_coordination.domain.values import ExecutionId, WishId, WorkerId

log = logging.getLogger(__name__)

CHANNEL: Final = "test_coordination_wish"
LOOK_EVERY_S: Final = 0.5
"""How long a wish may take if nobody was notified, as through a pooler of connections."""
LOOK_S_MAX: Final = 2.0
AGAIN_S: Final = 0.2

_DESIRES: Final = frozenset(map(str, Desire))

# One statement on one table that nobody locks: a wish waits for nobody who has locked another.
MAKE: Final = """
    WITH made AS (
        INSERT INTO wish (id, desire, execution_id, reason, requested_by, undo)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    ), meant AS (
        INSERT INTO execution_wish (execution_id, wish_id) SELECT $3, id FROM made
        WHERE $3 IS NOT NULL
    )
    SELECT pg_notify($7, id::text) FROM made
"""
# Once alone, however often it is called: those that come later are not meant.
SPREAD: Final = """
    WITH due AS (
        UPDATE wish SET spread = true
        WHERE id = $1 AND execution_id IS NULL AND NOT spread
        RETURNING id
    )
    INSERT INTO execution_wish (execution_id, wish_id)
    SELECT execution.id, due.id FROM due CROSS JOIN execution WHERE status <> 'finished'
"""
ANSWER: Final = """
    INSERT INTO wish_answer (wish_id, worker, executions)
    SELECT id, $2, $3 FROM wish WHERE id = $1
    ON CONFLICT (wish_id, worker) DO UPDATE SET executions = excluded.executions
"""
ANSWERS: Final = """
    SELECT worker, executions FROM wish_answer WHERE wish_id = $1 ORDER BY at, worker
"""
UNFINISHED: Final = """
    SELECT id, worker = $1 AS waits FROM execution WHERE status <> 'finished' ORDER BY id
"""
OF: Final = """
    SELECT wish.*
    FROM execution_wish JOIN wish ON wish.id = execution_wish.wish_id
    WHERE execution_wish.execution_id = $1
    ORDER BY made_at, wish.id
"""
# The first condition is that of the partial index execution_unsettled, word for word.
UNHEEDED: Final = """
    SELECT DISTINCT ON (execution.id) execution.id AS stuck, wish.*
    FROM execution
    JOIN execution_wish ON execution_wish.execution_id = execution.id
    JOIN wish ON wish.id = wish_id
    WHERE (execution.status <> 'finished' OR execution.outstanding > 0)
        AND execution.status = 'running' AND execution.worker = $1 AND desire = 'abort'
        AND coalesce((execution.plan ->> 'format')::integer, 1) = ANY ($2)
    ORDER BY execution.id, made_at, wish.id
"""
# A wish is seen when it is committed, which may be later than when it was made: so each look goes
# back by more than a statement can take.
RECENT: Final = """
    SELECT *, clock_timestamp() AS looked_at
    FROM wish
    RIGHT JOIN (SELECT) AS always ON made_at > $1::timestamptz - interval '60 seconds'
    ORDER BY made_at, id
"""
BEGAN: Final = "SELECT clock_timestamp() - $1::interval"
EARLIER: Final = """
    SELECT id FROM wish WHERE made_at > $1::timestamptz - interval '60 seconds' AND made_at <= $1
"""


@asynccontextmanager
async def open_wishes(
    url: str, *, prepare: Callable[[], Awaitable[object]] | None = None
) -> AsyncGenerator[PostgresWishes]:
    """Lend the wishes in the database at ``url``, which need not answer by now.

    ``prepare`` brings its schema up to date, if it is found not to be.
    """
    own = PrivateConnection(url)
    try:
        yield PostgresWishes(url, own, prepare)
    finally:
        own.close()


class PostgresWishes:
    """A `KeptWishes` on connections of its own, so that a wish waits for no other work."""

    store = STORE

    def __init__(
        self,
        url: str,
        own: PrivateConnection,
        prepare: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """Leave the connection to the caller to close; see `open_wishes` for ``prepare``."""
        self._url = url
        self._own = own
        self._prepare = prepare

    async def make(self, wish: Wish) -> bool:
        """See `Wishes.make`."""
        made = await self._ask(
            MAKE,
            wish.id,
            wish.desire,
            wish.execution,
            storable(wish.reason),
            storable(wish.by),
            wish.undo,
            CHANNEL,
            doing="keeping a wish",
        )
        if wish.execution is None:
            await self._ask(SPREAD, wish.id, doing="keeping a wish for each execution")
        return bool(made)

    async def _ask(
        self, statement: str, *arguments: object, doing: str
    ) -> Sequence[asyncpg.Record]:
        try:
            return await self._own.fetch(statement, *arguments, doing=doing)
        except asyncpg.UndefinedTableError:
            if self._prepare is None:
                raise
            await self._prepare()
            return await self._own.fetch(statement, *arguments, doing=doing)

    async def answer(self, wish: WishId, answer: Answer) -> None:
        """See `Wishes.answer`."""
        executions = sorted(answer.executions)
        doing = "answering a wish"
        await self._ask(ANSWER, wish, answer.worker, executions, doing=doing)

    async def answers(self, wish: WishId) -> Sequence[Answer]:
        """See `Wishes.answers`."""
        rows = await self._ask(ANSWERS, wish, doing="asking who acts on a wish")
        return [
            Answer(
                worker=WorkerId(row["worker"]),
                executions=frozenset(map(ExecutionId, row["executions"])),
            )
            for row in rows
        ]

    async def unfinished(self) -> Mapping[ExecutionId, bool]:
        """See `Wishes.unfinished`."""
        rows = await self._ask(UNFINISHED, NOBODY, doing="listing unfinished executions")
        return {ExecutionId(row["id"]): row["waits"] for row in rows}

    async def of(self, execution: ExecutionId) -> Sequence[Wish]:
        """See `KeptWishes.of`."""
        rows = await self._ask(OF, execution, doing="looking for wishes")
        return [known for known in map(_wish, rows) if known is not None]

    async def unheeded(self) -> Mapping[ExecutionId, Wish]:
        """See `KeptWishes.unheeded`."""
        doing = "looking for wishes"
        rows = await self._ask(UNHEEDED, NOBODY, sorted(PLAN_FORMATS), doing=doing)
        found = {ExecutionId(row["stuck"]): _wish(row) for row in rows}
        return {execution: wish for execution, wish in found.items() if wish is not None}

    async def hear(
        self,
        tell: Callable[[Wish], object],
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """See `Wishes.hear`."""
        ear, started = _Ear(tell), False
        while True:
            try:
                connection = await open_connection(self._url, statement_s_max=LOOK_S_MAX)
                try:
                    with translated("listening for wishes"):
                        await ear.open(connection)
                        if not started:
                            task_status.started()
                            started = True
                        await ear.listen()
                finally:
                    connection.terminate()
            except StoreUnavailableError:
                if not started:
                    task_status.started()
                    started = True
            await anyio.sleep(AGAIN_S)


class _Ear:
    """Hears each wish once, over one connection after the other."""

    def __init__(self, tell: Callable[[Wish], object]) -> None:
        self._tell = tell
        self._since: datetime | None = None
        self._began_s = anyio.current_time()
        self._known: frozenset[UUID] = frozenset()
        self._news = anyio.Event()

    async def open(self, connection: Connection) -> None:
        """Listen on ``connection``; what was made before the first try to do so is not told.

        What was made since is, however long the database could not be reached: executions may
        have begun meanwhile by other connections.
        """
        self._connection = connection
        await connection.add_listener(CHANNEL, self._wake)
        if self._since is None:
            deaf = timedelta(seconds=anyio.current_time() - self._began_s)
            began: datetime = await connection.fetchval(BEGAN, deaf)
            earlier = await connection.fetch(EARLIER, began)
            self._known = frozenset(row["id"] for row in earlier)
            self._since = began

    async def listen(self) -> None:
        """Tell of each wish, until the connection breaks."""
        while True:
            self._news = anyio.Event()
            assert self._since is not None, "it was opened"
            recent = await self._recent(self._since)
            for row in recent:
                if row["id"] not in self._known:
                    self._hear(row)
            self._known = frozenset(row["id"] for row in recent)
            with anyio.move_on_after(LOOK_EVERY_S):
                await self._news.wait()

    async def _recent(self, since: datetime) -> Sequence[asyncpg.Record]:
        rows = await self._connection.fetch(RECENT, since)
        self._since = rows[0]["looked_at"]
        return [row for row in rows if row["id"] is not None]

    def _hear(self, row: asyncpg.Record) -> None:
        if (wish := _wish(row)) is not None:
            self._tell(wish)
        else:
            log.warning(
                "wish %s, to %s, is of a later version of this program, and is left to workers "
                "of that version",
                row["id"],
                row["desire"],
            )

    def _wake(self, *_: object) -> None:
        self._news.set()


def _wish(row: asyncpg.Record) -> Wish | None:
    """Return the wish in ``row``; None if it is one that only later programs know."""
    if row["desire"] not in _DESIRES:
        return None
    execution = row["execution_id"]
    return Wish(
        id=WishId(row["id"]),
        desire=Desire(row["desire"]),
        reason=row["reason"],
        by=row["requested_by"],
        execution=None if execution is None else ExecutionId(execution),
        undo=row["undo"],
    )
