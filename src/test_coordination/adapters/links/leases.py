"""Who holds which fault, and until when."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import anyio

from test_coordination.adapters.links.errors import (
    FaultNotHeldError,
    LinkRefusedError,
    UnknownLinkError,
)
from test_coordination.adapters.links.proxy import Link
from test_coordination.adapters.links.requests import Add, Remove, Renew
from test_coordination.adapters.links.values import FaultState, LinkState

FAULTS_PER_LINK_MAX: Final = 64

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lease:
    """``until`` is of the monotonic clock, and infinite without an expiry."""

    owner: int
    until: float


class Leases:
    """Every fault in force on ``links``; each belongs to the control connection that added it.

    Fault ids are unique among coordinators. Whoever adds an id again takes the fault over, so
    that a coordinator that reconnects keeps it when its old connection is found dead.
    """

    def __init__(self, links: Mapping[str, Link]) -> None:
        self._links = links
        self._leases: dict[tuple[str, str], _Lease] = {}
        self._changed = anyio.Event()

    def states(self) -> tuple[LinkState, ...]:
        """Return the state of every link, with what is left of each lease."""
        return tuple(
            replace(
                link.state,
                faults=tuple(self._with_lease(name, fault) for fault in link.state.faults),
            )
            for name, link in self._links.items()
        )

    def add(self, asked: Add, *, owner: int) -> None:
        """Put a fault in force, or change it, for ``owner``; its lease counts from now.

        Raises:
            UnknownLinkError: there is no such link.
            LinkRefusedError: the link has as many faults as one can have.
        """
        link, key = self._link(asked.link), (asked.link, asked.fault)
        if key not in self._leases and len(link.state.faults) >= FAULTS_PER_LINK_MAX:
            raise LinkRefusedError(
                reason=f"link {asked.link!r} has {FAULTS_PER_LINK_MAX} faults already, "
                "which is the most; remove one first"
            )
        link.add(asked.fault, asked.latency)
        self._lease(key, owner=owner, expires_in=asked.expires_in)
        _log.info("%s: fault %s in force: %s", *key, asked.latency)

    def renew(self, asked: Renew, *, owner: int) -> None:
        """Count a lease from now again.

        A fault that is gone does not come back: somebody may have proven by now that it is.

        Raises:
            UnknownLinkError: there is no such link.
            FaultNotHeldError: ``owner`` does not hold the fault, or not any more.
        """
        self._link(asked.link)
        key = (asked.link, asked.fault)
        lease = self._leases.get(key)
        if lease is None or lease.owner != owner:
            raise FaultNotHeldError(link=asked.link, fault=asked.fault)
        self._lease(key, owner=owner, expires_in=asked.expires_in)

    def remove(self, asked: Remove) -> None:
        """End a fault, whoever holds it; repeating is safe.

        Raises:
            UnknownLinkError: there is no such link.
        """
        self._link(asked.link)
        self._end((asked.link, asked.fault), why="removed")

    def drop(self, owner: int) -> None:
        """End every fault that ``owner`` holds: its connection is closed."""
        for key in [key for key, lease in self._leases.items() if lease.owner == owner]:
            self._end(key, why="its connection closed")

    async def expire(self) -> None:
        """End each fault whose lease runs out, for ever."""
        while True:
            self._changed = anyio.Event()
            until = min((lease.until for lease in self._leases.values()), default=math.inf)
            with anyio.CancelScope(deadline=until):
                await self._changed.wait()
            now = anyio.current_time()
            for key in [key for key, lease in self._leases.items() if lease.until <= now]:
                self._end(key, why="its lease ran out")

    def _link(self, name: str) -> Link:
        if (link := self._links.get(name)) is None:
            raise UnknownLinkError(link=name, known=frozenset(self._links))
        return link

    def _lease(self, key: tuple[str, str], *, owner: int, expires_in: timedelta | None) -> None:
        left_s = math.inf if expires_in is None else expires_in.total_seconds()
        self._leases[key] = _Lease(owner=owner, until=anyio.current_time() + left_s)
        self._changed.set()

    def _end(self, key: tuple[str, str], *, why: str) -> None:
        link, fault = key
        if self._leases.pop(key, None) is not None:
            self._links[link].remove(fault)
            _log.info("%s: fault %s ended: %s", link, fault, why)

    def _with_lease(self, link: str, fault: FaultState) -> FaultState:
        until = self._leases[link, fault.fault].until
        if math.isinf(until):
            return fault
        left_s = max(0.0, until - anyio.current_time())
        return replace(fault, expires_in=timedelta(seconds=left_s))
