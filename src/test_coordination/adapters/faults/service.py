"""Faults of a whole service: stopped, restarted, killed, paused."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Final

import anyio
from pydantic import Field

from test_coordination.adapters.parameters import (
    Duration,
    InvalidParametersError,
    Parameters,
    Typed,
    bounds,
    parse,
)
from test_coordination.application.capabilities import (
    FaultFailedError,
    Handle,
    ServiceControl,
    ServiceState,
    ServiceStatus,
    TargetFailedError,
    TargetGoneError,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.topology import STOP_GRACE_DEFAULT, Topology
from test_coordination.domain.values import Receipt, ServiceName

GRACE_MAX: Final = timedelta(minutes=10)


class Nothing(Parameters):
    """A fault without parameters."""


class Orderly(Parameters):
    """How long a service may take to end by itself; its own grace if none is given."""

    grace: Annotated[Duration, bounds(least=timedelta(0), most=GRACE_MAX)] | None = Field(
        default=None,
        description="how long the service may take to end by itself before it is killed; if left "
        "out, its 'stop_grace' in the topology",
        examples=["2s"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Armed:
    """What a receipt holds: the service, and the process that it was when armed."""

    service: str
    handle: Handle
    pid: int | None
    born: str
    grace_s: float

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_s)


class _ServiceFault(Typed, ABC):
    """What the faults of this family have in common: all but how they bite."""

    kind: ClassVar[str]
    summary: ClassVar[str]
    family: ClassVar[str] = "service"
    undo: ClassVar[str] = "the service is started again, and waited for until it is healthy"
    scalable: ClassVar[frozenset[str]] = frozenset()
    model: ClassVar[type[Parameters]] = Nothing

    def __init__(self, services: ServiceControl) -> None:
        self._services = services

    async def arm(
        self, topology: Topology, service: ServiceName, parameters: Mapping[str, object]
    ) -> Receipt:
        """See `Fault.arm`."""
        try:
            typed = parse(self.model, parameters)
        except InvalidParametersError as error:
            raise self._failed(service, "being armed", str(error)) from error
        grace = typed.grace if isinstance(typed, Orderly) else None
        if grace is None:
            known = topology.services.get(service)
            grace = known.stop_grace if known else STOP_GRACE_DEFAULT
        handle = self._services.locate(topology, service)
        state = await self._observed(service, handle, doing="being armed")
        if state.status is not ServiceStatus.RUNNING:
            raise TargetGoneError(service=service, detail=state.detail or f"it is {state.status}")
        armed = _Armed(
            service=service,
            handle=handle,
            pid=state.pid,
            born=state.born,
            grace_s=grace.total_seconds(),
        )
        return Receipt(json.dumps(asdict(armed)))

    async def inject(self, receipt: Receipt) -> Facts:
        """See `Fault.inject`."""
        armed = _Armed(**json.loads(receipt))
        state = await self._observed(armed.service, armed.handle, doing="being injected")
        if state.status is ServiceStatus.STOPPED or state.born != armed.born:
            detail = f"process {armed.pid}, which was armed, has ended"
            raise TargetGoneError(service=armed.service, detail=detail)
        try:
            return await self._bite(armed)
        except TargetFailedError as error:
            raise self._failed(armed.service, "being injected", str(error)) from error

    async def revert(self, receipt: Receipt) -> Facts:
        """See `Fault.revert`; a process that somebody else put in its place is left alone."""
        armed = _Armed(**json.loads(receipt))
        began = anyio.current_time()
        try:
            await self._let_go(armed)
            state = await self._services.observe(armed.handle)
            if state.status is ServiceStatus.PAUSED:
                # It is there, so nothing of ours is in force; who paused it lets it go.
                return {"pid": state.pid, "replaced": state.born != armed.born, "paused": True}
            state = await self._services.start(armed.handle)
        except TargetFailedError as error:
            raise self._failed(armed.service, "being reverted", str(error)) from error
        return {
            "pid": state.pid,
            "replaced": state.born != armed.born,
            "healthy_in_ms": elapsed_ms(began),
        }

    @abstractmethod
    async def _bite(self, armed: _Armed) -> Facts:
        """Put the fault in force, and return what shows that it bites."""

    async def _let_go(self, armed: _Armed) -> None:
        """Undo what starting the service does not."""

    async def _proof(self, armed: _Armed, wanted: ServiceStatus) -> None:
        state = await self._observed(armed.service, armed.handle, doing="being verified")
        if state.status is not wanted:
            raise self._failed(armed.service, "being verified", f"the service is {state.status}")
        if state.healthy:
            cause = f"the service is {wanted}, yet its health address still answers"
            raise self._failed(armed.service, "being verified", cause)

    async def _observed(self, service: str, handle: Handle, *, doing: str) -> ServiceState:
        try:
            return await self._services.observe(handle)
        except TargetFailedError as error:
            raise self._failed(service, doing, str(error)) from error

    def _failed(self, service: str, doing: str, cause: str) -> FaultFailedError:
        return FaultFailedError(fault=self.kind, service=service, doing=doing, cause=cause)


class StopService(_ServiceFault):
    """Ask a service to end, end it after its grace, and start it again to undo that."""

    kind = "service.stop"
    summary = "stop a service in an orderly way; undone by starting it"
    model = Orderly

    async def _bite(self, armed: _Armed) -> Facts:
        began = anyio.current_time()
        await self._services.stop(armed.handle, grace=armed.grace)
        took_ms = elapsed_ms(began)
        await self._proof(armed, ServiceStatus.STOPPED)
        return {"pid": armed.pid, "stopped_in_ms": took_ms}


class KillService(_ServiceFault):
    """End all processes of a service with SIGKILL, and start it again to undo that."""

    kind = "service.kill"
    summary = "kill a service at once (SIGKILL); undone by starting it"

    async def _bite(self, armed: _Armed) -> Facts:
        began = anyio.current_time()
        await self._services.kill(armed.handle)
        took_ms = elapsed_ms(began)
        await self._proof(armed, ServiceStatus.STOPPED)
        return {"pid": armed.pid, "killed_in_ms": took_ms}


class PauseService(_ServiceFault):
    """Freeze all processes of a service with SIGSTOP until it is undone."""

    kind = "service.pause"
    summary = "freeze a service where it stands (SIGSTOP); undone by SIGCONT"
    undo = "the processes of the service go on where they stood (SIGCONT)"

    async def _bite(self, armed: _Armed) -> Facts:
        began = anyio.current_time()
        await self._services.pause(armed.handle)
        took_ms = elapsed_ms(began)
        await self._proof(armed, ServiceStatus.PAUSED)
        return {"pid": armed.pid, "paused_in_ms": took_ms}

    async def _let_go(self, armed: _Armed) -> None:
        state = await self._services.observe(armed.handle)
        # Also when it seems to run: an injection that broke off may have frozen some of it.
        if state.born == armed.born:
            await self._services.resume(armed.handle)


class RestartService(_ServiceFault):
    """Stop a service and start it: what bites is the time between, and what was in memory."""

    kind = "service.restart"
    summary = "stop a service in an orderly way and start it at once"
    undo = "the service is started by the fault itself, and again if it does not run"
    model = Orderly

    async def _bite(self, armed: _Armed) -> Facts:
        began = anyio.current_time()
        await self._services.stop(armed.handle, grace=armed.grace)
        stopped_ms = elapsed_ms(began)
        await self._proof(armed, ServiceStatus.STOPPED)
        began = anyio.current_time()
        state = await self._services.start(armed.handle)
        if state.born == armed.born:
            cause = f"process {armed.pid} runs on"
            raise self._failed(armed.service, "being verified", cause)
        return {
            "pid": armed.pid,
            "stopped_in_ms": stopped_ms,
            "pid_after": state.pid,
            "healthy_in_ms": elapsed_ms(began),
        }


def elapsed_ms(began: float) -> float:
    """Return the milliseconds since ``began``, a time of the running loop's clock."""
    return round((anyio.current_time() - began) * 1000, 1)
