"""What `tcoord doctor` tells of PostgreSQL: which one it is, and how its clock goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from test_coordination.adapters.postgres.pool import Pool, connection

DESCRIBE: Final = """
    SELECT current_setting('server_version') AS version,
           current_user AS role,
           clock_timestamp() AS now,
           (SELECT max(version) FROM schema_version) AS schema_version
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresHealth:
    """One look at a server; ``ahead`` is how far its clock is ahead of ours."""

    version: str
    role: str
    schema_version: int
    ahead: timedelta


async def look_at(pool: Pool, now: datetime) -> PostgresHealth:
    """Return what the server says of itself; ``now`` is our time.

    Raises:
        StoreUnavailableError: it cannot be reached.
    """
    async with connection(pool, doing="looking at its health") as lent:
        row = await lent.fetchrow(DESCRIBE)
    assert row is not None, "a query without a table gives a row"
    return PostgresHealth(
        version=row["version"],
        role=row["role"],
        schema_version=row["schema_version"],
        ahead=row["now"] - now,
    )
