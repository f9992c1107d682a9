"""Systems under test on this machine: read from their files, kept in folders of their own."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from test_coordination.adapters.documents.systems.topology import TopologyReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.topology import Topology

DEMOS_MAX: Final = 8
NAME_MAX: Final = 20
MARK_LENGTH: Final = 10
OFFSETS: Final = range(0, 50_000, 1_000)


@dataclass(eq=False, kw_only=True)
class NoRoomError(CoordinationError):
    """No place for another demo: too many run, or all ports are taken."""

    code: ClassVar[str] = "demo.no_room"

    cause: str

    def __str__(self) -> str:
        return f"the trading example finds no room: {self.cause}; stop something and try again"


@dataclass(eq=False, kw_only=True)
class UnreadableFileError(CoordinationError):
    """A file that was named cannot be read."""

    code: ClassVar[str] = "file.unreadable"

    file: str
    cause: str

    def __str__(self) -> str:
        return f"{self.file} cannot be read: {self.cause}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a topology comes from, and what it is read with."""

    file: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    port_offset: int = 0


def read_topology(source: Source, *, directory: Path) -> Topology:
    """Return the topology that ``source`` describes, its state kept in ``directory``.

    Raises:
        UnreadableFileError: there is no such file.
        InvalidDocumentError: it has mistakes; all are said.
    """
    try:
        text = source.file.read_bytes()
    except OSError as error:
        cause = error.strerror or str(error)
        raise UnreadableFileError(file=str(source.file), cause=cause) from error
    return parse_topology(text, source, directory=directory)


def parse_topology(text: str | bytes, source: Source, *, directory: Path) -> Topology:
    """Return the topology in ``text``, as if it stood in the file of ``source``.

    Raises:
        InvalidDocumentError: it has mistakes; all are said.
    """
    reader = TopologyReader(CelExpressions(), python=sys.executable, environment=os.environ)
    return reader.read(
        text,
        file=str(source.file),
        state_directory=directory,
        variables=source.variables,
        port_offset=source.port_offset,
    )


def state_directory(home: Path, file: Path) -> Path:
    """Return where the state of the system that ``file`` describes is kept.

    It hangs on the file's place, so that two systems of one name do not meet; yet it is short,
    however deep that is, and plain: sockets lie in there, whose paths may have 107 bytes, and
    topologies write it into URLs.
    """
    place = file.resolve()
    mark = hashlib.sha256(os.fsencode(place)).hexdigest()[:MARK_LENGTH]
    name = re.sub(r"[^A-Za-z0-9]+", "-", place.parent.name)[:NAME_MAX]
    return home / "systems" / f"{name}-{mark}"


@contextmanager
def free_slot(home: Path) -> Iterator[Path]:
    """Lend a folder for a demo of our own; what an earlier demo left in it is still there.

    Raises:
        NoRoomError: as many demos run as may.
    """
    home.mkdir(parents=True, exist_ok=True)
    for number in range(1, DEMOS_MAX + 1):
        with (home / f"demo-{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield home / f"demo-{number}"
            return
    raise NoRoomError(cause=f"{DEMOS_MAX} demos run already")


def with_free_ports(source: Source, *, directory: Path) -> Topology:
    """Return the topology of ``source``, moved to ports that nobody listens on now.

    Raises:
        NoRoomError: there are none.
    """
    for offset in OFFSETS:
        moved = Source(file=source.file, variables=source.variables, port_offset=offset)
        topology = read_topology(moved, directory=directory)
        if all(_is_free(address) for address in topology.addresses()):
            return topology
    raise NoRoomError(cause="on every port that it could use something listens")


def _is_free(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True


def is_used(directory: Path) -> bool:
    """Tell whether a system has left its state in ``directory``."""
    return directory.exists()


def wipe(directory: Path) -> None:
    """Remove the state of a system whose services are stopped."""
    shutil.rmtree(directory, ignore_errors=True)


def shipped(name: str) -> Path:
    """Return a file or folder that comes with the program.

    An installed package holds them; a checkout has them at its root.
    """
    here = Path(__file__).parent
    installed = here / "_shipped" / name
    return installed if installed.exists() else here.parents[1] / name
