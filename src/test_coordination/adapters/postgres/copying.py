"""Log entries as PostgreSQL's own binary form of COPY, made a piece at a time.

The driver's encoder would take three times as long; see benchmarks/log_ingestion.py.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from test_coordination.adapters.codec import encode_all
from test_coordination.domain.events import EVENTS, Entry

COLUMNS: Final = ("execution_id", "position", "at", "kind", "body")
"""What each row holds, in this order."""
CHUNK_ROWS: Final = 500

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a signature, no flags
# and no extension of the header; then rows; then the count of -1 columns.
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"

# A timestamptz is the count of microseconds since 2000.
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

JSONB: Final = b"\x01"
"""The version of jsonb's binary form, with which it begins."""


def _head(kind: str) -> tuple[Callable[..., bytes], bytes]:
    """Return what packs a row of this kind of event up to its body, and the kind as bytes.

    Each of the five columns follows its length: 16 bytes of uuid, 4 of integer, 8 of timestamp,
    the kind, and the body, of which only the version.
    """
    name = kind.encode()
    return struct.Struct(f">hi16siiiqi{len(name)}sic").pack, name


HEADS: Final = {event: _head(kind) for kind, event in EVENTS.items()}


async def copied(logs: Sequence[tuple[UUID, Sequence[Entry]]]) -> AsyncIterator[bytes]:
    """Yield the file that COPY reads; each piece is made while the server works on the last."""
    piece, rows = [HEADER], 0
    for execution, entries in logs:
        for start in range(0, len(entries), CHUNK_ROWS):
            some = entries[start : start + CHUNK_ROWS]
            piece.append(_rows(execution.bytes, some))
            rows += len(some)
            if rows >= CHUNK_ROWS:
                yield b"".join(piece)
                piece, rows = [], 0
    yield b"".join([*piece, TRAILER])


def _rows(key: bytes, entries: Sequence[Entry]) -> bytes:
    # The hottest loop of the program: nothing in it is a call of our own.
    parts: list[bytes] = []
    heads, columns = HEADS, len(COLUMNS)
    for entry, body in zip(entries, encode_all([e.event for e in entries]), strict=True):
        pack, kind = heads[type(entry.event)]
        at = (entry.at - EPOCH) // MICROSECOND
        size = len(body) + len(JSONB)
        parts += (
            pack(columns, 16, key, 4, entry.position, 8, at, len(kind), kind, size, JSONB),
            body,
        )
    return b"".join(parts)
