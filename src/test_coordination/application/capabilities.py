"""What can be done to the world and seen of it: faults, actions, probes, targets, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol

from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import Receipt, ServiceName


@dataclass(eq=False, kw_only=True)
class FaultFailedError(CoordinationError):
    """A fault could not be armed, injected, reverted, or seen to be where it should be."""

    code: ClassVar[str] = "fault.failed"

    fault: str
    service: str
    doing: str
    cause: str

    def __str__(self) -> str:
        return f"{self.fault} on {self.service!r} failed while {self.doing}: {self.cause}"


@dataclass(eq=False, kw_only=True)
class TargetGoneError(CoordinationError):
    """The process that something was aimed at is not there."""

    code: ClassVar[str] = "target.gone"

    service: str
    detail: str

    def __str__(self) -> str:
        return f"service {self.service!r} is not running: {self.detail}; start it first"


@dataclass(eq=False, kw_only=True)
class TargetFailedError(CoordinationError):
    """A service did not do what it was told: it would not start, stop or become healthy."""

    code: ClassVar[str] = "target.failed"

    service: str
    doing: str
    cause: str

    def __str__(self) -> str:
        return f"service {self.service!r} failed while {self.doing}: {self.cause}"


@dataclass(eq=False, kw_only=True)
class ProbeFailedError(CoordinationError):
    """A probe could not read anything: the sample is missing."""

    code: ClassVar[str] = "probe.failed"

    cause: str

    def __str__(self) -> str:
        return self.cause


@dataclass(eq=False, kw_only=True)
class ActionFailedError(CoordinationError):
    """An action was refused, or its answer was not the expected one."""

    code: ClassVar[str] = "action.failed"

    action: str
    cause: str

    def __str__(self) -> str:
        return f"{self.action} failed: {self.cause}"


@dataclass(eq=False, kw_only=True)
class ActionUnknownError(ActionFailedError):
    """Nothing was heard of an action any more: it may have been done or not."""

    code: ClassVar[str] = "action.unknown_outcome"

    def __str__(self) -> str:
        return f"{self.action}: {self.cause}; whether it took effect is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterProblem:
    """What is wrong with one parameter; ``path`` leads to it, and is empty for the whole."""

    path: tuple[str | int, ...]
    text: str
    missing: bool = False


class Parameterised(Protocol):
    """Anything that takes typed parameters from a document."""

    @property
    def kind(self) -> str:
        """Return the name by which documents ask for it."""
        ...

    @property
    def summary(self) -> str:
        """Return what it does, in one line."""
        ...

    def problems(
        self,
        parameters: Mapping[str, object],
        *,
        unknown: frozenset[tuple[str | int, ...]] = frozenset(),
    ) -> Sequence[ParameterProblem]:
        """Return every mistake in ``parameters``; values at ``unknown`` paths come later."""
        ...

    def schema(self) -> Mapping[str, object]:
        """Return the JSON Schema (draft 7) of the parameters, a map, without any expressions.

        Each has a description and examples. ``x-type`` is what people call such a value, and
        ``x-bounds`` says in words between what it must lie where a schema cannot.
        """
        ...

    @property
    def grants(self) -> frozenset[str]:
        """Return what whoever runs this program lets it use, in the words of `routing`."""
        ...

    def needs(self, parameters: Mapping[str, object]) -> frozenset[str]:
        """Return what must be granted where it is done with these, such as ``python shop``."""
        ...


class Fault(Parameterised, Protocol):
    """Something that can be done to a service, and undone by whoever has the receipt."""

    @property
    def family(self) -> str:
        """Return the word for what it does harm to, such as ``service`` or ``link``."""
        ...

    @property
    def undo(self) -> str:
        """Return in one sentence, without a full stop, how it is undone."""
        ...

    @property
    def scalable(self) -> frozenset[str]:
        """Return the parameters that make it stronger as they grow, and bite less if smaller.

        Each is a number, a share, a size or a duration that may be multiplied. A fault that has
        none is in force or not, with nothing between.
        """
        ...

    async def arm(
        self, topology: Topology, service: ServiceName, parameters: Mapping[str, object]
    ) -> Receipt:
        """Look at the target, change nothing, and return a receipt that suffices to revert.

        Raises:
            TargetGoneError: the service is not running.
            FaultFailedError: the fault cannot be injected there, and why.
        """
        ...

    async def inject(self, receipt: Receipt) -> Facts:
        """Put the fault in force; return what shows that it bites.

        Raises:
            FaultFailedError: it does not bite. Part of it may be in force: revert it.
            TargetGoneError: the service is not the one that was armed any more.
        """
        ...

    async def revert(self, receipt: Receipt) -> Facts:
        """Put the target back as it was; return what shows that the fault is gone.

        Reverting twice, or what was never injected, is a success, and the process that reverts
        need not be the one that injected.

        Raises:
            FaultFailedError: the fault is not proven to be gone; repeating it is safe.
        """
        ...


class Action(Parameterised, Protocol):
    """Something that is done once and not undone."""

    @property
    def repeatable(self) -> bool:
        """Tell whether doing it twice is as good as once.

        What is not is never done again by itself once it may have been done.
        """
        ...

    async def run(self, topology: Topology, parameters: Mapping[str, object]) -> Facts:
        """Do it, and return what came of it.

        Raises:
            ActionUnknownError: it may have been done or not.
            ActionFailedError: it was refused, or its outcome is not the expected one.
        """
        ...


class Probe(Protocol):
    """One thing that is looked at again and again."""

    async def read(self) -> Facts:
        """Look once.

        Raises:
            ProbeFailedError: nothing could be read, and why.
        """
        ...


class ProbeKind(Parameterised, Protocol):
    """A way of looking at a system."""

    @property
    def fields(self) -> Mapping[str, Kind]:
        """Return what a reading holds, and the kind of each."""
        ...

    @property
    def measured(self) -> str:
        """Return the numeric field that figures such as percentiles are made of."""
        ...

    @property
    def unit(self) -> str:
        """Return the unit of the measured field, as it ends the names of its figures."""
        ...

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        """Lend a probe; each of its readings takes ``timeout`` at most."""
        ...

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> object:
        """Return all that is there to be seen, as JSON can carry it, for a snapshot.

        Raises:
            ProbeFailedError: nothing could be read, and why.
        """
        ...


class ServiceStatus(StrEnum):
    """What a service's process is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """What can be seen of a service; ``born`` names the process beyond its pid."""

    status: ServiceStatus
    pid: int | None = None
    born: str = ""
    healthy: bool = False
    started_at: datetime | None = None
    detail: str = ""


