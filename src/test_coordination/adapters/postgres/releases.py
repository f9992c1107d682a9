"""Which release of the job queue has made its tables here, and bringing them up to date."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Final

from test_coordination.adapters.postgres.pool import Connection

RELEASE: Final = "SELECT version FROM dispatch_engine"
RECORD: Final = """
    INSERT INTO dispatch_engine (version) VALUES ($1)
    ON CONFLICT ((true)) DO UPDATE SET version = excluded.version, applied_at = now()
"""


async def bring_up_to_date(lent: Connection) -> None:
    """Make the tables of the job queue, or change them into those of the release that we have.

    Nobody else may do so meanwhile, and repeating it is safe. What a later release has made is
    left alone.
    """
    made: str | None = await lent.fetchval(RELEASE)
    release = version("pgqueuer")
    if made is not None and _numbers(made) >= _numbers(release):
        return
    from test_coordination.adapters.postgres.jobs import queries  # noqa: PLC0415  its library is slow to import, and seldom needed

    plan = await queries(lent).plan_upgrade()
    for statement in plan.statements:
        await lent.execute(statement)
    await lent.execute(RECORD, release)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:3])
