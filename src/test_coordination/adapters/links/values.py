"""Small words of the links: where one leads, what slows it, and what it has carried."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from test_coordination.adapters.links.errors import InvalidLatencyError, InvalidLinkError

Address: TypeAlias = tuple[str, int]
"""Host and port; a link that listens on port 0 is given a free one."""

DELAY_MAX: Final = timedelta(minutes=1)
PORT_MAX: Final = 65_535
_NAME: Final = re.compile(r"[^=\s]{1,100}")
_NONE: Final = timedelta(0)


class Direction(StrEnum):
    """Which way a fault works: up is from the client to the upstream."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Bytes arrive later than they were sent: by ``delay`` ± ``jitter``, evenly spread.

    Both count for each direction on its own, from the moment the proxy reads the bytes, so a
    delay of 100 ms in both directions adds 200 ms to a request and its response. The jitter is
    drawn for each piece read, never makes a delay negative, and never changes the order.
    ``toxicity`` is the chance of each connection to suffer, drawn once per connection.
    """

    delay: timedelta
    jitter: timedelta = _NONE
    direction: Direction = Direction.BOTH
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("delay", self.delay), ("jitter", self.jitter)):
            if not _NONE <= value <= DELAY_MAX:
                raise InvalidLatencyError(
                    reason=f"{name} is {value.total_seconds():g} s, expected 0 to "
                    f"{DELAY_MAX.total_seconds():g} s"
                )
        if self.delay + self.jitter == _NONE:
            raise InvalidLatencyError(reason="delay and jitter are both zero, so nothing is slower")
        if not 0 <= self.toxicity <= 1:
            raise InvalidLatencyError(reason=f"toxicity is {self.toxicity!r}, expected 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    """A link as it is asked for: who connects to ``listen`` talks to ``upstream``."""

    name: str
    listen: Address
    upstream: Address

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidLinkError(
                link=self.name, reason="a name is 1 to 100 characters without spaces and '='"
            )
        for side, (_, port), least in (("listen", self.listen, 0), ("upstream", self.upstream, 1)):
            if not least <= port <= PORT_MAX:
                raise InvalidLinkError(
                    link=self.name,
                    reason=f"the {side} port is {port}, expected {least} to {PORT_MAX}",
                )
        if self.listen == self.upstream:
            raise InvalidLinkError(link=self.name, reason="it would lead to itself")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultState:
    """A fault in force, and what it has done since it was added.

    ``connections`` counts those that it hit, open or not. ``expires_in`` is None if only its
    removal, or the end of the connection that asked for it, ends it.
    """

    fault: str
    latency: Latency
    connections: int
    bytes_delayed: int
    expires_in: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """What a link has carried since its process began, and the faults in force on it.

    Bytes count when they are handed on, delayed ones when they come in. ``connections_refused``
    counts those that were reset because the upstream could not be reached.
    """

    name: str
    listen: Address
    upstream: Address
    connections_open: int
    connections_total: int
    connections_refused: int
    bytes_up: int
    bytes_down: int
    bytes_delayed: int
    faults: tuple[FaultState, ...] = ()
