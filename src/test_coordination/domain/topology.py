"""What there is to be broken: services, the links between them, and where their state lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, Final

from test_coordination.domain.errors import CoordinationError, Mark, suggestion
from test_coordination.domain.expressions import Expression
from test_coordination.domain.scenario import BlastRadius
from test_coordination.domain.values import CheckId, ServiceName
from test_coordination.domain.verdicts import Severity

HEALTH_TIMEOUT_DEFAULT: Final = timedelta(seconds=30)
STOP_GRACE_DEFAULT: Final = timedelta(seconds=5)


class StopSignal(StrEnum):
    """What a service understands as the request to end in order."""

    TERM = "TERM"
    INT = "INT"
    QUIT = "QUIT"


class Criticality(StrEnum):
    """How much it hurts when a service is gone."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where something listens for TCP connections."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How to see that a service is ready; exactly one way is given.

    ``http`` is a path on the port named ``http`` that must answer with 2xx; ``tcp`` the name of
    a port that must accept a connection; ``unix`` a socket that must. Without any, a service is
    healthy while its process lives. ``timeout`` counts from the start of the process.
    """

    http: str | None = None
    tcp: str | None = None
    unix: str | None = None
    timeout: timedelta = HEALTH_TIMEOUT_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSource:
    """One part of what a snapshot of a service holds: a probe kind and its parameters."""

    kind: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process that the topology describes; ports are on the loopback address.

    ``tags`` are the author's own, by which scenarios choose among services.
    """

    name: ServiceName
    mark: Mark
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str | None = None
    ports: Mapping[str, Address] = field(default_factory=dict)
    health: Health = Health()
    depends_on: tuple[ServiceName, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    criticality: Criticality = Criticality.NORMAL
    protect: bool = False
    stop_grace: timedelta = STOP_GRACE_DEFAULT
    stop_signal: StopSignal = StopSignal.TERM
    state: Mapping[str, StateSource] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A TCP connection that one service has to another, through the coordinator's proxy."""

    name: str
    mark: Mark
    source: ServiceName
    target: ServiceName
    listen: Address
    upstream: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A database that SQL probes may query; ``url`` may hold a password and is never shown."""

    name: str
    mark: Mark
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """What must be true of a snapshot of the whole system."""

    id: CheckId
    expression: Expression
    severity: Severity = Severity.NORMAL


@dataclass(eq=False, kw_only=True)
class UnknownServiceError(CoordinationError):
    """Somebody asks for a service that the topology does not have."""

    code: ClassVar[str] = "topology.unknown_service"

    name: str
    known: frozenset[str]
    mark: Mark | None = None

    def __str__(self) -> str:
        where = f"{self.mark}: " if self.mark else ""
        return f"{where}no service is named {self.name!r}; {suggestion(self.name, self.known)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """One system under test; ``directory`` holds the state of its services on this machine.

    ``blast_radius`` is the most that the faults of all executions together may hit at a time,
    ``pools`` how many slots there are of what executions share.
    """

    name: str
    file: str
    directory: str
    services: Mapping[ServiceName, Service] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    stores: Mapping[str, Store] = field(default_factory=dict)
    invariants: tuple[Invariant, ...] = ()
    blast_radius: BlastRadius | None = None
    pools: Mapping[str, int] = field(default_factory=dict)

    @property
    def services_max(self) -> int | None:
        """Return how many services may be hit at a time, by whomever; None if any number may."""
        radius, limits = self.blast_radius, list[int]()
        if radius is not None and radius.services is not None:
            limits.append(radius.services)
        if radius is not None and radius.percent is not None:
            limits.append(int(radius.percent * len(self.services) / 100))
        return min(limits, default=None)

    def service(self, name: str, *, mark: Mark | None = None) -> Service:
        """Return the service of that name.

        Raises:
            UnknownServiceError: there is none; the nearest name is suggested.
        """
        found = self.services.get(ServiceName(name))
        if found is None:
            raise UnknownServiceError(name=name, known=frozenset(self.services), mark=mark)
        return found

    def in_order(self) -> tuple[Service, ...]:
        """Return the services so that each stands after those it depends on.

        Circles have been refused when the topology was read.
        """
        ordered: dict[ServiceName, Service] = {}

        def place(service: Service) -> None:
            if service.name in ordered:
                return
            for name in service.depends_on:
                place(self.services[name])
            ordered[service.name] = service

        for service in self.services.values():
            place(service)
        return tuple(ordered.values())

    def addresses(self) -> frozenset[str]:
        """Return each ``host:port`` of this system, its links included."""
        own = {str(at) for service in self.services.values() for at in service.ports.values()}
        return frozenset(own | {str(link.listen) for link in self.links.values()})
