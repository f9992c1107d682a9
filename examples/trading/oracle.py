"""The load generator's file of acknowledged orders, as the auditor reads it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from trading.database import Connection

BYTES_AT_ONCE = 4_000_000
WORDS = 4

HOW_FAR = "SELECT bytes_read FROM audit.oracle WHERE path = $1"
MARK = """
    INSERT INTO audit.oracle (path, bytes_read) VALUES ($1, $2)
    ON CONFLICT (path) DO UPDATE SET bytes_read = excluded.bytes_read
"""
TAKE_DOWN = """
    INSERT INTO audit.acknowledged (client_order_id, told, filled, acknowledged_at)
    SELECT client_order_id, told, filled, to_timestamp(at)
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::float8[])
         AS new (client_order_id, told, filled, at)
    ON CONFLICT DO NOTHING
"""


async def read_oracle(connection: Connection, path: str) -> None:
    """Take down what was acknowledged since the last time; raises one of ``STORE_ERRORS``.

    Each line is read once, even if the auditor dies in between: how far it got is written with
    what it read. A file that became shorter is a new one.
    """
    done: int = await connection.fetchval(HOW_FAR, path) or 0
    text, done = await asyncio.to_thread(_more, Path(path), done)
    words = [line.split() for line in text.splitlines()]
    lines = [line for line in words if len(line) == WORDS]
    if not lines:
        return
    async with connection.transaction():
        await connection.execute(
            TAKE_DOWN,
            [line[0] for line in lines],
            [line[1] for line in lines],
            [int(line[2]) for line in lines],
            [float(line[3]) for line in lines],
        )
        await connection.execute(MARK, path, done)


def _more(path: Path, done: int) -> tuple[str, int]:
    """Return the whole lines behind byte ``done``, and where they end."""
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < done:
                done = 0
            file.seek(done)
            data = file.read(BYTES_AT_ONCE)
    except FileNotFoundError:
        return "", 0
    whole = data[: data.rfind(b"\n") + 1]
    return whole.decode(), done + len(whole)
