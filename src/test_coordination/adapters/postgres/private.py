"""A connection for what must not wait for others, thrown away at the first trouble."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import asyncpg

from test_coordination.adapters.postgres.pool import (
    COMMAND_S_MAX,
    Connection,
    open_connection,
    translated,
)


class PrivateConnection:
    """One connection to the database at ``url``, opened when it is first needed.

    Whoever is cancelled while it is used, or meets an error, leaves nothing that the next one
    would have to wait for: the connection is cut, and the next one opens another.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._turn = anyio.Lock()
        self._connection: Connection | None = None

    async def fetch(
        self, statement: str, *arguments: object, doing: str
    ) -> Sequence[asyncpg.Record]:
        """Return the rows of one statement, which is a transaction of its own.

        Raises:
            StoreUnavailableError: the database cannot be reached, did not answer within
                ``COMMAND_S_MAX``, or broke off.
        """
        async with self._turn:
            try:
                if self._connection is None:
                    self._connection = await open_connection(
                        self._url, statement_s_max=COMMAND_S_MAX
                    )
                with translated(doing):
                    return await self._connection.fetch(statement, *arguments)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Cut the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
