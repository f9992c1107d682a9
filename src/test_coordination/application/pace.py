"""A limit on how often something is done; who comes too early waits, first come, first served."""

from __future__ import annotations

from datetime import timedelta

import anyio


class Pace:
    """At most ``per_s`` turns a second, and after a pause as many at once; None is no limit."""

    def __init__(self, per_s: float | None = None) -> None:
        self._every_s = 0.0 if per_s is None else 1 / per_s
        self._next_s = 0.0

    async def turn(self) -> None:
        """Return when it is the caller's turn; one who is cancelled while waiting loses it."""
        if self._every_s == 0:
            return
        now = anyio.current_time()
        at = max(self._next_s, now - 1)
        self._next_s = at + self._every_s
        await anyio.sleep(max(0.0, at - now))

    def behind(self) -> timedelta:
        """Return how long who came now would wait."""
        return timedelta(seconds=max(0.0, self._next_s - anyio.current_time()))
