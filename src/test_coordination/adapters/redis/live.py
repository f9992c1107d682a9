"""The live view in Redis: what is published is written behind the back of whoever runs."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import chain
from typing import Final

import anyio
from redis.asyncio import Redis
from redis.exceptions import TimeoutError as NoAnswerError

from test_coordination.adapters.background import beside
from test_coordination.adapters.codec import live_state
from test_coordination.adapters.redis.connection import ANSWER_S_MAX, UNUSABLE, client, why
from test_coordination.adapters.redis.shown import (
    ACTIVE,
    MILLISECOND,
    Command,
    Shown,
    events_key,
    lost,
    refusal,
    state_key,
    state_of,
)
from test_coordination.application.ports import (
    Clock,
    ExecutionRecord,
    Heard,
    LiveState,
    LiveView,
)
from test_coordination.domain.events import Entry
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId

EXECUTIONS_MAX: Final = 1000
"""Beyond it, those published longest ago are forgotten while Redis is away."""
REFRESH_S: Final = 2.0
GAP_S: Final = 0.05
"""How long what is published is gathered after something was written, to be written together."""
TOGETHER_MAX: Final = 64
"""How many executions are written together."""
BACKOFF_S_MIN: Final = 0.1
BACKOFF_S_MAX: Final = 5.0
GRACE_S: Final = 2.0
READ_S_MAX: Final = 1.0
COMMAND_S_MAX: Final = 0.001
"""How much longer Redis may take to answer for each of the commands that it is sent together."""
LATE_S: Final = 0.5
"""How much later than asked for Redis may say that nothing has happened; then it hangs."""
STALE_S: Final = 3600.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_live_view(url: str | None, clock: Clock) -> AsyncGenerator[LiveView]:
    """Lend the live view in the Redis at ``url``, which need not answer; None says there is none.

    Raises:
        InvalidRedisUrlError: the URL is malformed.
    """
    if url is None:
        yield AbsentLiveView()
        return
    writing, waiting = client(url, blocking=True), client(url, blocking=True)
    view = RedisLiveView(writing, waiting, clock)
    try:
        async with beside(view.write_on, stop=view.end, grace_s=GRACE_S):
            yield view
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(GRACE_S):
            await writing.aclose()
            await waiting.aclose()


class AbsentLiveView:
    """A `LiveView` for where there is no Redis: it shows nothing, and says so."""

    def publish(self, record: ExecutionRecord, state: Execution, entries: Sequence[Entry]) -> None:
        """See `LiveView.publish`."""

    def publish_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """See `LiveView.publish_samples`."""

    async def state(self, execution: ExecutionId) -> LiveState | None:
        """See `LiveView.state`."""
        del execution
        return None

    async def news(self, after: Mapping[ExecutionId, int], *, limit: timedelta) -> Heard:
        """See `LiveView.news`; of nothing can anything be told."""
        del after, limit
        return Heard.DEAF

    def trouble(self) -> str:
        """See `LiveView.trouble`."""
        return "no Redis is configured: readers ask PostgreSQL ten times a second"


class RedisLiveView:
    """A `LiveView` that one task of its own writes to Redis."""

    def __init__(self, writing: Redis, waiting: Redis, clock: Clock) -> None:
        """Leave both clients, which must have no time limit, to the caller to close."""
        self._writing = writing
        self._waiting = waiting
        self._clock = clock
        self._shown: dict[ExecutionId, Shown] = {}
        self._published = anyio.Event()
        self._trouble = ""
        self._ending = False

    def publish(self, record: ExecutionRecord, state: Execution, entries: Sequence[Entry]) -> None:
        """See `LiveView.publish`."""
        live = live_state(record, state)
        shown = self._shown.pop(record.id, None) or Shown(state=live)
        shown.state, shown.changed = live, True
        shown.tail.extend(entries)
        self._shown[record.id] = shown
        if len(self._shown) > EXECUTIONS_MAX:
            del self._shown[next(iter(self._shown))]
        self._published.set()

    def publish_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """See `LiveView.publish_samples`; those of an execution that is not shown are dropped."""
        if shown := self._shown.get(execution):
            shown.samples.extend(samples)
            shown.changed = True
            self._published.set()

    async def state(self, execution: ExecutionId) -> LiveState | None:
        """See `LiveView.state`."""
        with anyio.move_on_after(READ_S_MAX):
            try:
                words = await self._writing.hgetall(state_key(execution))
            except UNUSABLE:
                return None
            return state_of(execution, {str(name): str(word) for name, word in words.items()})
        return None

    async def news(self, after: Mapping[ExecutionId, int], *, limit: timedelta) -> Heard:
        """See `LiveView.news`: one command waits for all of them, on one connection."""
        streams = {events_key(execution): f"{end}-0" for execution, end in after.items()}
        # In whole milliseconds; 0 would be for ever.
        block = max(1, int(limit / MILLISECOND))
        with anyio.move_on_after(limit.total_seconds() + LATE_S):
            try:
                found = await self._waiting.xread(streams, count=1, block=block)  # type: ignore[arg-type]  # a dict of names to identities is what it takes
            except UNUSABLE:
                return Heard.DEAF
            return Heard.NEWS if found else Heard.NOTHING
        return Heard.DEAF

    def trouble(self) -> str:
        """See `LiveView.trouble`."""
        return self._trouble

    def end(self) -> None:
        """Make `write_on` return once it has tried to write what is left."""
        self._ending = True
        self._published.set()

    async def write_on(self) -> None:
        """Write what is published, and refresh what is running, until `end`."""
        backoff_s = BACKOFF_S_MIN
        ending = False
        while not ending:
            ending = self._ending
            try:
                await self._write_all()
            except UNUSABLE as error:
                self._say(
                    f"Redis cannot be used ({why(error)}): nothing is shown live until it can"
                )
                await self._pause(backoff_s)
                backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)
            else:
                self._say("")
                backoff_s = BACKOFF_S_MIN
                if not ending:
                    await anyio.sleep(GAP_S)
                    await self._next_turn()

    async def _next_turn(self) -> None:
        with anyio.move_on_after(REFRESH_S) as waited:
            await self._published.wait()
        if not self._ending:
            self._published = anyio.Event()
        if waited.cancelled_caught:
            for shown in self._shown.values():
                shown.changed = True

    async def _pause(self, pause_s: float) -> None:
        """Let Redis recover; everything is to be written again after that."""
        for shown in self._shown.values():
            shown.changed, shown.kept_at = True, None
        with anyio.move_on_after(pause_s):
            while not self._ending:
                self._published = anyio.Event()
                await self._published.wait()

    async def _write_all(self) -> None:
        now = self._clock.now()
        # Asked for even if nothing is to be written: an answer shows that Redis is there.
        await self._do([("ZREMRANGEBYSCORE", ACTIVE, "-inf", now.timestamp() - STALE_S)])
        due = [shown for shown in self._shown.values() if shown.is_due(now)]
        for start in range(0, len(due), TOGETHER_MAX):
            together = due[start : start + TOGETHER_MAX]
            for shown in together:
                shown.changed = False
            # A second time, and from the start, where Redis turns out to be emptied.
            if emptied := await self._write(together):
                for shown in emptied:
                    shown.written, shown.kept_at = 0, None
                await self._do([("DEL", events_key(shown.state.execution)) for shown in emptied])
                await self._write(emptied)
            for shown in together:
                if shown.ended and not shown.changed:
                    self._shown.pop(shown.state.execution, None)

    async def _write(self, together: Sequence[Shown]) -> Sequence[Shown]:
        """Make Redis show some executions; return those of which it has lost something."""
        now = self._clock.now()
        # More may be published while we wait for the replies.
        sheets = [(each, each.commands(now), each.end, len(each.tail)) for each in together]
        replies = await self._send([*chain(*(commands for _, commands, _, _ in sheets))])
        emptied, start = list[Shown](), 0
        for shown, commands, end, count in sheets:
            answers = replies[start : start + len(commands)]
            start += len(commands)
            if (error := refusal(answers)) is not None:
                raise error
            shown.written = end
            if lost(answers, count):
                emptied.append(shown)
        return emptied

    async def _do(self, commands: Sequence[Command]) -> None:
        if (error := refusal(await self._send(commands))) is not None:
            raise error

    async def _send(self, commands: Sequence[Command]) -> Sequence[object]:
        # A transaction would need rights that our user has not.
        pipeline = self._writing.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        # One limit for all of them: the driver's own is a timer for each answer.
        with anyio.move_on_after(ANSWER_S_MAX + len(commands) * COMMAND_S_MAX):
            replies: Sequence[object] = await pipeline.execute(raise_on_error=False)
            return replies
        raise NoAnswerError("it did not answer in time")

    def _say(self, trouble: str) -> None:
        if bool(trouble) != bool(self._trouble):
            log.warning("%s", trouble or "Redis can be used again")
        self._trouble = trouble
