"""Messages between processes and servers: late, lost, repeated, and answered in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, TypeAlias, TypeVar, cast

from simulation.loop import Process, SimulatedLoop
from test_coordination.domain.errors import StoreUnavailableError

WORLD = Context()
"""In which everything happens that belongs to no process."""

Found = TypeVar("Found")
_Deed: TypeAlias = Callable[[], Coroutine[Any, Any, object]]

_PATIENCES_S = (0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 10.0)
"""How long it takes at most to find out that there is no answer, one as often as the other."""

_IN_TIME = 0.7
"""How many answers come in the same moment: this costs less, and is as good as any other."""


@dataclass(slots=True, kw_only=True)
class Weather:
    """How a server is to be reached by everybody at present; shares are those of all messages.

    A message takes up to ``slow_s`` each way, besides what is always needed. ``lost`` ones do not
    arrive, the answers of ``mute`` ones do not, and ``doubled`` ones arrive once more later.
    """

    away: bool = False
    slow_s: float = 0.0
    lost: float = 0.0
    mute: float = 0.0
    doubled: float = 0.0

    def clear(self) -> None:
        self.away = False
        self.slow_s = self.lost = self.mute = self.doubled = 0.0

    @property
    def fair(self) -> bool:
        return not (self.away or self.slow_s or self.lost or self.mute or self.doubled)


@dataclass(slots=True)
class Server:
    """Something beyond the network that does one thing at a time, each of them whole."""

    name: str
    loop: SimulatedLoop
    chance: Random
    weather: Weather = field(default_factory=Weather)
    caller: Process | None = None
    """Whose wish is being done."""
    after: Callable[[], None] | None = None
    """What is called after each deed."""

    def do(self, caller: Process, deed: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
        """Do ``deed`` for ``caller``, at once; one that has to wait for anything is a mistake."""
        self.caller = caller
        try:
            return at_once(deed())
        finally:
            if self.after is not None:
                self.after()
            self.caller = None


@dataclass(slots=True)
class Line:
    """The way from a process to a server; ``cut`` it, and nothing passes."""

    process: Process
    server: Server
    cut: bool = False

    async def ask(self, deed: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
        """Have ``deed`` done by the server, and return what comes of it.

        Raises:
            StoreUnavailableError: there was no answer; whether it was done is not known.
        """
        loop, weather = self.server.loop, self.server.weather
        answer: asyncio.Future[Any] = loop.create_future()
        if weather.fair and not self.cut:
            delay_s = 0.0002 + 0.003 * self.server.chance.random()
            loop.call_later(delay_s, self._arrive, deed, answer, context=WORLD)
        else:
            self._send(deed, answer)
        return cast("Found", await answer)

    def _send(self, deed: _Deed, answer: asyncio.Future[Any]) -> None:
        """Send a message in bad weather."""
        weather, random, loop = self.server.weather, self.server.chance.random, self.server.loop
        if self.cut or random() < weather.lost:
            self._fail(answer)
            return
        if random() < weather.mute:
            self._fail(answer)
            loop.call_later(random(), self._arrive, deed, None, context=WORLD)
            return
        delay_s = 0.0002 + (0.003 + weather.slow_s) * random()
        loop.call_later(delay_s, self._arrive, deed, answer, context=WORLD)

    def _arrive(self, deed: _Deed, answer: asyncio.Future[Any] | None) -> None:
        """Do what a message asks for, and send the answer, perhaps in the same moment."""
        server, random = self.server, self.server.chance.random
        if server.weather.away or self.cut:
            if answer is not None:
                self._fail(answer)
            return
        if answer is not None and random() < server.weather.doubled:
            server.loop.call_later(2 * random(), self._arrive, deed, None, context=WORLD)
        reply: Callable[[asyncio.Future[Any]], None]
        try:
            reply = partial(resolve, server.do(self.process, deed))
        except Exception as error:  # noqa: BLE001  the answer carries it to whoever asked
            reply = partial(refuse, error)
        if answer is None:
            return
        if not server.weather.slow_s and random() < _IN_TIME:
            reply(answer)
            return
        delay_s = 0.0002 + (0.003 + server.weather.slow_s) * random()
        server.loop.call_later(delay_s, self._answer, reply, answer, context=WORLD)

    def _answer(
        self, reply: Callable[[asyncio.Future[Any]], None], answer: asyncio.Future[Any]
    ) -> None:
        if self.server.weather.away or self.cut:
            self._fail(answer)
        else:
            reply(answer)

    def _fail(self, answer: asyncio.Future[Any]) -> None:
        """Let whoever asked find out that there is no answer: at once, or after a while."""
        random = self.server.chance.random
        patience_s = self.server.chance.choice(_PATIENCES_S)
        delay_s = 0.001 + patience_s * random()
        error = StoreUnavailableError(store=self.server.name, doing="being asked")
        self.server.loop.call_later(delay_s, refuse, error, answer, context=WORLD)


class Remote:
    """Anything that a server has, as it is reached over a line; each call is a message."""

    def __init__(self, line: Line, subject: object) -> None:
        self._line = line
        self._subject = subject
        self._known: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {}

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._subject, name)

        def call(*args: object, **kwargs: object) -> Coroutine[Any, Any, Any]:
            return self._line.ask(partial(method, *args, **kwargs))

        self.__dict__[name] = call
        return call


def at_once(work: Coroutine[Any, Any, Found]) -> Found:
    """Return what ``work`` returns, which must not wait for anything."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # its type is that of `work`
    raise AssertionError(f"{work!r} waits, though a server does each thing whole")


def resolve(found: object, answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_result(found)


def refuse(error: Exception, answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer._log_traceback = False  # who asked may be dead, and that is no mistake
