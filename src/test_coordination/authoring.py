"""What authors ask for and needs no server: definitions read, looked up, planned, described."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from test_coordination import systems
from test_coordination.adapters.cron import CronCalendar
from test_coordination.adapters.documents.composition.headings import heading
from test_coordination.adapters.documents.composition.library import FileLibrary
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.documents.reader import read
from test_coordination.adapters.documents.references.pages import Explained, explained
from test_coordination.adapters.documents.schemas.documents import scenario_schema
from test_coordination.adapters.documents.schemas.parts import schema_text
from test_coordination.adapters.documents.schemas.topology import topology_schema
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.machine import SystemClock, ThisMachine, TimeOrderedIdentities
from test_coordination.adapters.memory.dispatch import MemoryDispatch, MemoryJobs
from test_coordination.adapters.memory.events import MemoryEvents
from test_coordination.adapters.memory.evidence import MemoryEvidence
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.inbox import MemoryInbox
from test_coordination.adapters.memory.live import MemoryLiveView
from test_coordination.adapters.memory.queue import MemoryQueue
from test_coordination.adapters.memory.scenarios import MemoryScenarioStore
from test_coordination.adapters.memory.schedules import MemoryTimetable
from test_coordination.adapters.memory.wishes import MemoryWishes
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.adapters.targets.changes import ProcessWatch
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.timetable import Timing
from test_coordination.application.wishes import Ways
from test_coordination.application.world import World
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.scenario import Definition, Part
from test_coordination.domain.topology import Topology
from test_coordination.interfaces.cli.program import (
    DocumentType,
    Manual,
    ManualKey,
    Shelved,
    SystemChoice,
)
from test_coordination.kinds import catalogue
from test_coordination.settings import Settings

SCENARIOS: Final = "scenarios"
"""The folder of the definitions that come with the program."""
SCHEMAS: Final = {
    DocumentType.DEFINITION: "docs/reference/scenario.schema.json",
    DocumentType.TOPOLOGY: "docs/reference/topology.schema.json",
}


class AuthorsDesk:
    """The `Desk` of the command line."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Read the settings from ``TCOORD_*`` when they are first needed, unless given."""
        self._given = settings

    @cached_property
    def _settings(self) -> Settings:
        return self._given or Settings.read(os.environ, user=os.geteuid())

    @cached_property
    def _reader(self) -> DefinitionReader:
        world = self.world(None)
        visible = self._settings.visible(os.environ)
        return DefinitionReader(world.catalogue, world.expressions, environment=visible)

    def topology(self, choice: SystemChoice) -> Topology | None:
        """See `Desk.topology`."""
        file = choice.file or self._settings.topology
        if file is None:
            return None
        source, directory = self._system(choice, file)
        return systems.read_topology(source, directory=directory)

    def check_topology(self, text: str, *, file: str, choice: SystemChoice) -> None:
        """See `Desk.check_topology`."""
        source, directory = self._system(choice, Path(file))
        systems.parse_topology(text, source, directory=directory)

    def _system(self, choice: SystemChoice, file: Path) -> tuple[systems.Source, Path]:
        source = systems.Source(
            file=file, variables=choice.variables, port_offset=choice.port_offset
        )
        return source, systems.state_directory(self._settings.home, file)

    def world(self, topology: Topology | None) -> World:
        """See `Desk.world`."""
        clock = SystemClock()
        scenarios = MemoryScenarioStore()
        log = MemoryExecutionLog(scenarios)
        identities = TimeOrderedIdentities()
        timetable = MemoryTimetable(clock, log, identities)
        workers, jobs = MemoryWorkers(clock, log), MemoryJobs(clock)
        dispatch = MemoryDispatch(workers, jobs)
        known = catalogue(LinkKeeper(), ProcessServices())
        expressions = CelExpressions()
        visible = self._settings.visible(os.environ)
        return World(
            stores=Stores(log=log, live=MemoryLiveView(), clock=clock),
            scenarios=scenarios,
            evidence=MemoryEvidence(),
            workers=workers,
            queue=MemoryQueue(clock, log, enqueue=jobs.enqueue, offers=dispatch.offers),
            dispatch=dispatch,
            machine=ThisMachine(),
            identities=identities,
            reader=DefinitionReader(known, expressions, environment=visible),
            expressions=expressions,
            secrets=KeptSecrets(os.environ, directory=Path.cwd()),
            catalogue=known,
            timing=Timing(
                timetable=timetable,
                inbox=MemoryInbox(log, timetable),
                calendar=CronCalendar(),
                events=MemoryEvents(),
                watch=ProcessWatch(ProcessServices()),
            ),
            wishes=Ways(kept=MemoryWishes(log)),
            system=topology,
            environment=visible,
            library=FileLibrary(self._settings.library),
            shipped=FileLibrary([systems.shipped(SCENARIOS)]),
        )

    def library(self, place: Path) -> FileLibrary:
        """See `Desk.library`."""
        return FileLibrary((place, *self._settings.library, systems.shipped(SCENARIOS)))

    def beside(self, place: Path) -> FileLibrary:
        """See `Desk.beside`."""
        return FileLibrary((place,))

    def shelved(self, place: Path) -> Sequence[Shelved]:
        """See `Desk.shelved`."""
        library = self.library(place)
        parts = [part for name in library.names() if (part := library.find(name)) is not None]
        found = [(part, heading(part.text)[0]) for part in parts]
        return [
            Shelved(part=part, kind=kind, title=_title(part))
            for part, kind in found
            if kind is not None
        ]

    def headline(self, text: str) -> tuple[str, str]:
        """See `Desk.headline`."""
        kind, name = heading(text)
        if kind is not None:
            return kind.value, name or ""
        try:
            return next(((key, str(said)) for key, said in read(text, file="").items()), ("", ""))
        except InvalidDocumentError:
            return "", ""

    def read(
        self, text: str, *, file: str, place: Path, topology: Topology | None = None
    ) -> Definition:
        """See `Desk.read`."""
        return self._reader.closed(text, file=file, library=self.library(place), topology=topology)

    def manuals(self) -> Sequence[Manual]:
        """See `Desk.manuals`."""
        return tuple(map(_manual, explained(self.world(None).catalogue)))

    def schema(self, document: DocumentType) -> str:
        """See `Desk.schema`."""
        if document is DocumentType.TOPOLOGY:
            return schema_text(topology_schema())
        return schema_text(scenario_schema(self.world(None).catalogue))

    def schema_file(self, document: DocumentType) -> Path:
        """See `Desk.schema_file`."""
        return systems.shipped(SCHEMAS[document])


def _title(part: Part) -> str:
    try:
        return str(read(part.text, file=part.file).get("title", ""))
    except InvalidDocumentError:
        return ""


def _manual(found: Explained) -> Manual:
    return Manual(
        noun=found.noun,
        name=found.name,
        summary=found.summary,
        parameters=tuple(
            ManualKey(
                name=each.key,
                value=_bare(each.value),
                required=each.required,
                default=each.default,
                example=each.example,
                description=each.description,
            )
            for each in found.parameters
        ),
        facts={_bare(name): _bare(text) for name, text in found.facts.items()},
        example=found.example,
    )


def _bare(text: str) -> str:
    """Return ``text`` without the marks that set off words on a page."""
    return text.replace("`", "")
