"""The client's end of the control socket, line by line."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Final, Self

from test_coordination.adapters.kernel import nearby

REPLY_BYTES_MAX: Final = 4 * 1024 * 1024
_READ_BYTES: Final = 65_536


# By the loop's own calls: anyio 4.16's streams for Unix sockets raise in the loop if one is
# cancelled in the moment that bytes arrive.
class Lines:
    """A connection that speaks in lines, for one task at a time; it owns the socket.

    Every failure is an ``OSError``, the end of the other side too. After one, or after a
    cancellation, close it: what was said and read is not known any more.
    """

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._unread = bytearray()
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, path: Path) -> Self:
        """Connect to the socket at ``path``."""
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        raw.setblocking(False)  # noqa: FBT003 - the standard library's way
        try:
            with nearby(path) as near:
                await asyncio.get_running_loop().sock_connect(raw, near)
        except BaseException:
            raw.close()
            raise
        return cls(raw)

    async def write(self, line: bytes) -> None:
        """Send ``line``, which ends as a line does."""
        await self._loop.sock_sendall(self._raw, line)

    async def read(self) -> bytes:
        """Return the next line, without its end."""
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > REPLY_BYTES_MAX:
                raise ConnectionError(f"a line is longer than {REPLY_BYTES_MAX} bytes")
            data = await self._loop.sock_recv(self._raw, _READ_BYTES)
            if not data:
                raise ConnectionError("the other side hung up")
            self._unread += data
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line

    def close(self) -> None:
        """Hang up. Repeating is safe."""
        self._raw.close()
