"""Looking by a function of somebody else's, contained in a process of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import ClassVar, Final

import anyio

from test_coordination.adapters.isolation.asked import Asked, Calling
from test_coordination.adapters.isolation.calls import CallFailedError, PythonCalls
from test_coordination.adapters.parameters import InvalidParametersError, parse
from test_coordination.application.capabilities import Probe, ProbeFailedError
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import format_bytes

READING_BYTES_MAX: Final = 4 * 1024
"""How large a reading may be, as JSON: there are thousands of them."""
CAPTURE_LIMIT: Final = timedelta(seconds=10)


class PythonProbe(Calling):
    """What a function returns: a number, or anything else that JSON carries."""

    kind: ClassVar[str] = "python"
    summary: ClassVar[str] = "call a function of Python in a process of its own at every look"
    fields: ClassVar[Mapping[str, Kind]] = MappingProxyType({"value": Kind.ANY, "ms": Kind.NUMBER})
    measured: ClassVar[str] = "value"
    unit: ClassVar[str] = ""
    model: ClassVar[type[Asked]] = Asked

    def __init__(self, calls: PythonCalls) -> None:
        self._calls = calls
        self.allowance = calls.allowance

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        """See `ProbeKind.open`."""
        del topology
        return _opened(_Reader(self._calls, parameters, timeout=timeout))

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> object:
        """See `ProbeKind.capture`: what the function returns."""
        del topology
        return await _called(self._calls, parameters, limit=CAPTURE_LIMIT)


class _Reader:
    def __init__(
        self, calls: PythonCalls, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> None:
        self._calls = calls
        self._parameters = parameters
        self._timeout = timeout

    async def read(self) -> Facts:
        """See `Probe.read`."""
        began = anyio.current_time()
        value = await _called(self._calls, self._parameters, limit=self._timeout)
        if len(json.dumps(value)) > READING_BYTES_MAX:
            most = format_bytes(READING_BYTES_MAX)
            cause = f"the function returned more than {most} of JSON; return a number or a summary"
            raise ProbeFailedError(cause=cause)
        return {"value": value, "ms": round((anyio.current_time() - began) * 1000, 1)}


@asynccontextmanager
async def _opened(reader: _Reader) -> AsyncGenerator[_Reader]:
    yield reader


async def _called(
    calls: PythonCalls, parameters: Mapping[str, object], *, limit: timedelta
) -> object:
    try:
        return await calls.call(parse(Asked, parameters).within(limit))
    except (InvalidParametersError, CallFailedError) as error:
        raise ProbeFailedError(cause=str(error)) from error
