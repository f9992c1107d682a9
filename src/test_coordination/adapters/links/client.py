"""A coordinator's hand on the links of one system."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.abc import TaskGroup

from test_coordination.adapters.links.errors import FaultNotHeldError, LinksUnreachableError
from test_coordination.adapters.links.lines import Lines
from test_coordination.adapters.links.replies import failure_of, state_of
from test_coordination.adapters.links.requests import (
    Add,
    Command,
    Describe,
    Object,
    Ping,
    Remove,
    Renew,
    request,
)
from test_coordination.adapters.links.values import Direction, Latency, LinkState

ANSWER_MAX: Final = timedelta(seconds=5)
LEASE: Final = timedelta(seconds=15)
# A lease is renewed three times in its length: one answer may be late, two are a pattern.
RENEWALS_PER_LEASE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A fault of ours; its lease is next renewed at ``renew_at``, never if infinite."""

    lease: timedelta | None
    renew_at: float


class LinkControl:
    """Puts latency into links, and keeps it there exactly as long as this process wants it.

    Use it as a context; it connects when first asked for something. One connection holds all
    its faults: they end when the context does, when this process dies, and when an answer takes
    longer than ``answer_max``, since then the connection is closed. Leases are renewed by a task
    of the context, so they run out if this process hangs. A fault that was lost is never put
    back by itself; see `holds`. A child made by a bare fork shares the connection and would
    keep the faults past our death, until their leases end; subprocesses do not.
    """

    def __init__(self, control: Path, *, answer_max: timedelta = ANSWER_MAX) -> None:
        self._control = control
        self._answer_s_max = answer_max.total_seconds()
        self._changed = anyio.Event()
        self._held: dict[tuple[str, str], _Held] = {}
        self._one_at_a_time = anyio.Lock()
        self._sent = 0
        self._lines: Lines | None = None
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        assert self._tasks is None, "one context at a time"
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._keep_leases)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._tasks is not None, "entered before"
        self._tasks.cancel_scope.cancel()
        try:
            if isinstance(exc_value, Exception):
                # It goes its own way: the task group would make a group of it.
                await self._tasks.__aexit__(None, None, None)
                return None
            return await self._tasks.__aexit__(exc_type, exc_value, traceback)
        finally:
            self._tasks = None
            self._disconnect()

    async def add_latency(  # noqa: D417 - delay to toxicity are those of `Latency`
        self,
        link: str,
        fault_id: str,
        *,
        delay: timedelta,
        jitter: timedelta = timedelta(0),
        direction: Direction = Direction.BOTH,
        toxicity: float = 1.0,
        lease: timedelta | None = LEASE,
    ) -> None:
        """Put a `Latency` in force on ``link``; it is when this returns. Repeating is safe.

        Args:
            link: its name in the topology.
            fault_id: unique among all coordinators; an id in force is changed to this latency.
            lease: the fault ends by itself if this process hangs for so long; None: never.

        Raises:
            InvalidLatencyError: the latency cannot be, or would do nothing.
            UnknownLinkError: the process carries no such link.
            LinkRefusedError: it declined; nothing was changed.
            LinksUnreachableError: no answer; the fault is not in force, nor any other of ours.
        """
        latency = Latency(delay=delay, jitter=jitter, direction=direction, toxicity=toxicity)
        await self._ask(
            Add(link=link, fault=fault_id, latency=latency, expires_in=lease),
            doing=f"adding fault {fault_id!r} to link {link!r}",
        )
        self._hold(link, fault_id, lease=lease)

    async def remove(self, link: str, fault_id: str) -> None:
        """End a fault, ours or another's; one that is not there is a success.

        Raises:
            UnknownLinkError: the process carries no such link.
            LinksUnreachableError: no answer; a fault of ours is over, another's may not be.
        """
        await self._ask(
            Remove(link=link, fault=fault_id),
            doing=f"removing fault {fault_id!r} from link {link!r}",
        )
        self._held.pop((link, fault_id), None)

    async def describe(self) -> Mapping[str, LinkState]:
        """Return every link's state by name, with the faults of all coordinators.

        Raises:
            LinksUnreachableError: no answer.
        """
        reply = await self._ask(Describe(), doing="asking for their state")
        states = [state_of(document) for document in reply["links"]]
        return {state.name: state for state in states}

    async def ping(self) -> None:
        """Return if the process answers.

        Raises:
            LinksUnreachableError: it does not.
        """
        await self._ask(Ping(), doing="looking whether they answer")

    def holds(self, link: str, fault_id: str) -> bool:
        """Whether, as far as is known here, the fault is in force and held by this connection."""
        return (link, fault_id) in self._held

    def _hold(self, link: str, fault: str, *, lease: timedelta | None) -> None:
        wait_s = math.inf if lease is None else lease.total_seconds() / RENEWALS_PER_LEASE
        renew_at = anyio.current_time() + wait_s
        self._held[link, fault] = _Held(lease=lease, renew_at=renew_at)
        self._changed.set()

    async def _keep_leases(self) -> None:
        while True:
            self._changed = anyio.Event()
            soonest = min((held.renew_at for held in self._held.values()), default=math.inf)
            with anyio.CancelScope(deadline=soonest):
                await self._changed.wait()
            now = anyio.current_time()
            for (link, fault), held in tuple(self._held.items()):
                if held.renew_at <= now:
                    await self._renew(link, fault, lease=held.lease)

    async def _renew(self, link: str, fault: str, *, lease: timedelta | None) -> None:
        try:
            await self._ask(
                Renew(link=link, fault=fault, expires_in=lease),
                doing=f"renewing the lease of fault {fault!r} on link {link!r}",
            )
        except (FaultNotHeldError, LinksUnreachableError):
            self._held.pop((link, fault), None)  # lost: `holds` says so from now on
            return
        if self.holds(link, fault):  # it may have been removed meanwhile
            self._hold(link, fault, lease=lease)

    async def _ask(self, command: Command, *, doing: str) -> Object:
        """Send ``command`` and return the reply, within the limit whatever happens."""
        assert self._tasks is not None, "links are controlled inside of the context only"
        async with self._one_at_a_time:
            # Not to be cancelled halfway: the next reply would be taken for this one's. The
            # limit still holds.
            with anyio.CancelScope(shield=True):
                reply = await self._exchange(command, doing=doing)
        if not reply["ok"]:
            raise failure_of(reply, command)
        return reply

    async def _exchange(self, command: Command, *, doing: str) -> Object:
        used_before = self._lines is not None
        try:
            with anyio.fail_after(self._answer_s_max):
                try:
                    return await self._say(command)
                except OSError:
                    self._disconnect()
                    if not used_before or isinstance(command, Renew):
                        raise
                # The process was restarted since we last spoke: every command may be repeated.
                return await self._say(command)
        except TimeoutError as error:
            self._disconnect()
            cause = f"none in {self._answer_s_max:g} s"
            raise LinksUnreachableError(control=self._control, doing=doing, cause=cause) from error
        except OSError as error:
            self._disconnect()
            cause = error.strerror or str(error)
            raise LinksUnreachableError(control=self._control, doing=doing, cause=cause) from error

    async def _say(self, command: Command) -> Object:
        if self._lines is None:
            self._lines = await Lines.connect(self._control)
        self._sent += 1
        await self._lines.write(request(self._sent, command))
        reply: Object = json.loads(await self._lines.read())
        assert reply["id"] == self._sent, "one question at a time, so one answer"
        return reply

    def _disconnect(self) -> None:
        """Close the connection, and with it end all our faults."""
        lines, self._lines = self._lines, None
        self._held.clear()
        if lines is not None:
            lines.close()
