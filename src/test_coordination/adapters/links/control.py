"""One conversation on the control socket."""

from __future__ import annotations

import asyncio
from typing import assert_never

from test_coordination.adapters.links.errors import MalformedRequestError
from test_coordination.adapters.links.leases import Leases
from test_coordination.adapters.links.replies import failure, state_object
from test_coordination.adapters.links.requests import (
    REQUEST_BYTES_MAX,
    Add,
    Command,
    Describe,
    Object,
    Ping,
    Remove,
    Renew,
    command_of,
    line_of,
    read,
)
from test_coordination.domain.errors import CoordinationError


# A protocol, since an answer needs no wait and so no task; and anyio 4.16's streams for Unix
# sockets raise in the loop if one is cancelled in the moment that bytes arrive.
class Conversation(asyncio.Protocol):
    """Answers request after request in their order; what it added ends when it is closed.

    A line without an end closes it. A client that does not read its replies is not read
    either, so nothing piles up.
    """

    def __init__(self, *, leases: Leases, owner: int, present: set[Conversation]) -> None:
        self._jammed = False
        self._leases = leases
        self._owner = owner
        self._present = present
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        assert isinstance(transport, asyncio.Transport), "create_unix_server makes no other"
        self._transport = transport
        self._present.add(self)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._unread += data
        self._answer()

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._jammed = True
        self._steer()

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._jammed = False
        self._steer()
        self._answer()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended
        """See ``asyncio.Protocol``; the kernel sees to it when a coordinator is killed."""
        self._present.discard(self)
        self._leases.drop(self._owner)

    def close(self) -> None:
        """Hang up, without waiting for replies to be read."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self) -> None:
        assert self._transport is not None, "bytes come after the connection"
        while not self._jammed and not self._transport.is_closing():
            end = self._unread.find(b"\n", 0, REQUEST_BYTES_MAX + 1)
            if end < 0:
                break
            line = bytes(self._unread[:end])
            del self._unread[: end + 1]
            self._say(answer(line, leases=self._leases, owner=self._owner))
        else:
            return
        if len(self._unread) > REQUEST_BYTES_MAX:
            reason = f"the line is longer than {REQUEST_BYTES_MAX} bytes, so this connection ends"
            self._say(failure(None, MalformedRequestError(reason=reason)))
            self._leases.drop(self._owner)
            self._transport.close()

    def _say(self, document: Object) -> None:
        assert self._transport is not None, "an answer follows a question"
        self._transport.write(line_of(document))

    def _steer(self) -> None:
        assert self._transport is not None, "its buffer filled or emptied"
        if self._jammed:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def answer(line: bytes, *, leases: Leases, owner: int) -> Object:
    """Carry out the request in ``line`` for ``owner`` and return the reply."""
    number = None
    try:
        number, document = read(line)
        result = _carry_out(command_of(document), leases=leases, owner=owner)
    except CoordinationError as error:
        return failure(number, error)
    return {"id": number, "ok": True, **result}


def _carry_out(command: Command, *, leases: Leases, owner: int) -> Object:
    match command:
        case Add():
            leases.add(command, owner=owner)
        case Renew():
            leases.renew(command, owner=owner)
        case Remove():
            leases.remove(command)
        case Describe():
            return {"links": [state_object(state) for state in leases.states()]}
        case Ping():
            pass
        case _:
            assert_never(command)
    return {}
