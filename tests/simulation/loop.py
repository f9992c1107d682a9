"""An event loop without a machine under it: time is a number, and chance picks who runs next."""

from __future__ import annotations

import asyncio
import math
import sys
import warnings
from asyncio import futures
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from random import Random
from types import MethodType
from typing import Any, Final, cast

import anyio._backends._asyncio as anyio_on_asyncio
from anyio._core import _eventloop, _synchronization, _tasks

STEP_S: Final = 2e-5
"""How long one step of a process takes, so that no task that spins holds time up."""

SPIN_EVERY: Final = 16
"""After how many steps what spins has a turn, if there is anything else to do."""

_WAKES: Final = futures._set_result_unless_cancelled  # type: ignore[attr-defined]
"""What ends a sleep."""

_SPINS: Final = anyio_on_asyncio.CancelScope._deliver_cancellation

_ASKING: Final = (_eventloop, _synchronization, _tasks)
"""The modules of anyio that ask again and again which kind of loop runs."""

_CLOSINGS_MAX: Final = 20


class Process:
    """A process of an operating system: all that was begun in its context runs only while it does.

    A frozen one (SIGSTOP) does nothing until it is thawed, and then finds all that has happened
    meanwhile. A dead one (SIGKILL) never does anything again: no cleaning up, no last word.
    """

    def __init__(self, number: int, *, pace_s: float = STEP_S) -> None:
        """Let each step take ``pace_s``."""
        self.number = number
        self.pace_s = pace_s
        self.dead = False
        self.frozen = False
        self.over = False
        """Whether it has ended by itself."""
        self.steps = 0
        self.mark = 0
        self.marked: Callable[[], None] | None = None
        """What is called after the step number ``mark``, between two of its awaits."""
        self.parked: list[Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.context = Context()
        self.context.run(PROCESS.set, self)

    def __str__(self) -> str:
        return f"process {self.number}"

    def busy(self) -> list[str]:
        """Return the names of the tasks that have not ended."""
        return [task.get_name() for task in self.tasks if not task.done()]


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
"""Whose code it is that runs; None outside of all processes, in the world itself."""


class Handle:
    """A callback that waits for its turn, or for its time."""

    __slots__ = ("args", "callback", "context", "done", "process", "when_s")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        *,
        context: Context | None = None,
        when_s: float = 0.0,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.process = self.context.get(PROCESS)
        self.when_s = when_s
        self.done = False

    def cancel(self) -> None:
        self.done = True

    def cancelled(self) -> bool:
        return self.done

    def when(self) -> float:
        return self.when_s


def _runs(process: Process | None) -> bool:
    return process is not None and not (process.dead or process.frozen)


class _Task(asyncio.Task[Any]):
    """A task that says nothing when its process dies, and has a short name for reasons."""

    def __repr__(self) -> str:
        return self.get_name()


class SimulatedLoop:
    """Runs one handle at a time, picked by chance among all that could run.

    It is a loop as far as asyncio's tasks and anyio ask for one, and has no more.

    Nothing here asks the machine for anything: the same chance gives the same story. A failure
    that nobody took care of is kept in ``failures``.
    """

    def __init__(self, chance: Random) -> None:
        self.now_s = 0.0
        self.steps = 0
        self.digest = 0
        """What names all choices so far."""
        self.failures: list[str] = []
        self.halted = False
        self._random = chance.random
        self._ready: list[Handle] = []
        self._spinning: list[Handle] = []
        """What is tried again and again, which is not worth as many turns."""
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0
        self._names = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._processes: set[Process] = set()

    def run(self, *, until_s: float) -> None:
        """Run until that time, or until ``halted`` is set; nothing to do ends it as well."""
        ready, timers, random = self._ready, self._timers, self._random
        digest = self.digest
        while not self.halted:
            while timers and timers[0][0] <= self.now_s:
                handle = heappop(timers)[2]
                if handle.done:
                    continue
                if handle.callback is _WAKES and _runs(handle.process):
                    _WAKES(*handle.args)  # that somebody slept long enough is no step of its own
                else:
                    ready.append(handle)
            if self._spinning and (not ready or self.steps % SPIN_EVERY == 0):
                ready += self._spinning
                self._spinning.clear()
            if not ready:
                if not timers or timers[0][0] > until_s:
                    self.now_s = max(self.now_s, until_s)
                    break
                self.now_s = timers[0][0]
                continue
            if self.now_s > until_s:
                break
            index = int(random() * len(ready))
            handle = ready[index]
            ready[index] = ready[-1]
            ready.pop()
            if not handle.done:
                digest = (digest * 1_000_003 + index) & 0xFFFF_FFFF_FFFF
                self._step(handle)
        self.digest = digest

    def _step(self, handle: Handle) -> None:
        process = handle.process
        if process is not None:
            if process.dead:
                return
            if process.frozen:
                process.parked.append(handle)
                return
            self.now_s += process.pace_s
            process.steps += 1
        self.steps += 1
        try:
            handle.context.run(handle.callback, *handle.args)
        except Exception as error:  # noqa: BLE001  what a callback raises nobody else would see
            self.failures.append(f"a callback raised {error!r}")
        if process is not None and process.steps == process.mark and process.marked is not None:
            process.marked()

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on with all that came up meanwhile."""
        process.frozen = False
        self._ready += process.parked
        process.parked = []

    def spawn(self, process: Process, work: Coroutine[Any, Any, Any]) -> None:
        """Begin ``work`` in a process."""
        self._processes.add(process)
        task = self.create_task(work, context=process.context.copy())
        assert not task.done(), "it has its first turn later"

    @contextmanager
    def installed(self) -> Generator[None]:
        """Make this the loop of everything in the block; at its end whatever is left is dropped."""
        hooks = sys.get_asyncgen_hooks()
        plain = getattr(anyio_on_asyncio, "set", None)
        asyncio._set_running_loop(cast("asyncio.AbstractEventLoop", self))
        sys.set_asyncgen_hooks(firstiter=None, finalizer=_nothing)
        anyio_on_asyncio.set = _Ordered  # type: ignore[attr-defined]  # see `_Ordered`
        asked = _eventloop.get_async_backend
        for module in _ASKING:
            module.get_async_backend = _on_asyncio  # type: ignore[attr-defined]  # it costs much
        try:
            yield
        finally:
            with silence():
                self._drop()
            if plain is None:
                del anyio_on_asyncio.set  # type: ignore[attr-defined]
            for module in _ASKING:
                module.get_async_backend = asked  # type: ignore[attr-defined]  # as it was
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(None)

    def _drop(self) -> None:
        """Close what is left half done; what it says about that nobody wants to know."""
        self._ready.clear()
        self._spinning.clear()
        self._timers.clear()
        for task in self._tasks:
            work = task.get_coro()
            for _ in range(_CLOSINGS_MAX):
                if task.done() or not isinstance(work, Coroutine):
                    break
                try:
                    work.close()
                    break
                except BaseException:  # noqa: BLE001  it says that it would rather go on
                    continue
        for process in self._processes:
            process.parked.clear()
            process.tasks.clear()
        self._tasks.clear()
        self._ready.clear()
        self._spinning.clear()
        self._timers.clear()

    # What asyncio and anyio ask of a loop.

    def time(self) -> float:
        return self.now_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)  # type: ignore[arg-type]  # it has what is needed

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        self._names += 1
        named = f"{self._names} {name or ''}"
        task = _Task(coro, loop=self, name=named, context=context)  # type: ignore[arg-type]  # as above
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is no mistake here
        self._tasks.append(task)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            process.tasks.append(task)
        return task

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, context=context)
        spins = type(callback) is MethodType and callback.__func__ is _SPINS
        (self._spinning if spins else self._ready).append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Handle:
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Handle:
        handle = Handle(callback, args, context=context, when_s=when)
        if when < math.inf:
            self._count += 1
            heappush(self._timers, (when, self._count, handle))
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.failures.append(f"{context.get('message')}: {error!r}")


@contextmanager
def silence() -> Generator[None]:
    """Hear nothing of what says in the block that it would rather have gone on."""
    unraisable = sys.unraisablehook
    sys.unraisablehook = _nothing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook = unraisable


class _Ordered(dict[Any, None]):
    """Stands for the sets of anyio, whose order would hang on where in memory their members are."""

    def add(self, member: object) -> None:
        self[member] = None

    def discard(self, member: object) -> None:
        self.pop(member, None)

    def remove(self, member: object) -> None:
        del self[member]


def _on_asyncio(_: str | None = None) -> type[anyio_on_asyncio.AsyncIOBackend]:
    """Return what anyio stands on here, which is always the same."""
    return anyio_on_asyncio.AsyncIOBackend


def _nothing(_: object) -> None:
    """Finalize, or tell of, nothing."""
