"""Use cases on executions: start, follow, await, abort, list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import ClassVar, Final

import anyio
from anyio.abc import TaskGroup

from test_coordination.application.definitions import StoredScenario
from test_coordination.application.dependencies import Dependencies
from test_coordination.application.engine.attempts import LOST
from test_coordination.application.engine.checks import Bench
from test_coordination.application.engine.observations import Observations
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.runner import Runner
from test_coordination.application.engine.steps import Hands
from test_coordination.application.engine.vault import Vault
from test_coordination.application.gathering import Loaded
from test_coordination.application.planning.known import results, shapes
from test_coordination.application.ports import ExecutionRecord
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.world import World
from test_coordination.domain.arguments import bind
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import AbortRequested, Entry, ExecutionEnded, ExecutionStarted
from test_coordination.domain.execution import Execution, IllegalTransitionError, Status
from test_coordination.domain.names import copy_names, live_names, settled_names, settled_values
from test_coordination.domain.plan import Plan, ScenarioWork
from test_coordination.domain.values import ExecutionId, WorkerId

SEED_MAX: Final = 2**53 - 1
"""The largest seed that is drawn: JSON carries it to any reader without loss."""

_LOOK_AGAIN: Final = timedelta(milliseconds=500)


@dataclass(eq=False, kw_only=True)
class NotRunningHereError(CoordinationError):
    """An execution is to be stopped, and this coordinator is not the one that runs it."""

    code: ClassVar[str] = "execution.not_running_here"

    execution: ExecutionId

    def __str__(self) -> str:
        return (
            f"execution {self.execution} is not run by this process; press Ctrl-C where it runs, "
            "or see with `tcoord executions` whether it has ended"
        )


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

    def __init__(self, world: World, group: TaskGroup, me: WorkerId) -> None:
        """Run executions in ``group``, whose owner must outlive them, under the name ``me``."""
        self._world = world
        self._group = group
        self._me = me
        self._runs: dict[ExecutionId, _Run] = {}
        self._busy: set[ExecutionId] = set()

    @property
    def busy(self) -> Container[ExecutionId]:
        """Return the executions that this worker is at, as they come and go."""
        return self._busy

    async def start(
        self,
        stored: StoredScenario,
        given: Mapping[str, object],
        *,
        requested_by: str,
        seed: int | None = None,
        suite: str = "",
    ) -> ExecutionId:
        """Begin an execution and return its name once its start is durable.

        What is left to chance is drawn from ``seed``, itself drawn unless it is given; the plan
        tells it. ``suite`` names the run of a suite that it belongs to.

        Raises:
            DefinitionKindError: what is stored is no scenario; nothing is begun.
            InvalidDocumentError: parameters or targets do not fit; nothing is stored.
            NoTopologyError: there is no system under test; nothing is stored.
            DependencyNotMetError: a scenario that it depends on must run first; nothing is stored.
            StoreUnavailableError: nothing was begun; what was stored of it the next sweep ends.
        """
        scenarios = Scenarios(world=self._world)
        loaded = await scenarios.load(stored)
        drawn = self._world.identities.new().int & SEED_MAX if seed is None else seed
        plan = scenarios.plan(loaded, given, seed=drawn)
        record = self._record(stored, plan, requested_by=requested_by, suite=suite)
        return await self._begin(loaded, given, record)

    def _record(
        self,
        stored: StoredScenario,
        plan: Plan,
        *,
        requested_by: str,
        suite: str = "",
        parent: ExecutionId | None = None,
    ) -> ExecutionRecord:
        return ExecutionRecord(
            id=ExecutionId(self._world.identities.new()),
            scenario=stored.id,
            scenario_name=stored.name,
            scenario_version=stored.version,
            plan=plan,
            requested_at=self._world.stores.clock.now(),
            requested_by=requested_by,
            worker=self._me,
            suite=suite,
            parent=parent,
        )

    async def start_child(
        self, loaded: Loaded, work: ScenarioWork, *, parent: ExecutionId
    ) -> ExecutionId:
        """Begin an execution that is a step of ``parent``, by the plan that its parent has of it.

        Raises:
            DependencyNotMetError: a scenario that it depends on must run first; nothing is stored.
            StoreUnavailableError: nothing was begun; what was stored of it the next sweep ends.
        """
        stored = loaded.stored
        assert stored is not None, "what a stored scenario runs is stored"
        by = f"execution {parent}"
        record = self._record(stored, work.plan, requested_by=by, parent=parent)
        return await self._begin(loaded, work.parameters, record)

    async def _begin(
        self, loaded: Loaded, given: Mapping[str, object], record: ExecutionRecord
    ) -> ExecutionId:
        await Dependencies(world=self._world).check(record.plan)
        vault = Vault(self._world.secrets)
        state = Execution(id=record.id)
        recorder = Recorder(self._world.stores, record, state, vault=vault)
        run = _Run(recorder=recorder, vault=vault)
        hands = self._hands(loaded, given, plan=record.plan, run=run)
        runner = Runner(record.plan, hands, self._world.stores.live)
        self._busy.add(record.id)
        try:
            # Whole, even for a caller that is cancelled: what is there and was never begun would
            # be left to the next sweep, and told as something that could not run.
            with anyio.CancelScope(shield=True):
                await self._world.stores.log.create(record)
                await run.recorder.record(ExecutionStarted(worker=self._me))
        except BaseException:
            self._busy.discard(record.id)
            raise
        self._runs[record.id] = run
        self._group.start_soon(self._run, run, runner)
        return record.id

    def _hands(
        self, loaded: Loaded, given: Mapping[str, object], *, plan: Plan, run: _Run
    ) -> Hands:
        world, scenario, recorder = self._world, loaded.scenario, run.recorder
        topology = world.topology(doing=f"running {scenario.name!r}")
        probes = shapes(scenario, world.catalogue)
        settled = settled_names(scenario.parameters, topology, world.environment)
        arguments = bind(
            scenario.parameters,
            given,
            mark=scenario.mark,
            services=frozenset(topology.services),
        )
        observations = Observations(
            settled_values(scenario.parameters, arguments, topology, world.environment),
            probes,
            plan=plan,
            state=lambda: recorder.state,
            clock=world.stores.clock,
        )
        recorder.tell(observations.refresh)
        bench = Bench(
            expressions=world.expressions,
            names={
                **settled,
                **live_names(scenario, probes, results(world.catalogue)),
                **copy_names((*plan.groups, *(step.id for step in plan.steps))),
            },
            observations=observations,
            clock=world.stores.clock,
        )
        return Hands(
            plan=plan,
            children=_Children(executions=self, members=loaded.members),
            probing=world.probing(topology, run.vault),
            evidence=world.evidence,
            camera=world.camera(topology, run.vault),
            bench=bench,
            recorder=recorder,
        )

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

    async def follow(self, execution: ExecutionId, *, after: int = 0) -> AsyncIterator[Entry]:
        """Yield the entries of an execution past ``after`` as they come, to its end.

        Raises:
            NotFoundError: no execution has that name.
            StoreUnavailableError: the store was away for longer than ``STORE_PATIENCE``.
        """
        await self._world.stores.log.get(execution)
        while True:
            run = self._running(execution)
            known = run.recorder.state if run else None
            for entry in await self._read(execution, after):
                after = entry.position
                yield entry
                if isinstance(entry.event, ExecutionEnded):
                    return
            if run is None or known is None:
                await self._world.stores.live.wait(execution, after=after, limit=_LOOK_AGAIN)
            else:
                await run.recorder.change(known, limit=_LOOK_AGAIN)

    def _running(self, execution: ExecutionId) -> _Run | None:
        run = self._runs.get(execution)
        return None if run is None or run.ended.is_set() else run

    async def _read(self, execution: ExecutionId, after: int) -> Sequence[Entry]:
        read = partial(self._world.stores.log.read, execution, after=after)
        return await patiently(read, doing=f"following execution {execution}")

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

    async def start(self, work: ScenarioWork, *, parent: ExecutionId) -> ExecutionId:
        return await self.executions.start_child(self.members[work.scenario], work, parent=parent)

    async def result(self, execution: ExecutionId) -> Execution:
        return await self.executions.result(execution)

    async def abort(self, execution: ExecutionId, *, reason: str) -> None:
        await self.executions.abort(execution, reason=reason, by="the execution that began it")
