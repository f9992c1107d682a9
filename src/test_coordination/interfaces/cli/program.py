"""What the command line needs from the rest of the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NoReturn, Protocol

from test_coordination.application.controls import Controls
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.ports import Library
from test_coordination.application.serving import FleetWorker, Load, Witness
from test_coordination.application.world import World
from test_coordination.domain.events import Entry
from test_coordination.domain.report import TestReport
from test_coordination.domain.scenario import Definition, DocumentKind, Part
from test_coordination.domain.topology import Service, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemChoice:
    """Which system under test is meant; without a ``file`` the configured one, if there is one."""

    file: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    port_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A service as ``tcoord services`` shows it."""

    service: Service
    status: str
    healthy: bool
    pid: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of ``tcoord doctor``: what was looked at, whether it is well, what to do."""

    subject: str
    well: bool
    detail: str
    remedy: str = ""


class DocumentType(StrEnum):
    """The two languages in which documents are written."""

    DEFINITION = "scenario"
    TOPOLOGY = "topology"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """A definition that is found by its name: its text and, as its first key says, its kind.

    ``title`` is its own; one that it inherits is not looked for.
    """

    part: Part
    kind: DocumentKind
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualKey:
    """One parameter in words: ``value`` says what it may be.

    ``default`` and ``example`` are YAML, and empty where there are none.
    """

    name: str
    value: str
    required: bool
    default: str
    example: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manual:
    """What there is to know of a fault, an action or a probe; ``noun`` says which it is.

    ``facts`` are further things, by what they are called; ``example`` is YAML.
    """

    noun: str
    name: str
    summary: str
    parameters: tuple[ManualKey, ...]
    facts: Mapping[str, str]
    example: str


class Desk(Protocol):
    """What authors ask for, and needs no server.

    A ``place`` is the folder in which definitions are looked for first; then come those of
    TCOORD_LIBRARY, and at last what is shipped with the program.
    """

    def topology(self, choice: SystemChoice) -> Topology | None:
        """Read the chosen topology; None if none is chosen and none configured.

        Raises:
            InvalidDocumentError: the file has mistakes.
            CoordinationError: it cannot be read.
        """
        ...

    def check_topology(self, text: str, *, file: str, choice: SystemChoice) -> None:
        """Look for mistakes in a topology, with the variables of ``choice``.

        Raises:
            InvalidDocumentError: it has mistakes; all are said.
        """
        ...

    def world(self, topology: Topology | None) -> World:
        """Return a world in which nothing is stored and that ends with the program.

        What needs no store works in it as on a server: reading, looking up, planning.
        """
        ...

    def beside(self, place: Path) -> Library:
        """Return the definitions in ``place`` alone."""
        ...

    def library(self, place: Path) -> Library:
        """Return all definitions that are found without a server."""
        ...

    def shelved(self, place: Path) -> Sequence[Shelved]:
        """Return what `library` holds, by name; what is hidden by others of its name left out."""
        ...

    def headline(self, text: str) -> tuple[str, str]:
        """Return the first key of a document, which is what it is, and its name.

        Both are empty where it cannot be told, as in a file that is empty or broken.
        """
        ...

    def read(
        self, text: str, *, file: str, place: Path, topology: Topology | None = None
    ) -> Definition:
        """Return the definition in ``text``; all that it extends, runs or waits for is read, too.

        Raises:
            InvalidDocumentError: it has mistakes, or one of the others has; all are said.
        """
        ...

    def manuals(self) -> Sequence[Manual]:
        """Return what there is to know of each fault, action and probe."""
        ...

    def schema(self, document: DocumentType) -> str:
        """Return the JSON Schema of such documents."""
        ...

    def schema_file(self, document: DocumentType) -> Path:
        """Return the file in which that schema is shipped, for editors."""
        ...


class Program(Protocol):
    """The use cases behind the commands, built when they are first called."""

    @property
    def desk(self) -> Desk:
        """Return what needs no server."""
        ...

    def coordinator(self, topology: Topology | None) -> AbstractAsyncContextManager[Coordinator]:
        """Lend a coordinator on the configured servers, or on embedded ones."""
        ...

    def controls(self) -> AbstractAsyncContextManager[Controls]:
        """Lend the way to stop, pause and resume what others run; no store is waited for."""
        ...

    def worker(
        self, topology: Topology | None, load: Load, witness: Witness
    ) -> AbstractAsyncContextManager[FleetWorker]:
        """Lend a worker of the fleet that can reach ``topology``; ``witness`` is told of it."""
        ...

    def topology(self, choice: SystemChoice) -> Topology | None:
        """Read the chosen topology; None if none is chosen and none configured.

        Raises:
            InvalidDocumentError: the file has mistakes.
        """
        ...

    def render(self, report: TestReport, form: str) -> bytes:
        """Return ``report`` in one of the forms that reports have."""
        ...

    def entry(self, entry: Entry) -> str:
        """Return one entry of a log as a line of JSON."""
        ...

    def shipped(self, name: str) -> Path:
        """Return a file or folder that comes with the program, such as the trading example."""
        ...

    def demo_system(self, build: str) -> AbstractAsyncContextManager[Topology]:
        """Lend a trading system of this build, on free ports, nothing of it started.

        What an earlier demo that was killed has left is undone and stopped first. The services
        must be stopped again before the end; then their state is removed.
        """
        ...

    async def up(self, topology: Topology) -> None:
        """Start the services of ``topology`` and wait until they are healthy."""
        ...

    async def down(self, topology: Topology) -> None:
        """Stop the services of ``topology``."""
        ...

    async def observe(self, topology: Topology) -> Sequence[Observation]:
        """Return what each service is doing."""
        ...

    async def diagnose(self, topology: Topology | None) -> Sequence[Finding]:
        """Look at everything that has to be right before scenarios can run."""
        ...

    def serve_database(self, kind: str, directory: Path) -> NoReturn:
        """Become one of the embedded servers, in the foreground."""
        ...
