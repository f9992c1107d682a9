"""Time and new names, from the machine that we run on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import anyio
from uuid_utils import compat


class SystemClock:
    """The `Clock` of this machine."""

    def __init__(self) -> None:
        self._anchor = datetime.now(UTC)  # noqa: TID251  this is the Clock that others take
        self._anchored_s = time.monotonic()

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._anchor + timedelta(seconds=time.monotonic() - self._anchored_s)

    async def sleep(self, duration: timedelta) -> None:
        """See `Clock.sleep`."""
        await anyio.sleep(duration.total_seconds())


class TimeOrderedIdentities:
    """`Identities` of version 7: they begin with the time, and one process's never go back."""

    def new(self) -> UUID:
        """See `Identities.new`."""
        return compat.uuid7()
