"""Use cases on executions: start, take, follow, await, abort."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import anyio
from anyio.abc import TaskGroup

from test_coordination.application.definitions import StoredScenario
from test_coordination.application.dependencies import Dependencies
from test_coordination.application.engine.attempts import LOST
from test_coordination.application.engine.lease import Hold, Lease
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.vault import Vault
from test_coordination.application.equipment import equip
from test_coordination.application.fleet import NOBODY
from test_coordination.application.following import Feed
from test_coordination.application.gathering import Loaded
from test_coordination.application.heeding import Heeding
from test_coordination.application.holders import HeldElsewhereError, NotRunningHereError
from test_coordination.application.lobby import Lobby
from test_coordination.application.offspring import Offspring
from test_coordination.application.ports import ExecutionRecord, NotFoundError
from test_coordination.application.routing import required
from test_coordination.application.running import Run
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.taking import Taking
from test_coordination.application.wishes import Wish
from test_coordination.application.world import World
from test_coordination.domain.events import AbortRequested, Entry
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.plan import Plan, ScenarioWork
from test_coordination.domain.values import ExecutionId, StepId

SEED_MAX: Final = 2**53 - 1
"""The largest seed that is drawn: JSON carries it to any reader without loss."""

_TOLD: Final = "its worker was told to end"


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


class Executions:
    """The executions of one worker, and a look at all others."""

    def __init__(
        self,
        world: World,
        group: TaskGroup,
        lease: Lease,
        *,
        settling: Collection[ExecutionId] = (),
    ) -> None:
        """Run executions in ``group``, whose owner must outlive them, under the ``lease``.

        Those in ``settling`` this worker clears away after another; none is taken meanwhile.
        Nothing that waits in the queue begins before the ``lobby`` is run.
        """
        self.lobby = Lobby(world.queue)
        self._world = world
        self._group = group
        self._lease = lease
        self._settling = settling
        self._me = lease.me
        self._scenarios = Scenarios(world=world)
        self._feed = Feed(world.stores, group)
        self._runs: dict[ExecutionId, Run] = {}
        self._busy: set[ExecutionId] = set()
        self._heeding = Heeding(group, self._runs, self._busy)

    @property
    def busy(self) -> Collection[ExecutionId]:
        """Return the executions that this worker is at, as they come and go."""
        return self._busy

    async def start(
        self, stored: StoredScenario, given: Mapping[str, object], *, order: Order
    ) -> ExecutionId:
        """Put an execution into the queue and return its name once that is durable.

        This worker begins one that is attached as soon as it is let in; a detached one waits for
        any worker to take it. An order whose ``id`` there is already changes nothing.

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
        loaded = await self._scenarios.load(stored)
        plan = self._scenarios.plan(loaded, given, seed=self._seed(order))
        record = replace(
            self._record(stored, plan, id_=order.id),
            requested_by=order.requested_by,
            suite=order.suite,
            priority=order.priority,
        )
        await Dependencies(world=self._world).check(record.plan)
        if order.detached:
            needed = required(plan, self._world.catalogue, order.requires)
            left = replace(record, worker=NOBODY, detached=True, requires=needed)
            await self._world.stores.log.create(left)
            self.lobby.hint()
        else:
            await self._begin(loaded, record)
        return record.id

    async def start_child(
        self, loaded: Loaded, work: ScenarioWork, *, parent: ExecutionId, step: StepId
    ) -> ExecutionId:
        """Begin an execution that is a step of ``parent``, by the plan that its parent has of it.

        It is detached if its parent is. It never waits in the queue.

        Raises:
            DependencyNotMetError: a scenario that it depends on must run first; nothing is stored.
            StoreUnavailableError: nothing was begun; what was stored of it the next sweep ends.
        """
        stored = loaded.stored
        assert stored is not None, "what a stored scenario runs is stored"
        above = self._runs[parent]
        began_at = above.state.changed_at
        assert began_at is not None, "its parent has begun"
        record = replace(
            self._record(stored, work.plan),
            # Not before the try that it is of, which another worker's clock may have seen begin.
            requested_at=max(self._world.stores.clock.now(), began_at),
            requested_by=f"execution {parent}",
            parent=parent,
            parent_step=step,
            detached=above.record.detached,
        )
        await Dependencies(world=self._world).check(record.plan)
        await self._begin(loaded, record)
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

    def _record(
        self, stored: StoredScenario, plan: Plan, *, id_: ExecutionId | None = None
    ) -> ExecutionRecord:
        return ExecutionRecord(
            id=id_ or ExecutionId(self._world.identities.new()),
            scenario=stored.id,
            scenario_name=stored.name,
            scenario_version=stored.version,
            plan=plan,
            requested_at=self._world.stores.clock.now(),
            requested_by="",
            worker=self._me,
        )

    async def _begin(self, loaded: Loaded, record: ExecutionRecord) -> None:
        hold = self._lease.hold(record.id, epoch=record.epoch)
        run = self._run(loaded, record, Execution(id=record.id), hold=hold)
        self._busy.add(record.id)
        try:
            # Whole, even for a caller that is cancelled: a sweep would say that it could not run.
            log = self._world.stores.log
            await patiently(lambda: log.create(record), doing="beginning an execution", whole=True)
        except BaseException:
            self._busy.discard(record.id)
            raise
        self._launch(run)

    def _run(self, loaded: Loaded, record: ExecutionRecord, state: Execution, *, hold: Hold) -> Run:
        vault = Vault(self._world.secrets)
        recorder = Recorder(self._world.stores, record, state, vault=vault)
        recorder.tell(self._feed.nudge)
        hands = equip(
            self._world,
            loaded,
            record.plan,
            hold=hold,
            recorder=recorder,
            vault=vault,
            children=Offspring(
                carrier=self,
                log=self._world.stores.log,
                parent=record.id,
                members=loaded.members,
            ),
        )
        return Run(world=self._world, record=record, hands=hands)

    def _launch(self, run: Run, *, why: str = "") -> None:
        execution = run.record.id
        self._busy.add(execution)
        self._runs[execution] = run
        self._heeding.join(run)

        async def carry_out() -> None:
            try:
                await run.carry_out(self.lobby, why=why)
            finally:
                self._busy.discard(execution)
                self._feed.lose(run.record, run.failure)
                # One of ours that failed is kept, so that whoever asks for it is told.
                if run.failure is None or run.record.detached:
                    del self._runs[execution]
                self.lobby.hint()

        self._group.start_soon(carry_out)

    async def take(self, execution: ExecutionId) -> Execution:
        """Carry a detached execution on from wherever its log stands; return it at its end.

        It must have no worker, or one that is certainly gone. What that one left in force is
        undone before anything else is done. An execution that has ended is returned as it is, and
        one that is under way in this process is waited for.

        A caller that is cancelled lets go of it: its faults are undone, and it is free for
        another worker to take.

        Raises:
            NotFoundError: no execution has that name.
            AttachedError: it is not detached.
            HeldElsewhereError: another worker has it, and may be alive, or this one is just about
                to take it; nothing was done.
            LetGoError: this worker lets go of it; it must be taken again, by another one.
            LogConflictError: another worker has taken it over meanwhile.
            StoreUnavailableError: its log could not be read or written to the end; its faults are
                undone, and it must be taken again, by whomever.
            CoordinationError: this program cannot carry it out, and why; nothing was done.
        """
        run = await self._taken(execution)
        if run is None:
            return await self.result(execution)
        try:
            return await run.result()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await run.let_go(_TOLD)
            raise

    async def carried_on(self, execution: ExecutionId) -> Execution:
        """Return an execution at its end; this worker carries it on if nobody else is at it.

        Raises:
            CoordinationError: see `take`.
        """
        run = self._runs.get(execution) or await self._taken(execution)
        return await (self.result(execution) if run is None else run.result())

    async def _taken(self, execution: ExecutionId) -> Run | None:
        """Return an execution as it runs here, claimed if need be; None if it has ended."""
        if (run := self._running(execution)) is not None:
            return run
        record = await self._world.stores.log.get(execution)
        if record.status is Status.FINISHED:
            return None
        if execution in self._busy or (record.worker == self._me and execution in self._settling):
            raise HeldElsewhereError(execution=execution, worker=self._me)
        self._busy.add(execution)
        try:
            # Whole: what was claimed and is not begun would be found by the next sweep only.
            with anyio.CancelScope(shield=True):
                taking = Taking(world=self._world, scenarios=self._scenarios, lease=self._lease)
                taken = await taking.take(record)
                run = self._run(taken.loaded, taken.record, taken.state, hold=taken.hold)
                self._launch(run, why=taken.why)
        except BaseException:
            self._busy.discard(execution)
            raise
        return run

    async def result(self, execution: ExecutionId) -> Execution:
        """Return the execution once it has ended.

        Raises:
            LogConflictError: another worker took it over; follow it to see its end.
            LetGoError: another worker is to carry it on; follow it to see its end.
            StoreUnavailableError: its log could not be written to the end. Its faults are
                undone; the next sweep records the end, which `follow` shows.
            NotFoundError: no execution has that name.
        """
        run = self._runs.get(execution)
        if run is not None:
            return await run.result()
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

    def is_leaving(self, execution: ExecutionId) -> bool:
        """Tell whether this worker lets go of an execution."""
        run = self._running(execution)
        return run is not None and bool(run.leaving)

    async def let_go(self, execution: ExecutionId) -> None:
        """Let go of an execution, if it runs here; return when its faults are undone."""
        if (run := self._running(execution)) is not None:
            await run.let_go(_TOLD)

    async def bring_in(self, execution: ExecutionId) -> None:
        """Have this worker carry an execution on, unless it does, or it has ended.

        Raises:
            HeldElsewhereError: another worker has it, and may be alive.
            CoordinationError: see `take`.
        """
        await self._taken(execution)

    def _running(self, execution: ExecutionId) -> Run | None:
        run = self._runs.get(execution)
        return None if run is None or run.ended.is_set() else run

    def has(self, execution: ExecutionId) -> bool:
        """Tell whether this worker is at an execution."""
        return self._running(execution) is not None

    def heed(self, wish: Wish) -> frozenset[ExecutionId]:
        """Carry out at once what somebody wishes; return the executions here that it is for."""
        return self._heeding.heed(wish)

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
        elif run.state.abort is None:
            await run.abort(AbortRequested(reason=reason, by=by))

    async def close(self, *, reason: str, by: str) -> None:
        """Stop what is attached, let go of what is detached, and return when nothing is left.

        One whose log cannot be written any more is stopped all the same.
        """

        async def stop(run: Run) -> None:
            with suppress(*LOST):
                await run.abort(AbortRequested(reason=reason, by=by))
            await run.ended.wait()

        async with anyio.create_task_group() as group:
            for run in [run for run in self._runs.values() if not run.ended.is_set()]:
                if not run.record.detached:
                    group.start_soon(stop, run)
                elif run.record.parent is None:
                    group.start_soon(run.let_go, _TOLD)
