"""The domain API: what a program may ask of a coordinator, in the domain's words alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import NoReturn

from test_coordination.application.agenda import Agenda
from test_coordination.application.definitions import (
    EMPTY_SHELF,
)
from test_coordination.application.dependencies import Dependencies, Standing
from test_coordination.application.engine.sweep import Swept
from test_coordination.application.executions import Order
from test_coordination.application.fleet import Presence, Waiting
from test_coordination.application.gathering import Loaded
from test_coordination.application.outlook import Forecast, Outlook
from test_coordination.application.ports import ExecutionRecord, Library
from test_coordination.application.reports import Reports
from test_coordination.application.scheduler import Scheduler
from test_coordination.application.shelf import TEXT_FILE
from test_coordination.application.snapshots import Snapshots, ValidationResult
from test_coordination.application.steering import Steering
from test_coordination.application.suite_runs import (
    EntryResult,
    SuiteResult,
    SuiteRunId,
)
from test_coordination.application.suites import PlannedSuite, Suites
from test_coordination.application.work import Work
from test_coordination.application.world import World
from test_coordination.domain.events import Entry
from test_coordination.domain.execution import Execution, FaultState
from test_coordination.domain.plan import Plan
from test_coordination.domain.report import TestReport
from test_coordination.domain.topology import Invariant, Topology
from test_coordination.domain.values import ExecutionId, ScenarioId, SnapshotId, Value


class Coordinator(Agenda, Steering):
    """Stores scenarios, runs them, watches, undoes, and tells what it saw.

    It lives inside `coordinating`, and its executions end with it.
    """

    def __init__(self, world: World, work: Work, *, swept: Sequence[Swept] = ()) -> None:
        """Say in ``swept`` what was undone before the coordinator was lent."""
        super().__init__(world)
        self.swept = swept
        self.work = work
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
        detached: bool = False,
        labels: Collection[str] = (),
        priority: int = 0,
    ) -> ExecutionId:
        """Put an execution into the queue and return its identity as soon as that is durable.

        It is begun by this process, and ends with it; a ``detached`` one is carried out by a
        worker of the fleet that has the ``labels``, such as ``zone=eu``. Those of a higher
        ``priority`` are let in first.

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
        order = Order(
            requested_by=requested_by,
            seed=seed,
            priority=priority,
            requires=frozenset(labels),
            detached=detached,
        )
        return await self._executions.start(stored, given, order=order)

    async def workers(self) -> Sequence[Presence]:
        """Return the workers that have not left, those that only run what is theirs included."""
        return await self._world.dispatch.present()

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

    async def execution_forecast(self, execution: ExecutionId) -> Callable[[Execution], Outlook]:
        """Return what tells, of an execution as its log stands, how far it has come by now.

        It knows how long the steps took in executions of the same scenario that had ended when
        this one was asked for, so it says the same in every process.

        Raises:
            NotFoundError: no execution has that identity.
        """
        stores = self._world.stores
        record = await stores.log.get(execution)
        past = await stores.log.durations(record.scenario_name, before=record.requested_at)
        forecast = Forecast(record.plan, past)
        return lambda state: forecast.outlook(state, stores.clock.now())

    async def execution_progress(self, execution: ExecutionId) -> Outlook:
        """Return how far an execution has come, what it is at, and how long it may take yet.

        Raises:
            NotFoundError: no execution has that identity.
        """
        outlook = await self.execution_forecast(execution)
        return outlook(Execution.of(execution, await self._world.stores.log.read(execution)))

    async def execution_result(self, execution: ExecutionId) -> Execution:
        """Return the execution once it has ended.

        Raises:
            NotFoundError: no execution has that identity.
            StoreUnavailableError: its log could not be written to the end; its faults are undone.
            LogConflictError: another worker took it over; its faults are undone.
        """
        return await self._executions.result(execution)

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

    async def waiting_executions(self, *, limit: int = 20) -> Sequence[Waiting]:
        """Return at most ``limit`` executions that wait to begin, and what each waits for.

        They come in the order in which they are let in if what they need is free; before them
        stand those that have been let in and wait for their worker.
        """
        return await self._world.queue.waiting(limit=limit)

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
        priority: int = 0,
    ) -> SuiteRunId:
        """Begin a run of a suite, once everything in it has been planned, and return its name.

        What is left to chance in an entry is drawn from ``seed``, or from one of its own. Entries
        of a higher ``priority`` are let in before others.

        Raises:
            NotFoundError: nothing is stored under ``suite``.
            DefinitionKindError: it is no suite.
            InvalidDocumentError: parameters of any entry do not fit; nothing was begun.
            CircularNeedsError: entries need each other; nothing was begun.
        """
        stored = await self._world.scenarios.get(suite)
        return await self._suites.start(
            stored, parameters or {}, requested_by=requested_by, seed=seed, priority=priority
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

    async def accept_residue(
        self, execution: ExecutionId, *, reason: str, by: str
    ) -> Sequence[FaultState]:
        """See `Sweeper.accept`: somebody answers for what cannot be proven undone."""
        return await self._sweeper.accept(execution, reason=reason, by=by)

    async def run_schedules(self) -> NoReturn:
        """Have executions begun whenever a schedule is due, until this is cancelled.

        Any number of programs may do so at once: each run that is due is begun once, also if one
        of them dies. Looked after are the schedules of this system under test. What is begun
        waits for a worker.
        """
        scheduler = Scheduler(self._world, begin=self._executions.start, stop=self.abort_execution)
        await scheduler.run()
