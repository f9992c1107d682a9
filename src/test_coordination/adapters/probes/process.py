"""Looking at the process of a service: whether it runs, and what it uses."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import ClassVar

import anyio
import psutil
from anyio import to_thread
from pydantic import Field

from test_coordination.adapters.parameters import (
    InvalidParametersError,
    Parameters,
    Typed,
    parse,
)
from test_coordination.application.capabilities import (
    Handle,
    Probe,
    ProbeFailedError,
    ServiceControl,
    ServiceState,
    ServiceStatus,
    TargetFailedError,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.topology import Topology, UnknownServiceError


class Watched(Parameters):
    """Which service is looked at."""

    service: str = Field(
        description="the service whose processes are watched", examples=["exchange"]
    )


class ProcessProbe(Typed):
    """The processes of a service, all that descend from its first one together.

    A paused service runs: it holds its memory, and is not healthy. ``healthy`` is what the
    topology's own check of the service says. ``cpu_percent`` is of one core, since the last
    reading; the first reading of a process has none. ``restarts`` counts those seen by this
    probe.
    """

    kind: ClassVar[str] = "process"
    summary: ClassVar[str] = "watch a service's processes: running, memory, processor, threads"
    fields: ClassVar[Mapping[str, Kind]] = MappingProxyType(
        {
            "running": Kind.BOOLEAN,
            "healthy": Kind.BOOLEAN,
            "pid": Kind.INTEGER,
            "rss_bytes": Kind.INTEGER,
            "cpu_percent": Kind.NUMBER,
            "threads": Kind.INTEGER,
            "restarts": Kind.INTEGER,
        }
    )
    measured: ClassVar[str] = "rss_bytes"
    unit: ClassVar[str] = "bytes"
    model: ClassVar[type[Parameters]] = Watched

    def __init__(self, services: ServiceControl) -> None:
        self._services = services

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        """See `ProbeKind.open`."""
        return _opened(self._services, topology, parameters, limit=timeout)

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> object:
        """See `ProbeKind.capture`: a reading, and since when it runs and whether it is healthy."""
        handle = _located(self._services, topology, parameters)
        state = await _observed(self._services, handle)
        usage = await to_thread.run_sync(_usage, state.pid)
        return {
            "running": state.status is not ServiceStatus.STOPPED,
            "status": state.status.value,
            "healthy": state.healthy,
            "pid": state.pid,
            "started_at": state.started_at.isoformat() if state.started_at else None,
            "rss_bytes": usage.rss_bytes,
            "threads": usage.threads,
        }


class _Usage:
    def __init__(self, *, rss_bytes: int = 0, threads: int = 0, cpu_s: float = 0.0) -> None:
        self.rss_bytes = rss_bytes
        self.threads = threads
        self.cpu_s = cpu_s


def _usage(pid: int | None) -> _Usage:
    total = _Usage()
    try:
        first = psutil.Process(pid) if pid is not None else None
        family = [first, *first.children(recursive=True)] if first else []
    except psutil.Error:
        return total
    for process in family:
        try:
            with process.oneshot():
                cpu = process.cpu_times()
                total.rss_bytes += process.memory_info().rss
                total.threads += process.num_threads()
                total.cpu_s += cpu.user + cpu.system
        except psutil.Error:
            continue
    return total


class _Reader:
    def __init__(
        self,
        services: ServiceControl,
        topology: Topology,
        parameters: Mapping[str, object],
        *,
        limit: timedelta,
    ) -> None:
        self._services = services
        self._topology = topology
        self._parameters = parameters
        self._limit_s = limit.total_seconds()
        self._born = ""
        self._restarts = 0
        self._cpu_s = 0.0
        self._at = 0.0

    async def read(self) -> Facts:
        """See `Probe.read`."""
        handle = _located(self._services, self._topology, self._parameters)
        try:
            with anyio.fail_after(self._limit_s):
                state = await _observed(self._services, handle)
                usage = await to_thread.run_sync(_usage, state.pid)
        except TimeoutError as error:
            cause = f"the service could not be looked at within {self._limit_s:g} s"
            raise ProbeFailedError(cause=cause) from error
        return self._reading(state, usage)

    def _reading(self, state: ServiceState, usage: _Usage) -> Facts:
        reading: dict[str, object] = {
            "running": state.status is not ServiceStatus.STOPPED,
            "healthy": state.healthy,
            "rss_bytes": usage.rss_bytes,
            "threads": usage.threads,
        }
        now = anyio.current_time()
        if state.pid is not None:
            reading["pid"] = state.pid
            if state.born == self._born and now > self._at:
                used_s = max(usage.cpu_s - self._cpu_s, 0.0)
                reading["cpu_percent"] = round(100 * used_s / (now - self._at), 1)
            elif self._born and state.born != self._born:
                self._restarts += 1
            self._born, self._cpu_s, self._at = state.born, usage.cpu_s, now
        return {**reading, "restarts": self._restarts}


@asynccontextmanager
async def _opened(
    services: ServiceControl,
    topology: Topology,
    parameters: Mapping[str, object],
    *,
    limit: timedelta,
) -> AsyncGenerator[_Reader]:
    yield _Reader(services, topology, parameters, limit=limit)


def _located(
    services: ServiceControl, topology: Topology, parameters: Mapping[str, object]
) -> Handle:
    try:
        service = topology.service(parse(Watched, parameters).service)
    except (InvalidParametersError, UnknownServiceError) as error:
        raise ProbeFailedError(cause=str(error)) from error
    return services.locate(topology, service.name)


async def _observed(services: ServiceControl, handle: Handle) -> ServiceState:
    try:
        return await services.observe(handle)
    except TargetFailedError as error:
        raise ProbeFailedError(cause=str(error)) from error
