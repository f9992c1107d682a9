"""A small catalogue whose entries judge parameters for real, and do nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from test_coordination.adapters.parameters import Duration, Parameters, problems
from test_coordination.adapters.shapes import model_shape
from test_coordination.application.capabilities import (
    Catalogue,
    ParameterProblem,
    Probe,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import Receipt, ServiceName


class StopParameters(Parameters):
    grace: Duration = timedelta(seconds=5)


class KillParameters(Parameters):
    pass


class LatencyParameters(Parameters):
    link: str
    delay: Duration
    jitter: Duration = timedelta(0)
    percent: float = Field(default=100.0, gt=0, le=100)


class PostParameters(Parameters):
    url: str
    json_: dict[str, object] = Field(default_factory=dict, alias="json")


def _get(request: str) -> str:
    if not request.startswith("GET "):
        raise ValueError(f"a request such as GET http://… was expected, not {request!r}")
    return request


class HttpParameters(Parameters):
    request: Annotated[str, AfterValidator(_get)]


class SqlParameters(Parameters):
    target: str
    query: str


class ProcessParameters(Parameters):
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Anything that takes parameters; as a fault, action or probe it is of no use."""

    kind: str
    model: type[Parameters]
    fields: Mapping[str, Kind] = field(default_factory=dict)
    measured: str = ""
    unit: str = ""
    summary: str = "does nothing"
    family: str = "nothing"
    undo: str = "nothing is done"
    scalable: frozenset[str] = frozenset()
    repeatable: bool = False

    def problems(
        self,
        parameters: Mapping[str, object],
        *,
        unknown: frozenset[tuple[str | int, ...]] = frozenset(),
    ) -> Sequence[ParameterProblem]:
        return problems(self.model, parameters, unknown)

    def schema(self) -> Mapping[str, object]:
        return model_shape(self.model)

    @property
    def grants(self) -> frozenset[str]:
        raise NotImplementedError

    def needs(self, parameters: Mapping[str, object]) -> frozenset[str]:
        raise NotImplementedError

    async def arm(
        self, topology: Topology, service: ServiceName, parameters: Mapping[str, object]
    ) -> Receipt:
        raise NotImplementedError

    async def inject(self, receipt: Receipt) -> Facts:
        raise NotImplementedError

    async def revert(self, receipt: Receipt) -> Facts:
        raise NotImplementedError

    async def run(self, topology: Topology, parameters: Mapping[str, object]) -> Facts:
        raise NotImplementedError

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        raise NotImplementedError

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> Any:
        raise NotImplementedError


def catalogue() -> Catalogue:
    """Return what the files under `tests/unit/fixtures` may ask for."""
    http = {"status": Kind.INTEGER, "ms": Kind.NUMBER, "body": Kind.ANY}
    faults = [
        Entry(kind="service.stop", model=StopParameters),
        Entry(kind="service.kill", model=KillParameters),
        Entry(kind="service.pause", model=KillParameters),
        Entry(kind="network.latency", model=LatencyParameters, scalable=frozenset({"delay"})),
    ]
    probes = [
        Entry(kind="http", model=HttpParameters, fields=http, measured="ms", unit="ms"),
        Entry(kind="sql", model=SqlParameters, fields={"value": Kind.NUMBER}, measured="value"),
        Entry(kind="process", model=ProcessParameters, fields={"running": Kind.BOOLEAN}),
    ]
    return Catalogue(
        faults={entry.kind: entry for entry in faults},
        actions={"http.post": Entry(kind="http.post", model=PostParameters)},
        probes={entry.kind: entry for entry in probes},
    )
