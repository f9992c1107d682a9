"""Wishes in Redis: a stream that every worker waits at, and who said that it acts on which."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeAlias
from uuid import UUID

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from test_coordination.adapters.codec import storable
from test_coordination.adapters.redis.connection import ANSWER_S_MAX, UNUSABLE, client, why
from test_coordination.adapters.redis.shown import ACTIVE
from test_coordination.application.ports import Clock
from test_coordination.application.wishes import Answer, Desire, Wish
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WishId, WorkerId

STORE: Final = "Redis"
WISHES: Final = "test:wishes"
STREAM_MAX: Final = 1000
ANSWERS_TTL_S: Final = 3600
BLOCK_S: Final = 2.0
AGAIN_S: Final = 0.2
DEAF_S_MIN: Final = 0.1
"""Who waits longer for its first answer goes back to when it began, by its own clock."""
CLOSE_S_MAX: Final = 2.0
TRIES_MAX: Final = 16
"""How many others may be faster in a row to put a wish where ours was to be."""

FIRST: Final = (0, 0)
_SEQUENCE_BITS: Final = 62
_TIME_BITS: Final = 80

Place: TypeAlias = tuple[int, int]
_Read: TypeAlias = tuple[Place, Wish | None]
"""What stands at a place; None is no wish, or none that this program knows."""


def answers_key(wish: WishId) -> str:
    """Return where it is said who acts on a wish: a hash, by worker."""
    return f"test:wish:{{{wish}}}:answers"


@asynccontextmanager
async def open_wishes(url: str | None, clock: Clock) -> AsyncGenerator[RedisWishes | None]:
    """Lend the wishes in the Redis at ``url``, which need not answer; None says there is none.

    Raises:
        InvalidRedisUrlError: the URL is malformed.
    """
    if url is None:
        yield None
        return
    asking, waiting = client(url), client(url, blocking=True)
    try:
        yield RedisWishes(asking, waiting, clock)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_S_MAX):
            await asking.aclose()
            await waiting.aclose()


class RedisWishes:
    """A `Wishes` that needs no more rights than to read and write keys of ours.

    The place of a wish in the stream follows from its name, so one that is sent twice is there
    once. Where another one stands behind that place already, because the clock of who made it
    goes ahead, it comes next.
    """

    store = STORE

    def __init__(self, asking: Redis, waiting: Redis, clock: Clock) -> None:
        """Leave both clients to the caller to close; ``waiting`` must have no time limit."""
        self._clock = clock
        self._asking = asking
        self._waiting = waiting

    async def make(self, wish: Wish) -> bool:
        """See `Wishes.make`."""
        own = place = _own_place(wish.id)
        with _translated("making a wish"):
            for _ in range(TRIES_MAX):
                try:
                    await self._asking.xadd(
                        WISHES, _words(wish), id=_spelt(place), maxlen=STREAM_MAX, approximate=True
                    )
                except ResponseError as error:
                    if "equal or smaller" not in str(error):
                        raise
                else:
                    return True
                found = await self._between(_spelt(own), "+")
                if any(each and each.id == wish.id for _, each in found):
                    return False
                time_ms, sequence = await self._newest()
                place = (time_ms, sequence + 1)
        raise StoreUnavailableError(store=STORE, doing="making a wish", cause="others are faster")

    async def answer(self, wish: WishId, answer: Answer) -> None:
        """See `Wishes.answer`; who asks later than in an hour is not told any more."""
        key, said = answers_key(wish), " ".join(map(str, sorted(answer.executions)))
        with _translated("answering a wish"):
            await self._asking.hset(key, str(answer.worker), said)
            await self._asking.expire(key, ANSWERS_TTL_S)

    async def answers(self, wish: WishId) -> Sequence[Answer]:
        """See `Wishes.answers`."""
        with _translated("asking who acts on a wish"):
            said = await self._asking.hgetall(answers_key(wish))
        return [
            Answer(
                worker=WorkerId(UUID(str(worker))),
                executions=frozenset(ExecutionId(UUID(each)) for each in str(named).split()),
            )
            for worker, named in said.items()
        ]

    async def unfinished(self) -> Mapping[ExecutionId, bool]:
        """See `Wishes.unfinished`: those that a worker shows here, so none of them waits."""
        with _translated("listing executions under way"):
            shown: Any = await self._asking.zrange(ACTIVE, 0, -1)
        return {ExecutionId(UUID(str(each))): False for each in shown}

    async def hear(
        self,
        tell: Callable[[Wish], object],
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """See `Wishes.hear`."""
        place: Place | None = None
        started = False
        began = (int(self._clock.now().timestamp() * 1000), 0)
        began_s = anyio.current_time()
        while True:
            try:
                with _translated("listening for wishes"):
                    newest = await self._newest()
                    if place is None:
                        # What was made while nobody answered us was made after we had begun.
                        deaf = anyio.current_time() - began_s > DEAF_S_MIN
                        place = min(newest, began) if deaf else newest
                    # A stream that was emptied begins anew, perhaps before where we had come.
                    place = FIRST if newest < place else place
                    if not started:
                        task_status.started()
                        started = True
                    for at, wish in await self._after(place):
                        place = at
                        if wish is not None:
                            tell(wish)
            except StoreUnavailableError:
                if not started:
                    task_status.started()
                    started = True
                await anyio.sleep(AGAIN_S)

    async def _newest(self) -> Place:
        found: Any = await self._asking.xrevrange(WISHES, count=1)
        return _place(found[0][0]) if found else FIRST

    async def _between(self, first: str, last: str) -> Sequence[_Read]:
        found: Any = await self._asking.xrange(WISHES, first, last)
        return list(map(_read, found))

    async def _after(self, place: Place) -> Sequence[_Read]:
        """Return what is behind ``place`` as soon as there is something, or nothing for now."""
        # A connection whose other end has vanished is as silent as one on which nothing happens.
        with anyio.move_on_after(BLOCK_S + ANSWER_S_MAX):
            block_ms = int(BLOCK_S * 1000)
            found: Any = await self._waiting.xread({WISHES: _spelt(place)}, block=block_ms)
            return [_read(entry) for _, entries in found or () for entry in entries]
        return []


@contextmanager
def _translated(doing: str) -> Generator[None]:
    try:
        yield
    except UNUSABLE as error:
        raise StoreUnavailableError(store=STORE, doing=doing, cause=why(error)) from error


def _own_place(wish: WishId) -> Place:
    """Return the place that a wish has by its name, which begins with the time."""
    return wish.int >> _TIME_BITS, max(1, wish.int & (2**_SEQUENCE_BITS - 1))


def _place(identity: object) -> Place:
    time_ms, _, sequence = str(identity).partition("-")
    return int(time_ms), int(sequence)


def _spelt(place: Place) -> str:
    return f"{place[0]}-{place[1]}"


def _words(wish: Wish) -> dict[Any, Any]:
    return {
        "wish": str(wish.id),
        "desire": str(wish.desire),
        "execution": str(wish.execution or ""),
        "reason": storable(wish.reason),
        "by": storable(wish.by),
        "undo": int(wish.undo),
    }


def _read(entry: tuple[object, Mapping[str, str]]) -> _Read:
    identity, words = entry
    place = _place(identity)
    try:
        named = words["execution"]
        wish = Wish(
            id=WishId(UUID(words["wish"])),
            desire=Desire(words["desire"]),
            execution=ExecutionId(UUID(named)) if named else None,
            reason=words["reason"],
            by=words["by"],
            undo=words["undo"] == "1",
        )
    except (KeyError, ValueError):
        return place, None
    return place, wish
