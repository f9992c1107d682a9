"""How links say no."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from test_coordination.domain.errors import CoordinationError, suggestion


@dataclass(eq=False, kw_only=True)
class LinksUnreachableError(CoordinationError):
    """The process that carries the links did not answer in time, or broke off.

    Whatever was asked for through the connection that broke is not in force any more, or will
    stop being so the moment the process reads that it is closed: a fault ends with its connection.
    """

    code: ClassVar[str] = "links.unreachable"

    control: Path
    doing: str
    cause: str

    def __str__(self) -> str:
        return (
            f"no answer from the links at {str(self.control)!r} while {self.doing} ({self.cause}); "
            "faults asked for through this connection end with it; check that the links' process "
            "runs, then repeat"
        )


@dataclass(eq=False, kw_only=True)
class UnknownLinkError(CoordinationError):
    """A fault was asked for on a link that this process does not carry."""

    code: ClassVar[str] = "links.unknown_link"

    link: str
    known: frozenset[str]

    def __str__(self) -> str:
        return f"no link is named {self.link!r}; {suggestion(self.link, self.known)}"


@dataclass(eq=False, kw_only=True)
class LinkRefusedError(CoordinationError):
    """The links' process understood who asked, and declined; nothing was changed."""

    code: ClassVar[str] = "links.refused"

    reason: str

    def __str__(self) -> str:
        return f"the links refused: {self.reason}"


@dataclass(eq=False, kw_only=True)
class FaultNotHeldError(CoordinationError):
    """A lease cannot be renewed: the fault expired, was removed, or was taken over."""

    code: ClassVar[str] = "links.fault_not_held"

    link: str
    fault: str

    def __str__(self) -> str:
        return (
            f"fault {self.fault!r} on link {self.link!r} is not held by this connection; "
            "it expired, was removed or was taken over, so add it again if it is still wanted"
        )


@dataclass(eq=False, kw_only=True)
class MalformedRequestError(CoordinationError):
    """A line on the control socket is no request; nothing was changed."""

    code: ClassVar[str] = "links.malformed"

    reason: str

    def __str__(self) -> str:
        return f"malformed request: {self.reason}"


@dataclass(eq=False, kw_only=True)
class InvalidLatencyError(CoordinationError):
    """A latency that cannot be, or would do nothing."""

    code: ClassVar[str] = "links.invalid_latency"

    reason: str

    def __str__(self) -> str:
        return f"impossible latency: {self.reason}"


@dataclass(eq=False, kw_only=True)
class InvalidLinkError(CoordinationError):
    """A link that cannot be."""

    code: ClassVar[str] = "links.invalid_link"

    link: str
    reason: str

    def __str__(self) -> str:
        return f"link {self.link!r} cannot be carried: {self.reason}"


@dataclass(eq=False, kw_only=True)
class CannotListenError(CoordinationError):
    """A socket could not be opened for listening; ``what`` names the link or the control."""

    code: ClassVar[str] = "links.cannot_listen"

    what: str
    address: str
    cause: str

    def __str__(self) -> str:
        return (
            f"{self.what} cannot listen on {self.address!r} ({self.cause}); "
            "end what holds the address or choose another"
        )
