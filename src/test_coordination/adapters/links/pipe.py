"""One proxied connection: two ends, each with the pipe that leads from it to the other."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final

from test_coordination.adapters.links.values import Latency

HELD_BYTES_MAX: Final = 1 << 20
# What one held piece costs beside its bytes, so that a million pieces of one byte are bounded too.
PIECE_BYTES: Final = 512
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


class _Ending(Enum):
    """How a direction ends; it waits its turn behind the bytes, as on a wire."""

    FIN = "fin"
    RST = "rst"


@dataclass(slots=True, kw_only=True)
class Flow:
    """Counts one direction of a link, over all its connections."""

    bytes_passed: int = 0
    bytes_delayed: int = 0


class Toxic:
    """A latency in force on one link, and how much it has done there."""

    __slots__ = ("_chance", "_delay_s", "_jitter_s", "bytes_delayed", "connections", "latency")

    def __init__(self, latency: Latency, *, chance: random.Random) -> None:
        self.latency = latency
        self.bytes_delayed = 0
        self.connections = 0
        self._chance = chance
        self._delay_s = latency.delay.total_seconds()
        self._jitter_s = latency.jitter.total_seconds()

    def hits(self) -> bool:
        """Draw whether one connection suffers."""
        hit = self._chance.random() < self.latency.toxicity
        self.connections += hit
        return hit

    def draw_s(self) -> float:
        """Draw the seconds by which one piece is late."""
        if not self._jitter_s:
            return self._delay_s
        return max(0.0, self._delay_s + self._chance.uniform(-self._jitter_s, self._jitter_s))


@dataclass(slots=True, kw_only=True)
class _Piece:
    """What waits for its time: it is due ``arrived`` plus every delay still in force."""

    arrived: float
    delays_s: dict[str, float]
    cargo: bytes | _Ending

    @property
    def due(self) -> float:
        return self.arrived + sum(self.delays_s.values())

    @property
    def cost(self) -> int:
        return PIECE_BYTES + (len(self.cargo) if isinstance(self.cargo, bytes) else 0)


# Protocols and transports instead of anyio streams: half the processor time for each request
# (20 µs against 39), and the only door to pause_reading, half-close and reset.
class End(asyncio.Protocol):
    """One end of a connection, and the pipe from it to its ``peer``.

    Without a toxic and with nothing held, bytes are written straight through. What is held
    never exceeds ``held_bytes_max`` by more than one read (256 KiB): beyond it this end is not
    read, and its sender waits as for any full window. A reset takes the same way as the bytes.
    """

    __slots__ = (
        "_broken",
        "_ended",
        "_finished",
        "_flow",
        "_held",
        "_held_bytes",
        "_held_bytes_max",
        "_loop",
        "_on_lost",
        "_on_made",
        "_out",
        "_timer",
        "_toxics",
        "lost",
        "peer",
        "transport",
    )

    peer: End

    def __init__(
        self,
        *,
        flow: Flow,
        held_bytes_max: int,
        on_made: Callable[[], None] = lambda: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost = False
        self._flow = flow
        self._held: deque[_Piece] = deque()
        self._held_bytes = 0
        self._held_bytes_max = held_bytes_max
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._on_made = on_made
        # The peer's transport while it takes bytes; None before it is connected, while its
        # buffer is full, and after it is gone.
        self._out: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._toxics: dict[str, Toxic] = {}
        self._ended = False  # this end says no more
        self._finished = False  # and the peer was told
        self._broken = False  # this end was reset: the peer will be, read or not

    @property
    def held_bytes(self) -> int:
        """What this pipe holds now, each piece with ``PIECE_BYTES`` on top."""
        return self._held_bytes

    def afflict(self, fault: str, toxic: Toxic) -> None:
        """Let ``toxic`` work on what is read from now on."""
        self._toxics[fault] = toxic

    def cure(self, fault: str) -> None:
        """End a toxic; what was held for its sake alone leaves at once. Repeating is safe."""
        self._toxics.pop(fault, None)
        for piece in self._held:
            piece.delays_s.pop(fault, None)
        self._release()

    def reset(self) -> None:
        """Break this end off, so that whoever is behind it sees a reset."""
        if self.transport is None:
            return
        raw = self.transport.get_extra_info("socket")
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``; nothing is read before the other end is connected too."""
        assert isinstance(transport, asyncio.Transport), "create_server and create_connection"
        self.transport = transport
        if self.peer.lost:
            self.reset()
            return
        self.peer.unjam(transport)
        self._steer()
        self._on_made()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        out = self._out
        # Without a toxic all that is held is due, so there is something only if `out` is None.
        if out is None or self._toxics:
            self._hold(data)
            return
        self._flow.bytes_passed += len(data)
        out.write(data)

    def eof_received(self) -> bool:
        """See ``asyncio.Protocol``; the other direction stays open."""
        self._ended = True
        self._hold(_Ending.FIN)
        return True

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``: this end reads too slowly, so its peer must wait."""
        self.peer.jam()

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        assert self.transport is not None, "only a connected transport resumes"
        self.peer.unjam(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it broke changes nothing
        """See ``asyncio.Protocol``; unless both ends were closed, the peer is reset in its turn."""
        self.lost = self._ended = True
        self.peer.cut()
        beyond = self.peer.transport
        if beyond is not None and not beyond.is_closing():
            self._broken = True
            self._hold(_Ending.RST)
        self._on_lost()

    def jam(self) -> None:
        """Hand nothing on until `unjam`: the peer's buffer is full."""
        self._out = None
        self._steer()

    def unjam(self, out: asyncio.Transport) -> None:
        """Hand on to ``out`` from now on."""
        self._out = out
        self._release()

    def cut(self) -> None:
        """Drop what is held: nobody is left to hand it to."""
        self._out = None
        self._held.clear()
        self._held_bytes = 0
        self._disarm()

    def _hold(self, cargo: bytes | _Ending) -> None:
        size = len(cargo) if isinstance(cargo, bytes) else 0
        for toxic in self._toxics.values():
            toxic.bytes_delayed += size
        if self._toxics:
            self._flow.bytes_delayed += size
        delays_s = {fault: toxic.draw_s() for fault, toxic in self._toxics.items()}
        piece = _Piece(arrived=self._loop.time(), delays_s=delays_s, cargo=cargo)
        self._held.append(piece)
        self._held_bytes += piece.cost
        if self._timer is None or self._broken:
            self._release()
        else:
            self._steer()

    def _release(self) -> None:
        """Hand on all that is due, in order, and come back when the next piece is."""
        self._disarm()
        now = self._loop.time()
        while self._held and (self._out is not None or self._broken):
            piece = self._held[0]
            if (due := piece.due) > now:
                self._timer = self._loop.call_at(due, self._release)
                break
            self._held.popleft()
            self._held_bytes -= piece.cost
            self._deliver(piece.cargo)
        self._steer()

    def _deliver(self, cargo: bytes | _Ending) -> None:
        out = self.peer.transport
        assert out is not None, "nothing is released before the peer is connected"
        if isinstance(cargo, bytes):
            self._flow.bytes_passed += len(cargo)
            out.write(cargo)
        elif cargo is _Ending.RST:
            self.peer.reset()
        else:
            # A peer that was reset meanwhile refuses the half-close; its loss is reported apart.
            with suppress(OSError):
                out.write_eof()
            self._finished = True
            if self.peer._finished and self.transport is not None:  # noqa: SLF001 - of the same class
                out.close()
                self.transport.close()

    def _steer(self) -> None:
        """Read on, or let the sender wait."""
        if self.transport is None or self._ended:
            return
        if self._out is None or self._held_bytes >= self._held_bytes_max:
            self.transport.pause_reading()
        elif self._held_bytes <= self._held_bytes_max // 2:
            self.transport.resume_reading()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
