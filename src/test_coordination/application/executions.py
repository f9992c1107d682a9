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
from test_coordination.application.engine.checks import Bench
from test_coordination.application.engine.observations import Observations
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.runner import Runner
from test_coordination.application.engine.steps import LOST, Hands
from test_coordination.application.planning.known import results, shapes
from test_coordination.application.ports import ExecutionRecord
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.world import World
from test_coordination.domain.arguments import bind
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import AbortRequested, Entry, ExecutionEnded, ExecutionStarted
from test_coordination.domain.execution import Execution, IllegalTransitionError, Status
from test_coordination.domain.names import live_names, settled_names, settled_values
from test_coordination.domain.plan import Plan
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.values import ExecutionId, Value, WorkerId

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
        self, stored: StoredScenario, given: Mapping[str, Value], *, requested_by: str
    ) -> ExecutionId:
        """Begin an execution and return its name once its start is durable.

        Raises:
            InvalidDocumentError: parameters or targets do not fit; nothing is stored.
            NoTopologyError: there is no system under test; nothing is stored.
            StoreUnavailableError: nothing was begun; what was stored of it the next sweep ends.
        """
        scenarios = Scenarios(world=self._world)
        scenario = scenarios.read(stored)
        plan = scenarios.plan(scenario, given)
        record = ExecutionRecord(
            id=ExecutionId(self._world.identities.new()),
            scenario=stored.id,
            scenario_name=stored.name,
            scenario_version=stored.version,
            plan=plan,
            requested_at=self._world.stores.clock.now(),
            requested_by=requested_by,
            worker=self._me,
        )
        run = _Run(recorder=Recorder(self._world.stores, record, Execution(id=record.id)))
        hands = self._hands(scenario, given, plan=plan, recorder=run.recorder)
        runner = Runner(plan, hands, self._world.stores.live)
        self._busy.add(record.id)
        try:
            await self._world.stores.log.create(record)
            await run.recorder.record(ExecutionStarted(worker=self._me))
        except BaseException:
            self._busy.discard(record.id)
            raise
        self._runs[record.id] = run
        self._group.start_soon(self._run, run, runner)
        return record.id

    def _hands(
        self, scenario: Scenario, given: Mapping[str, Value], *, plan: Plan, recorder: Recorder
    ) -> Hands:
        world = self._world
        topology = world.topology(doing=f"running {scenario.name!r}")
        probes = shapes(scenario, world.catalogue)
        settled = settled_names(scenario.parameters, topology)
        arguments = bind(
            scenario.parameters,
            given,
            mark=scenario.mark,
            services=frozenset(topology.services),
        )
        observations = Observations(
            settled_values(scenario.parameters, arguments, topology, {}),
            probes,
            plan=plan,
            state=lambda: recorder.state,
            clock=world.stores.clock,
        )
        recorder.tell(observations.refresh)
        bench = Bench(
            expressions=world.expressions,
            names={**settled, **live_names(scenario, probes, results(world.catalogue))},
            observations=observations,
            clock=world.stores.clock,
        )
        return Hands(
            probing=world.probing(topology),
            evidence=world.evidence,
            camera=world.camera(topology),
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
            run.failure = run.failure or error
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
