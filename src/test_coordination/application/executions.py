"""Use cases on executions: start, take, follow, await, abort."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskGroup

from test_coordination.application.definitions import StoredScenario
from test_coordination.application.dependencies import Dependencies
from test_coordination.application.engine.attempts import LOST
from test_coordination.application.engine.lease import Hold, Lease
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.runner import Runner
from test_coordination.application.engine.vault import Vault
from test_coordination.application.equipment import equip
from test_coordination.application.fleet import NOBODY
from test_coordination.application.following import Feed
from test_coordination.application.gathering import Loaded
from test_coordination.application.holders import (
    AttachedError,
    HeldElsewhereError,
    NotRunningHereError,
)
from test_coordination.application.ports import ExecutionRecord, NotFoundError
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.world import World
from test_coordination.domain.events import AbortRequested, Entry, ExecutionStarted
from test_coordination.domain.execution import Execution, IllegalTransitionError, Status
from test_coordination.domain.plan import Plan, ScenarioWork
from test_coordination.domain.values import ExecutionId, StepId

SEED_MAX: Final = 2**53 - 1
"""The largest seed that is drawn: JSON carries it to any reader without loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How an execution is to be begun: by whose wish, how soon, and by whom.

    What is left to chance is drawn from ``seed``, itself drawn unless it is given; the plan tells
    it. ``suite`` names the run of a suite that it belongs to. Those with a higher ``priority`` are
    let in first. With an ``id`` that was drawn before, ordering twice begins one execution.

    One that is not ``detached`` belongs to the worker that begins it, and ends with it. One that
    is waits for any worker that has all that it ``requires``, and is carried on by another if
    that one dies.
    """

    requested_by: str = ""
    seed: int | None = None
    suite: str = ""
    priority: int = 0
    requires: frozenset[str] = frozenset()
    id: ExecutionId | None = None
    detached: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class _Run:
    """An execution that is under way in this process.

    Cancelling whoever started it does not reach it: it is told to stop, so that it can write
    how it ended. Only where it cannot even be told, its ``scope`` is cancelled.
    """

    recorder: Recorder
    vault: Vault
    ended: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=partial(anyio.CancelScope, shield=True))
    failure: Exception | None = None


class Executions:
    """The executions of one worker, and a look at all others."""

    def __init__(self, world: World, group: TaskGroup, lease: Lease) -> None:
        """Run executions in ``group``, whose owner must outlive them, under the ``lease``."""
        self._world = world
        self._group = group
        self._lease = lease
        self._me = lease.me
        self._feed = Feed(world.stores, group)
        self._runs: dict[ExecutionId, _Run] = {}
        self._busy: set[ExecutionId] = set()

    @property
    def busy(self) -> Collection[ExecutionId]:
        """Return the executions that this worker is at, as they come and go."""
        return self._busy

    async def start(
        self, stored: StoredScenario, given: Mapping[str, object], *, order: Order
    ) -> ExecutionId:
        """Put an execution into the queue and return its name once that is durable.

        One that is attached is begun by this worker as soon as it is let in, one that is
        detached by whichever worker takes it. An order whose ``id`` there is already changes
        nothing.

        Raises:
            DefinitionKindError: what is stored is no scenario; nothing is begun.
            InvalidDocumentError: parameters or targets do not fit; nothing is stored.
            NoTopologyError: there is no system under test; nothing is stored.
            DependencyNotMetError: a scenario that it depends on must run first; nothing is stored.
            StoreUnavailableError: whether it was stored is not known. What is attached was not
                begun, and the next sweep ends it; what is detached may be ordered again by its id.
        """
        if order.id is not None and await self._is_known(order.id):
            return order.id
        scenarios = Scenarios(world=self._world)
        loaded = await scenarios.load(stored)
        plan = scenarios.plan(loaded, given, seed=self._seed(order))
        record = replace(
            self._record(stored, plan, requested_by=order.requested_by),
            id=order.id or ExecutionId(self._world.identities.new()),
            suite=order.suite,
            priority=order.priority,
            requires=order.requires,
            detached=order.detached,
            worker=NOBODY if order.detached else self._me,
        )
        await Dependencies(world=self._world).check(record.plan)
        if record.detached:
            await self._world.stores.log.create(record)
        else:
            await self._begin(loaded, record, self._hold(record))
        return record.id

    async def _is_known(self, execution: ExecutionId) -> bool:
        try:
            await self._world.stores.log.get(execution)
        except NotFoundError:
            return False
        return True

    def _seed(self, order: Order) -> int:
        if order.seed is not None:
            return order.seed
        return (order.id or self._world.identities.new()).int & SEED_MAX

    def _record(self, stored: StoredScenario, plan: Plan, *, requested_by: str) -> ExecutionRecord:
        return ExecutionRecord(
            id=ExecutionId(self._world.identities.new()),
            scenario=stored.id,
            scenario_name=stored.name,
            scenario_version=stored.version,
            plan=plan,
            requested_at=self._world.stores.clock.now(),
            requested_by=requested_by,
            worker=self._me,
        )

    async def start_child(
        self, loaded: Loaded, work: ScenarioWork, *, parent: ExecutionId, step: StepId
    ) -> ExecutionId:
        """Begin an execution that is a step of ``parent``, by the plan that its parent has of it.

        Raises:
            DependencyNotMetError: a scenario that it depends on must run first; nothing is stored.
            StoreUnavailableError: nothing was begun; what was stored of it the next sweep ends.
        """
        stored = loaded.stored
        assert stored is not None, "what a stored scenario runs is stored"
        record = self._record(stored, work.plan, requested_by=f"execution {parent}")
        await Dependencies(world=self._world).check(record.plan)
        child = replace(record, parent=parent, parent_step=step)
        return await self._begin(loaded, child, self._hold(child))

    async def take(self, execution: ExecutionId) -> Execution:
        """Carry a detached execution on from wherever its log stands; return it at its end.

        It must have been let in, and have no worker, or one that is certainly gone. What that one
        left in force is undone before anything else is done. An execution that has ended is
        returned as it is, and one that is under way in this process is waited for.

        A caller that is cancelled lets go of it: its faults are undone, and it is free for
        another worker to take.

        Raises:
            NotFoundError: no execution has that name.
            AttachedError: it is not detached.
            HeldElsewhereError: another worker has it, and may be alive; nothing was done.
            LogConflictError: another worker has taken it over meanwhile; its faults are undone.
            StoreUnavailableError: its log could not be read or written to the end; its faults are
                undone, and it must be taken again, by whomever.
            CoordinationError: this program cannot carry it out, and why; nothing was done.
        """
        record = await self._world.stores.log.get(execution)
        if record.status is Status.FINISHED or execution in self._runs:
            return await self.result(execution)
        if not record.detached:
            raise AttachedError(execution=execution)
        loaded = await self._loaded(record)
        hold = self._lease.hold(execution, epoch=record.epoch + 1)
        epoch = await self._world.workers.claim(execution, by=self._me, epoch=record.epoch)
        if epoch is None:
            held = await self._world.stores.log.get(execution)
            raise HeldElsewhereError(execution=execution, worker=held.worker)
        await self._begin(loaded, replace(record, worker=self._me, epoch=epoch), hold)
        return await self.result(execution)

    async def _loaded(self, record: ExecutionRecord) -> Loaded:
        stored = await self._world.scenarios.get(record.scenario)
        return await Scenarios(world=self._world).load(stored)

    def _hold(self, record: ExecutionRecord) -> Hold:
        return self._lease.hold(record.id, epoch=record.epoch)

    async def _begin(self, loaded: Loaded, record: ExecutionRecord, hold: Hold) -> ExecutionId:
        vault = Vault(self._world.secrets)
        recorder = Recorder(self._world.stores, record, Execution(id=record.id), vault=vault)
        recorder.tell(self._feed.nudge)
        run = _Run(recorder=recorder, vault=vault)
        children = _Children(executions=self, members=loaded.members)
        hands = equip(
            self._world,
            loaded,
            record.plan,
            hold=hold,
            recorder=recorder,
            vault=vault,
            children=children,
        )
        runner = Runner(record.plan, hands, self._world.stores.live)
        self._busy.add(record.id)
        try:
            # Whole, even for a caller that is cancelled: what is there and was never begun would
            # be left to the next sweep, and told as something that could not run.
            with anyio.CancelScope(shield=True):
                if not record.detached:
                    await self._world.stores.log.create(record)
                await run.recorder.record(ExecutionStarted(worker=self._me))
        except BaseException:
            self._busy.discard(record.id)
            raise
        self._runs[record.id] = run
        self._group.start_soon(self._run, run, runner)
        return record.id

    async def _run(self, run: _Run, runner: Runner) -> None:
        """Run to the end; one that failed is kept, so that whoever asks for it is told."""
        execution = run.recorder.state.id
        try:
            with run.scope:
                await runner.run()
        except Exception as error:  # noqa: BLE001  a border: its failure must not end the executions beside it
            run.failure = run.failure or run.vault.conceal_error(error)
        finally:
            self._busy.discard(execution)
            if run.failure is None:
                self._runs.pop(execution)
            run.ended.set()

    async def result(self, execution: ExecutionId) -> Execution:
        """Return the execution once it has ended.

        Raises:
            LogConflictError: another worker took it over; follow it to see its end.
            StoreUnavailableError: its log could not be written to the end. Its faults are
                undone; the next sweep records the end, which `follow` shows.
            NotFoundError: no execution has that name.
        """
        run = self._runs.get(execution)
        if run is not None:
            await run.ended.wait()
            if run.failure is not None:
                raise run.failure
            return run.recorder.state
        async for _ in self.follow(execution):
            pass
        return Execution.of(execution, await self._world.stores.log.read(execution))

    def follow(self, execution: ExecutionId, *, after: int = 0) -> AsyncIterator[Entry]:
        """Yield the entries of an execution past ``after`` as they come, to its end.

        Raises:
            NotFoundError: no execution has that name.
            StoreUnavailableError: the store was away for longer than ``STORE_PATIENCE``.
        """
        return self._feed.follow(execution, after=after)

    def _running(self, execution: ExecutionId) -> _Run | None:
        run = self._runs.get(execution)
        return None if run is None or run.ended.is_set() else run

    async def abort(self, execution: ExecutionId, *, reason: str, by: str) -> None:
        """Stop an execution of this worker: its faults are undone, newest first.

        Returns when the wish is durable; stopping what has ended already does nothing.

        Raises:
            NotRunningHereError: this worker does not run it.
            NotFoundError: no execution has that name.
            LogConflictError: another worker has taken it over; its faults are being undone.
            StoreUnavailableError: the wish could not be recorded; the execution is stopped and
                its faults are being undone all the same.
        """
        run = self._running(execution)
        if run is None:
            record = await self._world.stores.log.get(execution)
            if record.status is not Status.FINISHED:
                raise NotRunningHereError(execution=execution)
        elif run.recorder.state.abort is None:
            await self._abort(run, AbortRequested(reason=reason, by=by))

    async def _abort(self, run: _Run, wish: AbortRequested) -> None:
        try:
            await run.recorder.record(wish)
        except IllegalTransitionError:
            return  # it has ended while the wish waited for its turn
        except LOST as error:
            run.failure = run.failure or error
            run.scope.cancel()
            raise

    async def abort_all(self, *, reason: str, by: str) -> None:
        """Stop every execution of this worker, and return when all have ended.

        One whose log cannot be written any more is stopped all the same.
        """

        async def stop(run: _Run) -> None:
            with suppress(*LOST):
                await self._abort(run, AbortRequested(reason=reason, by=by))
            await run.ended.wait()

        async with anyio.create_task_group() as group:
            for run in [run for run in self._runs.values() if not run.ended.is_set()]:
                group.start_soon(stop, run)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Children:
    """The executions that are steps of one, run by the same worker; see `Children`.

    ``members`` are the scenarios that they run, as they were when what runs them was stored.
    """

    executions: Executions
    members: Mapping[str, Loaded]

    async def start(self, work: ScenarioWork, *, parent: ExecutionId, step: StepId) -> ExecutionId:
        loaded = self.members[work.scenario]
        return await self.executions.start_child(loaded, work, parent=parent, step=step)

    async def result(self, execution: ExecutionId) -> Execution:
        return await self.executions.result(execution)

    async def abort(self, execution: ExecutionId, *, reason: str) -> None:
        await self.executions.abort(execution, reason=reason, by="the execution that began it")
