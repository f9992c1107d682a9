"""The way to the other services: JSON over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

TROUBLE_FROM = 500


class PeerError(Exception):
    """Another service did not answer, or answered that it cannot; whether it acted is unknown."""


class PeerRefusedError(Exception):
    """Another service understood and said no: repeating the same call will not help."""


class Peer:
    """One other service; ``patience_s`` limits a whole call, and None waits for ever."""

    def __init__(self, url: str, *, patience_s: float | None, connections: int = 20) -> None:
        self._url = url.rstrip("/")
        self._patience = aiohttp.ClientTimeout(total=patience_s)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, **query: str | int) -> Any:
        """Return the document at ``path``.

        Raises:
            PeerError: no answer in time, or one from 500 up.
            PeerRefusedError: an answer from 400 up.
        """
        return await self._call("GET", path, params=query)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to ``body``; raises as ``get`` does."""
        return await self._call("POST", path, json=body)

    async def delete(self, path: str) -> Any:
        """Return the answer; raises as ``get`` does."""
        return await self._call("DELETE", path)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _call(self, method: str, path: str, **arguments: Any) -> Any:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._patience)
        try:
            async with self._session.request(method, self._url + path, **arguments) as answer:
                document = await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            message = f"{method} {path}: {type(error).__name__} {error}"
            raise PeerError(message) from error
        if answer.status >= TROUBLE_FROM:
            message = f"{method} {path}: {answer.status} {document}"
            raise PeerError(message)
        if not answer.ok:
            message = f"{method} {path}: {answer.status} {document}"
            raise PeerRefusedError(message)
        return document
