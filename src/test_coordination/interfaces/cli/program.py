"""What the command line needs from the rest of the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Protocol

from test_coordination.application.coordinator import Coordinator
from test_coordination.domain.report import TestReport
from test_coordination.domain.scenario import Scenario
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


class Program(Protocol):
    """The use cases behind the commands, built when they are first called."""

    def coordinator(self, topology: Topology | None) -> AbstractAsyncContextManager[Coordinator]:
        """Lend a coordinator on the configured servers, or on embedded ones."""
        ...

    def topology(self, choice: SystemChoice) -> Topology | None:
        """Read the chosen topology; None if none is chosen and none configured.

        Raises:
            InvalidDocumentError: the file has mistakes.
        """
        ...

    def read_scenario(self, text: str, *, file: str, topology: Topology | None) -> Scenario:
        """Check a scenario; no server is needed.

        Raises:
            InvalidDocumentError: it has mistakes; all are said.
        """
        ...

    def render(self, report: TestReport, form: str) -> bytes:
        """Return ``report`` in one of the forms that reports have."""
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
