"""Looking at a system by HTTP: how a page answers, how soon, and what it says."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Protocol

from pydantic import AfterValidator, Field, WithJsonSchema

from test_coordination.adapters.parameters import (
    URL_SHAPE,
    InvalidParametersError,
    Parameters,
    Statuses,
    Typed,
    forbidden_url,
    is_among,
    parse,
    url_problem,
)
from test_coordination.adapters.shapes import TYPE, Shape
from test_coordination.application.capabilities import Probe, ProbeFailedError
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.topology import Topology

CAPTURE_MAX: Final = timedelta(seconds=10)
_REQUEST: Final = re.compile(r"(GET|HEAD) +(\S.*)")
REQUEST_SHAPE: Final[Shape] = {
    "type": "string",
    "pattern": URL_SHAPE["pattern"].replace("^", "^(?:GET|HEAD) +"),
    TYPE: "method and URL",
}


def _request(text: str) -> str:
    found = _REQUEST.fullmatch(text)
    if found is None:
        raise ValueError(
            f"'request' is {text!r}, expected GET or HEAD and a URL, as in "
            "'GET http://127.0.0.1:8084/health'"
        )
    if trouble := url_problem(found[2]):
        raise ValueError(f"'request': {trouble}")
    return text


class Page(Parameters):
    """What is asked for; a reading is ``ok`` when the status is among ``expect``."""

    request: Annotated[str, AfterValidator(_request), WithJsonSchema(REQUEST_SHAPE)] = Field(
        description="what is asked for: GET or HEAD, and an address of the system under test",
        examples=["GET http://${{ services.shop.address }}/health"],
    )
    headers: Mapping[str, str] = Field(
        default_factory=dict,
        description="headers of the request, by name",
        examples=[{"Accept": "application/json"}],
    )
    expect: Statuses = Field(
        default="200..299",
        description="the statuses that are well; with another a reading is there, but not 'ok'",
        examples=[204, "200..299"],
    )

    @property
    def method(self) -> str:
        """Return GET or HEAD."""
        return self.request.partition(" ")[0]

    @property
    def url(self) -> str:
        """Return where the page is."""
        return self.request.partition(" ")[2].strip()


class HttpProbe(Typed):
    """A page that is asked for again and again; redirects are not followed.

    Only addresses of the system under test are asked: a document cannot make us look elsewhere.
    """

    kind: ClassVar[str] = "http"
    summary: ClassVar[str] = "ask for a page: its status, and how long the answer takes"
    fields: ClassVar[Mapping[str, Kind]] = MappingProxyType(
        {
            "status": Kind.INTEGER,
            "ms": Kind.NUMBER,
            "ok": Kind.BOOLEAN,
            "size": Kind.INTEGER,
        }
    )
    measured: ClassVar[str] = "ms"
    unit: ClassVar[str] = "ms"
    model: ClassVar[type[Parameters]] = Page

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        """See `ProbeKind.open`; one connection is kept between readings where the page lets us."""
        return _opened(topology, parameters, timeout)

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> object:
        """See `ProbeKind.capture`: the page's document if it is JSON, else what is known of it."""
        page = _allowed(topology, parameters)
        async with _opened(topology, parameters, CAPTURE_MAX) as reader:
            answer = await reader.ask(page)
        if not is_among(answer.status, page.expect):
            text = answer.body[:200].decode(errors="replace")
            raise ProbeFailedError(cause=f"{page.url} answered {answer.status}: {text!r}")
        try:
            return json.loads(answer.body, parse_constant=str)
        except (ValueError, RecursionError):
            text = answer.body.decode(errors="replace")
            return {"status": answer.status, "size": len(answer.body), "text": text}


class _Answer(Protocol):
    status: int
    body: bytes
    took_s: float


class _Pages(Protocol):
    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], *, limit_s: float
    ) -> _Answer: ...


class _Reader:
    def __init__(
        self,
        topology: Topology,
        parameters: Mapping[str, object],
        *,
        pages: _Pages,
        limit: timedelta,
    ) -> None:
        self._topology = topology
        self._parameters = parameters
        self._pages = pages
        self._limit_s = limit.total_seconds()

    async def read(self) -> Facts:
        """See `Probe.read`."""
        page = _allowed(self._topology, self._parameters)
        answer = await self.ask(page)
        return {
            "status": answer.status,
            "ms": round(answer.took_s * 1000, 3),
            "ok": is_among(answer.status, page.expect),
            "size": len(answer.body),
        }

    async def ask(self, page: Page) -> _Answer:
        """Return the answer, all of it read; see `Pages.ask`."""
        return await self._pages.ask(page.method, page.url, page.headers, limit_s=self._limit_s)


@asynccontextmanager
async def _opened(
    topology: Topology, parameters: Mapping[str, object], limit: timedelta
) -> AsyncGenerator[_Reader]:
    from test_coordination.adapters.probes.pages import open_pages  # noqa: PLC0415  its library is slow to import, and of no use to most commands

    async with open_pages() as pages:
        yield _Reader(topology, parameters, pages=pages, limit=limit)


def _allowed(topology: Topology, parameters: Mapping[str, object]) -> Page:
    try:
        page = parse(Page, parameters)
    except InvalidParametersError as error:
        raise ProbeFailedError(cause=str(error)) from error
    if why := forbidden_url(topology, page.url):
        raise ProbeFailedError(cause=why)
    return page
