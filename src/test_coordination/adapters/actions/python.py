"""Doing something by a function of somebody else's, contained in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final

import anyio
from pydantic import Field

from test_coordination.adapters.isolation.asked import Asked, Calling
from test_coordination.adapters.isolation.calls import (
    CallFailedError,
    CallUnknownError,
    PythonCalls,
)
from test_coordination.adapters.parameters import (
    Duration,
    InvalidParametersError,
    bounds,
    parse,
)
from test_coordination.application.capabilities import ActionFailedError, ActionUnknownError
from test_coordination.domain.evidence import Facts
from test_coordination.domain.topology import Topology

TIMEOUT_DEFAULT: Final = timedelta(seconds=30)
TIMEOUT_MAX: Final = timedelta(hours=1)


class Deed(Asked):
    """Which function is called, and how long it may take."""

    timeout: Annotated[Duration, bounds(above=timedelta(0), most=TIMEOUT_MAX)] = Field(
        default=TIMEOUT_DEFAULT,
        description="how long it may take, in time and in processor time, before it is ended",
        examples=["2m"],
    )


class CallPython(Calling):
    """Call a function; what it returns is recorded."""

    kind: ClassVar[str] = "python"
    summary: ClassVar[str] = "call a function of Python in a process of its own, under limits"
    model: ClassVar[type[Deed]] = Deed
    repeatable: ClassVar[bool] = False

    def __init__(self, calls: PythonCalls) -> None:
        self._calls = calls
        self.allowance = calls.allowance

    async def run(self, topology: Topology, parameters: Mapping[str, object]) -> Facts:
        """See `Action.run`; ``value`` is what the function returned."""
        del topology
        began = anyio.current_time()
        try:
            deed = parse(Deed, parameters)
            value = await self._calls.call(deed.within(deed.timeout))
        except CallUnknownError as error:
            cause = f"{error.call} {error.cause}"
            raise ActionUnknownError(action=self.kind, cause=cause) from error
        except (InvalidParametersError, CallFailedError) as error:
            raise ActionFailedError(action=self.kind, cause=str(error)) from error
        return {"value": value, "ms": round((anyio.current_time() - began) * 1000, 1)}
