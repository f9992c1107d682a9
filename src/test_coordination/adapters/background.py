"""Work that goes on beside the body of an ``async with``, with an owner and an end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio


@asynccontextmanager
async def beside(
    work: Callable[[], Coroutine[Any, Any, None]], *, stop: Callable[[], None], grace_s: float
) -> AsyncGenerator[None]:
    """Let ``work`` go on during the body; then call ``stop`` and give it ``grace_s`` to end.

    What the body raises comes out as it is, and not as a group of one. If ``work`` breaks, the
    body is cancelled and a group with the cause is raised.
    """
    outcome: BaseException | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(work)
        try:
            yield
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  carried past the group, which wraps it
            outcome = error
        stop()
        group.cancel_scope.deadline = anyio.current_time() + grace_s
    if outcome is not None:
        raise outcome