Handle = str
"""Where a service is to be found again, from any process on its machine; opaque."""


class ServiceControl(Protocol):
    """Starts, stops and watches services.

    Handles are good for other processes and later ones: what is needed to start a service
    again is kept where the handle points to, so that an undo needs no topology.
    """

    def locate(self, topology: Topology, service: ServiceName) -> Handle:
        """Return the handle of a service; nothing is looked at."""
        ...

    async def observe(self, handle: Handle) -> ServiceState:
        """Return what the service is doing now, its health included."""
        ...

    async def start(self, handle: Handle) -> ServiceState:
        """Start the service unless it runs, and return when it is healthy.

        Raises:
            TargetFailedError: it ended, or was not healthy in time; its log's end is quoted.
        """
        ...

    async def stop(self, handle: Handle, *, grace: timedelta) -> None:
        """Ask the service to end, and end it after ``grace``; return when no process is left.

        Raises:
            TargetFailedError: some of its processes would not go, as for `kill`.
        """
        ...

    async def kill(self, handle: Handle) -> None:
        """End every process of the service at once; return when none is left."""
        ...

    async def pause(self, handle: Handle) -> None:
        """Freeze every process of the service where it stands.

        Raises:
            TargetGoneError: it is not running.
            TargetFailedError: some of its processes still run.
        """
        ...

    async def resume(self, handle: Handle) -> None:
        """Let every process of the service go on; what is not paused is left alone.

        Raises:
            TargetFailedError: some of its processes still stand still.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDelay:
    """Latency on a link: ``delay`` plus or minus ``jitter``, each way that it is given for."""

    delay: timedelta
    jitter: timedelta = timedelta(0)
    direction: str = "both"
    share: float = 1.0
    """The fraction of connections that it hits."""


class LinkControl(Protocol):
    """Changes what the proxies on a system's links do.

    What is added lasts while the worker that added it lives; nothing has to be undone after it.
    """

    async def delay(self, control: str, link: str, *, fault: str, latency: LinkDelay) -> Facts:
        """Add latency under the name ``fault`` by the control socket at ``control``.

        Raises:
            TargetFailedError: the proxies do not answer, or refuse; nothing is in force.
        """
        ...

    async def clear(self, control: str, link: str, *, fault: str) -> Facts:
        """Take away what was added under that name; return once it is seen to be gone.

        Unknown names are a success, and so are proxies that do not run.

        Raises:
            TargetFailedError: the proxies do not answer, so it may be in force.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All that a scenario may ask for, by name."""

    faults: Mapping[str, Fault] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)
    probes: Mapping[str, ProbeKind] = field(default_factory=dict)

    @property
    def repeatable(self) -> frozenset[str]:
        """Return the kinds of actions that may be done again."""
        return frozenset(kind for kind, action in self.actions.items() if action.repeatable)
