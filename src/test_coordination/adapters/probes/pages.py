"""Asking for pages over connections that are kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
import anyio

from test_coordination.application.capabilities import ProbeFailedError

BODY_BYTES_MAX: Final = 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a page answered, and within how many seconds all of it was there."""

    status: int
    body: bytes
    took_s: float


class Pages:
    """Asks for pages."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], *, limit_s: float
    ) -> Answer:
        """Return the answer, all of it read.

        Raises:
            ProbeFailedError: there was none within ``limit_s`` seconds, or it was too large.
        """
        began = anyio.current_time()
        try:
            with anyio.fail_after(limit_s):
                async with self._session.request(
                    method, url, headers=headers, allow_redirects=False
                ) as answer:
                    body = await _body(answer)
        except TimeoutError as error:
            cause = f"{url} did not answer within {limit_s:g} s"
            raise ProbeFailedError(cause=cause) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            cause = f"{url} did not answer: {str(error) or type(error).__name__}"
            raise ProbeFailedError(cause=cause) from error
        if body is None:
            cause = f"{url} answered with more than {BODY_BYTES_MAX} bytes"
            raise ProbeFailedError(cause=cause)
        return Answer(status=answer.status, body=body, took_s=anyio.current_time() - began)


async def _body(answer: aiohttp.ClientResponse) -> bytes | None:
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            answer.close()
            return None
    return bytes(body)


@asynccontextmanager
async def open_pages() -> AsyncGenerator[Pages]:
    """Lend what asks for pages; connections are kept meanwhile, cookies are not."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield Pages(session)
