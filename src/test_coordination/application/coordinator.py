"""The domain API: what a program may ask of a coordinator, in the domain's words alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import anyio
from anyio.abc import TaskGroup

from test_coordination.application.definitions import StoredScenario
from test_coordination.application.engine.sweep import Sweeper, Swept
from test_coordination.application.executions import Executions
from test_coordination.application.ports import ExecutionRecord, Worker
from test_coordination.application.reports import Reports
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.snapshots import Snapshots, ValidationResult
from test_coordination.application.world import World
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan
from test_coordination.domain.report import TestReport
from test_coordination.domain.topology import Invariant, Topology
from test_coordination.domain.values import ExecutionId, ScenarioId, SnapshotId, Value, WorkerId

LEASE: Final = timedelta(seconds=10)
BEAT_EVERY: Final = timedelta(seconds=2)
SWEEP_EVERY: Final = timedelta(seconds=5)
TEXT_FILE: Final = "<text>"


class Coordinator:
    """Stores scenarios, runs them, watches, undoes, and tells what it saw.

    It lives inside `coordinating`, and its executions end with it.
    """

    def __init__(
        self,
        world: World,
        executions: Executions,
        sweeper: Sweeper,
        *,
        swept: Sequence[Swept] = (),
    ) -> None:
        """Say in ``swept`` what was undone before the coordinator was lent."""
        self.swept = swept
        self._world = world
        self._scenarios = Scenarios(world=world)
        self._executions = executions
        self._sweeper = sweeper

    @property
    def topology(self) -> Topology:
        """Return the system under test.

        Raises:
            NoTopologyError: none was given.
        """
        return self._world.topology(doing="this")

    async def create_scenario(self, definition: str, *, file: str = TEXT_FILE) -> ScenarioId:
        """Store the YAML text ``definition`` and return its identity.

        A definition that is changed becomes the next version of its name, under an identity of
        its own; the same text again gives the same identity.

        Raises:
            InvalidDocumentError: it has mistakes; all are said, and nothing is stored.
        """
        return (await self._scenarios.create(definition, file=file)).id

    def plan_scenario(
        self,
        definition: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        file: str = TEXT_FILE,
    ) -> Plan:
        """Return what running ``definition`` would mean; nothing is stored or touched.

        Raises:
            InvalidDocumentError: it has mistakes, or ``parameters`` do not fit.
            NoTopologyError: there is no system under test.
        """
        return self._scenarios.plan(
            self._world.reader.read(definition, file=file), parameters or {}
        )

    async def execute_scenario(
        self,
        scenario: ScenarioId,
        parameters: Mapping[str, Value] | None = None,
        *,
        requested_by: str = "",
    ) -> ExecutionId:
        """Start an execution and return its identity as soon as its start is durable.

        Raises:
            NotFoundError: nothing is stored under ``scenario``.
            InvalidDocumentError: ``parameters`` or targets do not fit; nothing was begun.
        """
        stored = await self._world.scenarios.get(scenario)
        return await self._executions.start(stored, parameters or {}, requested_by=requested_by)

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

    async def list_executions(
        self, *, limit: int = 20, before: ExecutionId | None = None
    ) -> Sequence[ExecutionRecord]:
        """Return at most ``limit`` executions, newest first, older than ``before``."""
        return await self._world.stores.log.recent(limit=limit, before=before)

    async def stored_scenario(self, scenario: ScenarioId) -> StoredScenario:
        """Return one stored version of a scenario.

        Raises:
            NotFoundError: nothing is stored under that identity.
        """
        return await self._world.scenarios.get(scenario)

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


@asynccontextmanager
async def coordinating(world: World) -> AsyncGenerator[Coordinator]:
    """Lend a coordinator; what dead ones left is undone before it is lent.

    At the end its executions are stopped and their faults undone, also when it is cancelled.
    What the body raises comes out as it is.

    Raises:
        StoreUnavailableError: the stores could not be read or written to begin with.
    """
    worker = world.machine.present(WorkerId(world.identities.new()))
    await world.workers.beat(worker, lease=LEASE)
    failure: BaseException | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_beat, world, worker)
            try:
                async with _at_work(world, group, worker.id) as coordinator:
                    yield coordinator
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001  a task group would wrap it
                failure = error
            group.cancel_scope.cancel()
        # CPython 3.11 traces no line here, after the group was cancelled: tests run it, unseen.
        if failure is not None:  # pragma: no cover
            raise failure
    finally:
        await _leave(world, worker)


@asynccontextmanager
async def _at_work(world: World, group: TaskGroup, me: WorkerId) -> AsyncGenerator[Coordinator]:
    executions = Executions(world, group, me)
    sweeper = Sweeper(
        stores=world.stores,
        workers=world.workers,
        machine=world.machine,
        faults=world.catalogue.faults,
        me=me,
        busy=executions.busy,
    )
    swept = await sweeper.sweep()
    group.start_soon(_keep_sweeping, sweeper)
    try:
        yield Coordinator(world, executions, sweeper, swept=swept)
    finally:
        with anyio.CancelScope(shield=True):
            await executions.abort_all(reason="its coordinator was closed", by="the program")


async def _leave(world: World, worker: Worker) -> None:
    """Say goodbye; if the store does not hear it, the lease runs out by itself."""
    with anyio.move_on_after(LEASE.total_seconds(), shield=True), suppress(StoreUnavailableError):
        await world.workers.leave(worker.id)


async def _beat(world: World, worker: Worker) -> None:
    while True:
        await anyio.sleep(BEAT_EVERY.total_seconds())
        try:
            await world.workers.beat(worker, lease=LEASE)
        except StoreUnavailableError:
            continue


async def _keep_sweeping(sweeper: Sweeper) -> None:
    while True:
        await anyio.sleep(SWEEP_EVERY.total_seconds())
        try:
            await sweeper.sweep()
        except StoreUnavailableError:
            continue
