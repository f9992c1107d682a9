"""The domain API: what a program may ask of a coordinator, in the domain's words alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from test_coordination.application.definitions import (
    EMPTY_SHELF,
    DefinitionFilter,
    StoredScenario,
)
from test_coordination.application.dependencies import Dependencies, Standing
from test_coordination.application.differences import VersionDifference
from test_coordination.application.engine.sweep import Sweeper, Swept
from test_coordination.application.executions import Executions, Order
from test_coordination.application.gathering import Loaded
from test_coordination.application.ports import ExecutionRecord, Library
from test_coordination.application.reports import Reports
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.snapshots import Snapshots, ValidationResult
from test_coordination.application.suite_runs import (
    EntryResult,
    SuiteResult,
    SuiteRunId,
    SuiteRuns,
)
from test_coordination.application.suites import PlannedSuite, Suites
from test_coordination.application.world import World
from test_coordination.domain.events import Entry
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan
from test_coordination.domain.report import TestReport
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.topology import Invariant, Topology
from test_coordination.domain.values import ExecutionId, ScenarioId, SnapshotId, Value

TEXT_FILE: Final = "<text>"
SCENARIOS: Final = DefinitionFilter(kind=DocumentKind.SCENARIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a coordinator is at."""

    executions: Executions
    suites: SuiteRuns
    sweeper: Sweeper


