"""A fault of a link: what goes over it arrives late."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

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
    LinkControl,
    LinkDelay,
    TargetFailedError,
)
from test_coordination.application.ports import Identities
from test_coordination.domain.errors import suggestion
from test_coordination.domain.evidence import Facts
from test_coordination.domain.topology import Link, Topology
from test_coordination.domain.values import Receipt, ServiceName

DELAY_MAX: Final = timedelta(minutes=1)
MILLISECOND: Final = timedelta(milliseconds=1)


class Slow(Parameters):
    """How late, and on which link; needed only where several links lead to the service.

    ``delay`` plus or minus ``jitter`` counts for each way on its own; ``share`` is the fraction
    of connections that it hits.
    """

    delay: Annotated[Duration, bounds(above=timedelta(0), most=DELAY_MAX)] = Field(
        description="how much later everything arrives, each way", examples=["200ms"]
    )
    jitter: Annotated[Duration, bounds(least=timedelta(0), most=DELAY_MAX)] = Field(
        default=timedelta(0),
        description="by how much the delay varies at most, up and down, by chance",
        examples=["50ms"],
    )
    direction: Literal["both", "up", "down"] = Field(
        default="both",
        description="what is late: requests (up, towards the service), answers (down), or both",
        examples=["down"],
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="the fraction of connections that it hits", examples=[0.25]
    )
    link: str | None = Field(
        default=None,
        description="the link of the topology; needed where several lead to the service",
        examples=["shop-bank"],
    )
    source: str | None = Field(
        default=None,
        alias="from",
        description="the service from which the link comes, in place of the link's name",
        examples=["shop"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Armed:
    """What a receipt holds; ``fault`` is the name under which the proxies know it."""

    service: str
    control: str
    link: str
    fault: str
    delay_ms: float
    jitter_ms: float
    direction: str
    share: float


class SlowLink(Typed):
    """Delay what goes over a link to a service; the connections that live are slowed too.

    It lasts while the worker lives that injected it. ``socket_of`` tells by which socket the
    proxies of a topology are controlled.
    """

    kind: ClassVar[str] = "latency"
    summary: ClassVar[str] = "delay what goes over a link to the service"
    family: ClassVar[str] = "link"
    undo: ClassVar[str] = "the link's proxy lets everything pass without delay again"
    scalable: ClassVar[frozenset[str]] = frozenset({"delay", "jitter"})
    model: ClassVar[type[Parameters]] = Slow

    def __init__(
        self, links: LinkControl, *, identities: Identities, socket_of: Callable[[Topology], str]
    ) -> None:
        self._links = links
        self._identities = identities
        self._socket_of = socket_of

    async def arm(
        self, topology: Topology, service: ServiceName, parameters: Mapping[str, object]
    ) -> Receipt:
        """See `Fault.arm`."""
        try:
            slow = parse(Slow, parameters)
        except InvalidParametersError as error:
            raise _failed(service, "being armed", str(error)) from error
        armed = _Armed(
            service=service,
            control=self._socket_of(topology),
            link=_chosen(topology, service, slow).name,
            fault=f"latency-{self._identities.new()}",
            delay_ms=slow.delay / MILLISECOND,
            jitter_ms=slow.jitter / MILLISECOND,
            direction=slow.direction,
            share=slow.share,
        )
        return Receipt(json.dumps(asdict(armed)))

    async def inject(self, receipt: Receipt) -> Facts:
        """See `Fault.inject`."""
        armed = _Armed(**json.loads(receipt))
        latency = LinkDelay(
            delay=armed.delay_ms * MILLISECOND,
            jitter=armed.jitter_ms * MILLISECOND,
            direction=armed.direction,
            share=armed.share,
        )
        try:
            facts = await self._links.delay(
                armed.control, armed.link, fault=armed.fault, latency=latency
            )
        except TargetFailedError as error:
            raise _failed(armed.service, "being injected", str(error)) from error
        return {"link": armed.link, "delay_ms": armed.delay_ms, **facts}

    async def revert(self, receipt: Receipt) -> Facts:
        """See `Fault.revert`."""
        armed = _Armed(**json.loads(receipt))
        try:
            facts = await self._links.clear(armed.control, armed.link, fault=armed.fault)
        except TargetFailedError as error:
            raise _failed(armed.service, "being reverted", str(error)) from error
        return {"link": armed.link, **facts}


def _chosen(topology: Topology, service: ServiceName, slow: Slow) -> Link:
    leading = [one for one in topology.links.values() if one.target == service]
    if not leading:
        raise _failed(service, "being armed", "no link leads to it; declare one in the topology")
    names, sources = [one.name for one in leading], [one.source for one in leading]
    if slow.link is not None and slow.link not in names:
        cause = f"no link to it is named {slow.link!r}; {suggestion(slow.link, names)}"
        raise _failed(service, "being armed", cause)
    if slow.source is not None and slow.source not in sources:
        cause = f"no link leads to it from {slow.source!r}; {suggestion(slow.source, sources)}"
        raise _failed(service, "being armed", cause)
    fitting = [
        one
        for one in leading
        if slow.link in {None, one.name} and slow.source in {None, one.source}
    ]
    if len(fitting) == 1:
        return fitting[0]
    cause = f"{len(fitting)} links fit; choose one by 'link': {', '.join(sorted(names))}"
    raise _failed(service, "being armed", cause)


def _failed(service: str, doing: str, cause: str) -> FaultFailedError:
    return FaultFailedError(fault=SlowLink.kind, service=service, doing=doing, cause=cause)
