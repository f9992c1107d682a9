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


async def patiently(
    act: Callable[[], Awaitable[Found]], *, doing: str, whole: bool = False
) -> Found:
    """Return what ``act`` returns; it is repeated while the store is away, and safe to repeat.

    If it is to be ``whole``, each try comes to its own end also when the caller is cancelled.

    Raises:
        StoreUnavailableError: the store was away for longer than ``STORE_PATIENCE``.
    """
    last: StoreUnavailableError | None = None
    with anyio.move_on_after(STORE_PATIENCE.total_seconds()):
        while True:
            try:
                with anyio.CancelScope(shield=whole):
                    return await act()
            except StoreUnavailableError as error:
                last = error
                await anyio.sleep(RETRY_S)
    raise away(doing, STORE_PATIENCE, last)


def away(
    doing: str, waited: timedelta, last: StoreUnavailableError | None = None
) -> StoreUnavailableError:
    """Return the error of who waited in vain; ``last`` is why the last try had no success."""
    why = f"; {last.store} said at last: {last.cause}" if last is not None and last.cause else ""
    cause = f"it did not come back within {waited.total_seconds():g} s{why}"
    return StoreUnavailableError(store="the execution log", doing=doing, cause=cause)