class Coordinator:
    """Stores scenarios, runs them, watches, undoes, and tells what it saw.

    It lives inside `coordinating`, and its executions end with it.
    """

    def __init__(self, world: World, work: Work, *, swept: Sequence[Swept] = ()) -> None:
        """Say in ``swept`` what was undone before the coordinator was lent."""
        self.swept = swept
        self._world = world
        self._scenarios = Scenarios(world=world)
        self._executions = work.executions
        self._suites = work.suites
        self._sweeper = work.sweeper

    @property
    def topology(self) -> Topology:
        """Return the system under test.

        Raises:
            NoTopologyError: none was given.
        """
        return self._world.topology(doing="this")

    async def create_scenario(
        self, definition: str, *, file: str = TEXT_FILE, library: Library = EMPTY_SHELF
    ) -> ScenarioId:
        """Store the YAML text ``definition`` of a scenario and return its identity.

        A definition that is changed becomes the next version of its name, under an identity of
        its own; the same text again gives the same identity. What it extends or runs is looked
        for in ``library`` first; scenarios that it runs are stored as well.

        Raises:
            InvalidDocumentError: it has mistakes; all are said, and nothing is stored.
            DefinitionKindError: it is no scenario, or its name is that of something else.
            CircularNeedsError: it runs itself by way of others; nothing is stored.
        """
        return await self._create(definition, file, (DocumentKind.SCENARIO, library))

    async def create_template(
        self, definition: str, *, file: str = TEXT_FILE, library: Library = EMPTY_SHELF
    ) -> ScenarioId:
        """Store a template that scenarios extend by name; see `create_scenario`."""
        return await self._create(definition, file, (DocumentKind.TEMPLATE, library))

    async def create_suite(
        self, definition: str, *, file: str = TEXT_FILE, library: Library = EMPTY_SHELF
    ) -> ScenarioId:
        """Store a suite and the scenarios that it runs; see `create_scenario`."""
        return await self._create(definition, file, (DocumentKind.SUITE, library))

    async def _create(
        self, text: str, file: str, scope: tuple[DocumentKind, Library]
    ) -> ScenarioId:
        expected, library = scope
        stored = await self._scenarios.create(text, file=file, expected=expected, library=library)
        return stored.id

    async def stored_scenario(self, scenario: ScenarioId) -> StoredScenario:
        """Return one stored version of a definition of any kind.

        Raises:
            NotFoundError: nothing is stored under that identity.
        """
        return await self._world.scenarios.get(scenario)

    async def list_scenarios(
        self, wanted: DefinitionFilter = SCENARIOS, *, limit: int = 50, after: str = ""
    ) -> Sequence[StoredScenario]:
        """Return the newest versions of at most ``limit`` names behind ``after``, by name.

        These are the scenarios in use, unless the filter says otherwise: with another kind they
        are templates or suites, with None all that is stored.
        """
        return await self._world.scenarios.list(wanted, limit=limit, after=after)

    async def scenario_versions(self, name: str) -> Sequence[StoredScenario]:
        """Return every version of a definition of any kind, newest first.

        Raises:
            NotFoundError: nothing has that name.
        """
        return await self._world.scenarios.versions(name)

    async def diff_versions(self, name: str, before: int, after: int) -> VersionDifference:
        """Return how two versions of a definition differ, in what they mean and as texts.

        Raises:
            NotFoundError: there is no such version.
            InvalidDocumentError: this program does not take any more what it took then.
        """
        return await self._scenarios.difference(name, before, after)

    async def export_scenario(self, scenario: ScenarioId, *, resolved: bool = False) -> str:
        """Return a definition's text as it was stored; ``resolved``, as one that extends nothing.

        Raises:
            NotFoundError: nothing is stored under that identity.
            InvalidDocumentError: this program does not take any more what it took then.
        """
        stored = await self._world.scenarios.get(scenario)
        return self._scenarios.export(stored, resolved=resolved)

    async def deprecate_scenario(self, name: str, *, because: str) -> None:
        """Note that a definition should not be used any more, and why; it is not listed then.

        It can still be run and extended. A new version of it takes the note away.

        Raises:
            NotFoundError: nothing has that name.
        """
        now = self._world.stores.clock.now()
        await self._world.scenarios.deprecate(name, because=because, at=now)

    async def restore_scenario(self, name: str) -> None:
        """Take back that a definition should not be used, if anybody said so.

        Raises:
            NotFoundError: nothing has that name.
        """
        await self._world.scenarios.restore(name)

    async def plan_scenario(
        self,
        definition: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        file: str = TEXT_FILE,
        library: Library = EMPTY_SHELF,
        seed: int = 0,
    ) -> Plan:
        """Return what running ``definition`` would mean; nothing is stored or touched.

        Raises:
            InvalidDocumentError: it has mistakes, or ``parameters`` do not fit.
            DefinitionKindError: it is no scenario.
            NoTopologyError: there is no system under test.
        """
        loaded = await self._scenarios.read(definition, file=file, library=library)
        return self._scenarios.plan(loaded, parameters or {}, seed=seed)

    async def dependencies(self, plan: Plan) -> Sequence[Standing]:
        """Return how each scenario that ``plan`` depends on stands now, met or not."""
        return await Dependencies(world=self._world).standings(plan)

    async def execute_scenario(
        self,
        scenario: ScenarioId,
        parameters: Mapping[str, Value] | None = None,
        *,
        requested_by: str = "",
        seed: int | None = None,
        with_dependencies: bool = False,
        library: Library = EMPTY_SHELF,
    ) -> ExecutionId:
        """Start an execution and return its identity as soon as its start is durable.

        What is left to chance is drawn from ``seed``, itself drawn unless it is given.
        ``with_dependencies`` runs what it depends on and is not met first, and what that depends
        on, each to its end; these are looked for in ``library`` first. A caller that is cancelled
        meanwhile leaves those that are under way to run on.

        Raises:
            NotFoundError: nothing is stored under ``scenario``.
            DefinitionKindError: it is no scenario.
            InvalidDocumentError: ``parameters`` or targets do not fit; nothing was begun.
            DependencyNotMetError: what it depends on has not run, or not with the verdict that
                is needed; the execution was not begun.
            CircularNeedsError: scenarios depend on each other; nothing was begun.
        """
        stored = await self._world.scenarios.get(scenario)
        given = parameters or {}
        if with_dependencies:
            loaded = await self._scenarios.load(stored)
            plan = self._scenarios.plan(loaded, given, seed=seed or 0)
            await self._run_missing(plan, library=library, requested_by=requested_by)
        order = Order(requested_by=requested_by, seed=seed)
        return await self._executions.start(stored, given, order=order)

    async def _run_missing(self, plan: Plan, *, library: Library, requested_by: str) -> None:
        async def run(loaded: Loaded) -> ExecutionRecord:
            stored = await self._scenarios.keep(loaded)
            order = Order(requested_by=requested_by)
            execution = await self._executions.start(stored, {}, order=order)
            await self._executions.result(execution)
            return await self._world.stores.log.get(execution)

        dependencies = Dependencies(world=self._world)
        await dependencies.run(await dependencies.missing(plan, library=library), run)

    def follow_execution(self, execution: ExecutionId, *, after: int = 0) -> AsyncIterator[Entry]:
        """Yield each entry of an execution's log past ``after`` as it comes, to its end.

        Raises:
            NotFoundError: no execution has that identity.
        """
        return self._executions.follow(execution, after=after)

    async def execution_result(self, execution: ExecutionId) -> Execution:
        """Return the execution once it has ended.

        Raises:
            NotFoundError: no execution has that identity.
            StoreUnavailableError: its log could not be written to the end; its faults are undone.
            LogConflictError: another worker took it over; its faults are undone.
        """
        return await self._executions.result(execution)

    async def abort_execution(self, execution: ExecutionId, *, reason: str, by: str) -> None:
        """Stop an execution that this process runs; every fault is undone, newest first.

        Raises:
            NotRunningHereError: another process runs it.
            NotFoundError: no execution has that identity.
            StoreUnavailableError: the wish could not be recorded; the execution is stopped and
                its faults are being undone all the same.
        """
        await self._executions.abort(execution, reason=reason, by=by)

    async def execution_record(self, execution: ExecutionId) -> ExecutionRecord:
        """Return an execution as it stands now, with the plan that it is carried out by.

        Raises:
            NotFoundError: no execution has that identity.
        """
        return await self._world.stores.log.get(execution)

    async def list_executions(
        self, *, limit: int = 20, before: ExecutionId | None = None, suite: str = ""
    ) -> Sequence[ExecutionRecord]:
        """Return at most ``limit`` executions, newest first, older than ``before``.

        With a ``suite``, such as `execute_suite` returns, only those of that run are returned.
        """
        return await self._world.stores.log.recent(limit=limit, before=before, suite=suite)

    async def plan_suite(
        self,
        definition: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        file: str = TEXT_FILE,
        library: Library = EMPTY_SHELF,
        seed: int = 0,
    ) -> PlannedSuite:
        """Return what running the suite in ``definition`` would mean; nothing is stored or touched.

        Raises:
            InvalidDocumentError: it has mistakes, or parameters of any entry do not fit.
            DefinitionKindError: it is no suite.
            CircularNeedsError: entries need each other.
            NoTopologyError: there is no system under test.
        """
        loaded = await self._scenarios.read(definition, file=file, library=library)
        return Suites(world=self._world).plan(loaded, parameters or {}, seed=seed)

    async def execute_suite(
        self,
        suite: ScenarioId,
        parameters: Mapping[str, Value] | None = None,
        *,
        requested_by: str = "",
        seed: int | None = None,
    ) -> SuiteRunId:
        """Begin a run of a suite, once everything in it has been planned, and return its name.

        What is left to chance in an entry is drawn from ``seed``, or from one of its own.

        Raises:
            NotFoundError: nothing is stored under ``suite``.
            DefinitionKindError: it is no suite.
            InvalidDocumentError: parameters of any entry do not fit; nothing was begun.
            CircularNeedsError: entries need each other; nothing was begun.
        """
        stored = await self._world.scenarios.get(suite)
        return await self._suites.start(
            stored, parameters or {}, requested_by=requested_by, seed=seed
        )

    def follow_suite(self, run: SuiteRunId) -> AsyncIterator[EntryResult]:
        """Yield each entry of a suite's run when it begins and when it is settled, to its end.

        Raises:
            SuiteNotRunningHereError: this coordinator has not begun that run.
        """
        return self._suites.follow(run)

    async def suite_result(self, run: SuiteRunId) -> SuiteResult:
        """Return how a run of a suite ended, once it has.

        Raises:
            SuiteNotRunningHereError: this coordinator has not begun that run.
        """
        return await self._suites.result(run)

    async def abort_suite(self, run: SuiteRunId, *, reason: str, by: str) -> None:
        """Stop what runs of a suite, every fault is undone, and begin nothing further of it.

        Raises:
            SuiteNotRunningHereError: this coordinator has not begun that run.
            StoreUnavailableError: a wish could not be recorded; what runs is stopped and its
                faults are being undone all the same.
        """
        await self._suites.abort(run, reason=reason, by=by)

    async def capture_system_state(self, services: Sequence[str] = ()) -> SnapshotId:
        """Capture the state of ``services``, or of all if none is named, and store it.

        Raises:
            UnknownServiceError: the system has no such service.
            NoTopologyError: there is no system under test.
        """
        return await Snapshots(world=self._world).capture(services)

    async def validate_system_state(
        self, snapshot: SnapshotId, expectations: Sequence[Invariant] | None = None
    ) -> ValidationResult:
        """Judge a snapshot by ``expectations``, or by the invariants of the topology.

        Raises:
            NotFoundError: nothing is stored under ``snapshot``.
            InvalidExpressionError: an expectation is wrong.
        """
        return await Snapshots(world=self._world).validate(snapshot, expectations)

    async def generate_test_report(self, execution: ExecutionId) -> TestReport:
        """Return everything that is known of an execution, also while it runs.

        Raises:
            NotFoundError: no execution has that identity.
        """
        return await Reports(world=self._world).generate(execution)

    async def undo_faults(self) -> Sequence[Swept]:
        """Undo what dead coordinators left, and what could not be undone before; say what was.

        Executions that living coordinators run are not touched.

        Raises:
            StoreUnavailableError: the stores cannot be read or written.
        """
        return await self._sweeper.sweep(again=True)
