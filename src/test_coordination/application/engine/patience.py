"""Wait for a store that is away, and not for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

import anyio

from test_coordination.domain.errors import StoreUnavailableError

STORE_PATIENCE: Final = timedelta(seconds=30)
"""How long a store that is away is waited for."""

RETRY_S: Final = 0.1

Found = TypeVar("Found")


async def patiently(act: Callable[[], Awaitable[Found]], *, doing: str) -> Found:
    """Return what ``act`` returns; it is repeated while the store is away, and safe to repeat.

    Raises:
        StoreUnavailableError: the store was away for longer than ``STORE_PATIENCE``.
    """
    with anyio.move_on_after(STORE_PATIENCE.total_seconds()):
        while True:
            try:
                return await act()
            except StoreUnavailableError:
                await anyio.sleep(RETRY_S)
    raise away(doing, STORE_PATIENCE)


def away(doing: str, waited: timedelta) -> StoreUnavailableError:
    """Return the error of who waited in vain."""
    cause = f"it did not come back within {waited.total_seconds():g} s"
    return StoreUnavailableError(store="the execution log", doing=doing, cause=cause)
