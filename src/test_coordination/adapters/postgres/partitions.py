"""The months into which logs and samples are divided, by the time in an execution's identity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from test_coordination.adapters.postgres.pool import Connection

PARTITIONED: Final = ("execution_event", "probe_sample")
AHEAD: Final = 2
"""How many months beyond the present one are made when the schema is brought up to date."""
FAR: Final = timedelta(days=400)
"""Identities whose time is further away than this share the default partition."""

NOW: Final = "SELECT now()"
ADD: Final = "SELECT add_partition($1, $2, $3, $4)"

# Version 7 begins with 48 bits of milliseconds since 1970.
_TIME_SHIFT: Final = 80
_VERSION: Final = 7
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One month of UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """Return the month of ``moment``, which is in UTC."""
        return cls(moment.year, moment.month)

    @property
    def start(self) -> datetime:
        """Return its first moment."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def low(self) -> UUID:
        """Return what no identity that was given in this month is smaller than."""
        return UUID(int=((self.start - _EPOCH) // _MILLISECOND) << _TIME_SHIFT)

    @property
    def suffix(self) -> str:
        """Return how the names of its partitions end."""
        return f"{self.year:04}_{self.month:02}"

    def after(self, months: int) -> Month:
        """Return the month that comes ``months`` later, or earlier if it is negative."""
        years, month = divmod(self.month - 1 + months, 12)
        return Month(self.year + years, month + 1)


def month_of(identity: UUID) -> Month | None:
    """Return the month in which ``identity`` was given; None if it does not tell."""
    if identity.version != _VERSION:
        return None
    try:
        return Month.of(_EPOCH + (identity.int >> _TIME_SHIFT) * _MILLISECOND)
    except OverflowError:
        return None


async def add_months_ahead(connection: Connection) -> None:
    """Make the partitions from last month on, as far ahead as they are kept."""
    now: datetime = await connection.fetchval(NOW)
    for offset in range(-1, AHEAD + 1):
        await _add(connection, Month.of(now).after(offset))


async def add_month_of(connection: Connection, identity: UUID) -> None:
    """Make the partitions for the month of ``identity``, unless it is too far away."""
    month = month_of(identity)
    if month is None:
        return
    now: datetime = await connection.fetchval(NOW)
    if abs(month.start - now) < FAR:
        await _add(connection, month)


async def _add(connection: Connection, month: Month) -> None:
    for parent in PARTITIONED:
        await connection.fetchval(ADD, parent, month.suffix, month.low, month.after(1).low)
