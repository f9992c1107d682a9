"""Telling a service something by HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final

import anyio
from pydantic import AfterValidator, Field, WithJsonSchema

from test_coordination.adapters.parameters import (
    URL_SHAPE,
    Duration,
    InvalidParametersError,
    Parameters,
    Statuses,
    Typed,
    bounds,
    forbidden_url,
    is_among,
    parse,
    url_problem,
)
from test_coordination.application.capabilities import ActionFailedError, ActionUnknownError
from test_coordination.domain.evidence import Facts
from test_coordination.domain.topology import Topology

TIMEOUT_DEFAULT: Final = timedelta(seconds=10)
TIMEOUT_MAX: Final = timedelta(minutes=5)
BODY_BYTES_MAX: Final = 16 * 1024
QUOTED_CHARACTERS: Final = 300


def _url(text: str) -> str:
    if trouble := url_problem(text):
        raise ValueError(f"'url': {trouble}")
    return text


class Asked(Parameters):
    """What is sent, and which answers are well."""

    url: Annotated[str, AfterValidator(_url), WithJsonSchema(URL_SHAPE)] = Field(
        description="where it is sent: an address of the system under test, and no other",
        examples=["http://${{ services.shop.address }}/orders"],
    )
    headers: Mapping[str, str] = Field(
        default_factory=dict,
        description="headers of the request, by name",
        examples=[{"Accept": "application/json"}],
    )
    expect: Statuses = Field(
        default="200..299",
        description="the statuses that are well; with any other the action fails",
        examples=[201, "200..299"],
    )
    timeout: Annotated[Duration, bounds(above=timedelta(0), most=TIMEOUT_MAX)] = Field(
        default=TIMEOUT_DEFAULT,
        description="how long the answer may take before the action fails",
        examples=["30s"],
    )


class Sent(Asked):
    """A request that carries a document; without ``json`` it carries none."""

    document: object = Field(
        default=None,
        alias="json",
        description="the document that is sent, as JSON; without it the request has no body",
        examples=[{"item": "book", "count": 2}],
    )


class _HttpAction(Typed):
    """One request to an address of the system under test; redirects are not followed.

    It is sent once. Without an answer it is not known whether it took effect, and the error
    says so, unless there is nothing that could have.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    method: ClassVar[str]
    model: ClassVar[type[Asked]] = Asked
    repeatable: ClassVar[bool] = False

    async def run(self, topology: Topology, parameters: Mapping[str, object]) -> Facts:
        """See `Action.run`; the answer's body comes with it, parsed if it is JSON."""
        try:
            asked = parse(self.model, parameters)
        except InvalidParametersError as error:
            raise self._failed(str(error)) from error
        if why := forbidden_url(topology, asked.url):
            raise self._failed(why)
        import aiohttp  # noqa: PLC0415  slow to import, and of no use to most commands

        began = anyio.current_time()
        try:
            with anyio.fail_after(asked.timeout.total_seconds()):
                status, body, whole = await self._exchange(asked)
        except TimeoutError as error:
            cause = f"{asked.url} did not answer within {asked.timeout.total_seconds():g} s"
            raise self._unheard(cause) from error
        except aiohttp.ClientConnectorError as error:
            raise self._failed(f"nobody listens at {asked.url} ({error.strerror})") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            cause = f"{asked.url} broke off ({str(error) or type(error).__name__})"
            raise self._unheard(cause) from error
        took_ms = round((anyio.current_time() - began) * 1000, 1)
        text = body.decode(errors="replace")
        if not is_among(status, asked.expect):
            quoted = text[:QUOTED_CHARACTERS] or "an empty body"
            cause = f"{asked.url} answered {status}, expected {asked.expect}: {quoted}"
            raise self._failed(cause)
        return {"status": status, "ms": took_ms, "body": _document(text) if whole else text}

    async def _exchange(self, asked: Asked) -> tuple[int, bytes, bool]:
        import aiohttp  # noqa: PLC0415  slow to import, and of no use to most commands

        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(), json_serialize=_serialised
            ) as session,
            session.request(
                self.method,
                asked.url,
                headers=asked.headers,
                json=asked.document if isinstance(asked, Sent) else None,
                allow_redirects=False,
            ) as answer,
        ):
            body = bytearray()
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > BODY_BYTES_MAX:
                    return answer.status, bytes(body[:BODY_BYTES_MAX]), False
            return answer.status, bytes(body), True

    def _failed(self, cause: str) -> ActionFailedError:
        return ActionFailedError(action=self.kind, cause=cause)

    def _unheard(self, cause: str) -> ActionFailedError:
        if self.repeatable:
            return self._failed(cause)
        return ActionUnknownError(action=self.kind, cause=cause)


def _serialised(document: object) -> str:
    return json.dumps(document, allow_nan=False, ensure_ascii=False)


def _document(text: str) -> object:
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


class HttpGet(_HttpAction):
    """Ask for a page."""

    kind = "http.get"
    summary = "send GET to an address of the system"
    method = "GET"
    repeatable = True


class HttpPost(_HttpAction):
    """Send a document."""

    kind = "http.post"
    summary = "send POST to an address of the system, with a JSON document"
    method = "POST"
    model = Sent


class HttpDelete(_HttpAction):
    """Ask for something to be deleted."""

    kind = "http.delete"
    summary = "send DELETE to an address of the system"
    method = "DELETE"
    model = Sent
