"""Starting and stopping a service for good, as opposed to a fault that is undone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
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
    ActionFailedError,
    Handle,
    ServiceControl,
    TargetFailedError,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.topology import Service, Topology, UnknownServiceError

GRACE_MAX: Final = timedelta(minutes=10)


class Named(Parameters):
    """Which service."""

    service: str = Field(description="the service that is meant", examples=["exchange"])


class Ending(Named):
    """Which service, and how long it may take to end by itself; its own grace by default."""

    grace: Annotated[Duration, bounds(least=timedelta(0), most=GRACE_MAX)] | None = Field(
        default=None,
        description="how long the service may take to end by itself before it is killed; if left "
        "out, its 'stop_grace' in the topology",
        examples=["2s"],
    )


class _ServiceAction(Typed, ABC):
    """What the actions of this family have in common: all but what they do."""

    kind: ClassVar[str]
    summary: ClassVar[str]
    model: ClassVar[type[Named]] = Named
    ends_it: ClassVar[bool] = True
    repeatable: ClassVar[bool] = True

    def __init__(self, services: ServiceControl) -> None:
        self._services = services

    async def run(self, topology: Topology, parameters: Mapping[str, object]) -> Facts:
        """See `Action.run`; what already is as it should be is left alone, and a success."""
        try:
            named = parse(self.model, parameters)
            service = topology.service(named.service)
            if service.protect and self.ends_it:
                cause = f"the topology protects {service.name!r} (protect: true)"
                raise ActionFailedError(action=self.kind, cause=cause)
            handle = self._services.locate(topology, service.name)
            return await self._do(handle, _grace(named, service))
        except (InvalidParametersError, UnknownServiceError, TargetFailedError) as error:
            raise ActionFailedError(action=self.kind, cause=str(error)) from error

    @abstractmethod
    async def _do(self, handle: Handle, grace: timedelta) -> Facts:
        """Do it to the service, and return what came of it."""

    async def _start(self, handle: Handle) -> Facts:
        began = anyio.current_time()
        state = await self._services.start(handle)
        return {"pid": state.pid, "healthy_in_ms": _elapsed_ms(began)}

    async def _stop(self, handle: Handle, grace: timedelta) -> Facts:
        began = anyio.current_time()
        await self._services.stop(handle, grace=grace)
        return {"stopped_in_ms": _elapsed_ms(began)}


class StartService(_ServiceAction):
    """Start a service unless it runs, and wait until it is healthy."""

    kind = "service.start"
    summary = "start a service and wait until it is healthy"
    ends_it = False

    async def _do(self, handle: Handle, grace: timedelta) -> Facts:  # noqa: ARG002 - it ends nothing
        return await self._start(handle)


class StopService(_ServiceAction):
    """Stop a service in an orderly way; nothing starts it again by itself."""

    kind = "service.stop"
    summary = "stop a service in an orderly way and leave it stopped"
    model = Ending

    async def _do(self, handle: Handle, grace: timedelta) -> Facts:
        return await self._stop(handle, grace)


class RestartService(_ServiceAction):
    """Stop a service in an orderly way and start it again."""

    kind = "service.restart"
    summary = "stop a service in an orderly way, start it and wait until it is healthy"
    model = Ending

    async def _do(self, handle: Handle, grace: timedelta) -> Facts:
        return {**await self._stop(handle, grace), **await self._start(handle)}


def _grace(named: Named, service: Service) -> timedelta:
    given = named.grace if isinstance(named, Ending) else None
    return service.stop_grace if given is None else given


def _elapsed_ms(began: float) -> float:
    return round((anyio.current_time() - began) * 1000, 1)
