"""Runs of suites: begin what may begin, follow, await, abort."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import ClassVar, NewType

import anyio
from anyio.abc import TaskGroup

from test_coordination.application.definitions import StoredScenario
from test_coordination.application.executions import Executions, Order
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.suites import PlannedEntry, PlannedSuite, Suites
from test_coordination.application.turns import in_turn
from test_coordination.application.wishes import Desire, Wish
from test_coordination.application.world import World
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.values import ExecutionId, StepId, Value
from test_coordination.domain.verdicts import Verdict

SuiteRunId = NewType("SuiteRunId", str)
"""One run of a suite, as ``name/identity``; its executions carry it."""


@dataclass(eq=False, kw_only=True)
class SuiteNotRunningHereError(CoordinationError):
    """The run of a suite is asked for, and this coordinator has not begun it."""

    code: ClassVar[str] = "suite.not_running_here"

    run: SuiteRunId

    def __str__(self) -> str:
        return (
            f"the run {self.run!r} of a suite was not begun by this process; list the executions "
            "that belong to it to see what became of them"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryResult:
    """What became of one entry of a suite.

    ``execution`` is None until it is ordered, ``verdict`` until it has ended. ``why`` says why it
    was not begun, or why how it ended is not known; then it counts as one that could not run if
    it was its turn, and has no verdict if something before it kept it from that.
    """

    id: StepId
    scenario: str
    parameters: Mapping[str, Value]
    execution: ExecutionId | None = None
    verdict: Verdict | None = None
    why: str = ""

    @property
    def settled(self) -> bool:
        """Tell whether nothing more will become of it."""
        return self.verdict is not None or bool(self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """How a run of a suite ended; ``verdict`` is the gravest, stopped if it was aborted."""

    id: SuiteRunId
    suite: str
    entries: tuple[EntryResult, ...]
    verdict: Verdict
    reason: str = ""


@dataclass(slots=True, eq=False, kw_only=True)
class _Run:
    """A run of a suite; ``told`` are the changes so far, and ``stopped`` says why no more begin."""

    id: SuiteRunId
    plan: PlannedSuite
    requested_by: str
    seed: int | None
    priority: int
    entries: dict[str, EntryResult]
    told: list[EntryResult] = field(default_factory=list)
    stopped: str = ""
    aborted: tuple[str, str] | None = None
    over: bool = False
    changed: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, entry: EntryResult) -> None:
        self.entries[entry.id] = entry
        self.told.append(entry)
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    def obstacle(self, entry: PlannedEntry) -> str:
        """Return why ``entry`` must not begin; empty if it may."""
        for need in sorted(entry.needs):
            if self.entries[need].verdict is not Verdict.HELD:
                became = self.entries[need].verdict or "not begun"
                return f"it needs {need!r}, which was {became}"
        return self.stopped

    def result(self) -> SuiteResult:
        entries = tuple(self.entries.values())
        verdicts = [entry.verdict for entry in entries if entry.verdict is not None]
        if self.aborted is not None:
            verdicts.append(Verdict.STOPPED)
        return SuiteResult(
            id=self.id,
            suite=self.plan.name,
            entries=entries,
            verdict=Verdict.gravest(verdicts),
            reason=self.stopped,
        )


class SuiteRuns:
    """The runs of suites of one worker."""

    def __init__(self, world: World, executions: Executions, group: TaskGroup) -> None:
        """Run suites in ``group``, whose owner calls `abort_all` before it ends."""
        self._world = world
        self._executions = executions
        self._group = group
        self._runs: dict[SuiteRunId, _Run] = {}

    async def start(
        self,
        stored: StoredScenario,
        given: Mapping[str, Value],
        *,
        requested_by: str,
        seed: int | None = None,
        priority: int = 0,
    ) -> SuiteRunId:
        """Begin a run of a suite and return its name; nothing of it has run by then.

        What is left to chance in an entry is drawn from ``seed``, or from one of its own. Each
        entry waits in the queue with the ``priority``.

        Raises:
            DefinitionKindError: what is stored is no suite; nothing is begun.
            InvalidDocumentError: parameters of any entry do not fit; nothing is begun.
            CircularNeedsError: entries need each other; nothing is begun.
            NoTopologyError: there is no system under test; nothing is begun.
        """
        loaded = await Scenarios(world=self._world).load(stored)
        plan = Suites(world=self._world).plan(loaded, given, seed=seed or 0)
        run = _Run(
            id=SuiteRunId(f"{stored.name}/{self._world.identities.new()}"),
            plan=plan,
            requested_by=requested_by,
            seed=seed,
            priority=priority,
            entries={
                entry.id: EntryResult(
                    id=entry.id,
                    scenario=entry.scenario.definition.name,
                    parameters=entry.parameters,
                )
                for entry in plan.entries
            },
        )
        self._runs[run.id] = run
        self._group.start_soon(self._run, run)
        return run.id

    async def follow(self, run: SuiteRunId) -> AsyncIterator[EntryResult]:
        """Yield each entry when it begins and when it is settled, from the first to the last.

        Raises:
            SuiteNotRunningHereError: this worker has not begun that run.
        """
        found, position = self._found(run), 0
        while True:
            changed = found.changed
            while position < len(found.told):
                position += 1
                yield found.told[position - 1]
            if found.over:
                return
            await changed.wait()

    async def result(self, run: SuiteRunId) -> SuiteResult:
        """Return how a run ended, once it has.

        Raises:
            SuiteNotRunningHereError: this worker has not begun that run.
        """
        found = self._found(run)
        while not found.over:
            await found.changed.wait()
        return found.result()

    async def abort(self, run: SuiteRunId, *, reason: str, by: str) -> None:
        """Begin nothing further of a run, and stop what is under way; faults are undone.

        Returns when the wishes are durable; aborting what is over already does nothing.

        Raises:
            SuiteNotRunningHereError: this worker has not begun that run.
            StoreUnavailableError: a wish could not be recorded; the executions are stopped and
                their faults are being undone all the same.
        """
        found = self._found(run)
        if found.over or found.aborted is not None:
            return
        self._stop(found, reason, by)
        failures: list[CoordinationError] = []
        for entry in list(found.entries.values()):
            if entry.execution is not None and not entry.settled:
                try:
                    await self._executions.abort(entry.execution, reason=reason, by=by)
                except CoordinationError as error:
                    failures.append(error)
        if failures:
            raise failures[0]

    def heed(self, wish: Wish) -> None:
        """Begin nothing further of any run if everything is to be stopped; what runs is not ours.

        Whoever has the executions stops those.
        """
        if wish.desire is Desire.ABORT and wish.execution is None:
            for run in self._runs.values():
                if not run.over and run.aborted is None:
                    self._stop(run, wish.reason, wish.by)

    @staticmethod
    def _stop(run: _Run, reason: str, by: str) -> None:
        run.aborted, run.stopped = (reason, by), f"the suite was aborted: {reason}"

    async def abort_all(self, *, reason: str, by: str) -> None:
        """Abort every run of this worker, and return when all are over.

        Executions whose log cannot be written any more are stopped all the same.
        """
        for run in list(self._runs):
            with suppress(CoordinationError):
                await self.abort(run, reason=reason, by=by)
            await self.result(run)

    def _found(self, run: SuiteRunId) -> _Run:
        if run not in self._runs:
            raise SuiteNotRunningHereError(run=run)
        return self._runs[run]

    async def _run(self, run: _Run) -> None:
        entries = {entry.id: entry for entry in run.plan.entries}

        async def work(name: str) -> None:
            await self._work(run, entries[StepId(name)])

        needs = {str(entry.id): entry.needs for entry in run.plan.entries}
        try:
            await in_turn(needs, work, concurrency=run.plan.concurrency)
        finally:
            run.over = True
            run.wake()

    async def _work(self, run: _Run, entry: PlannedEntry) -> None:
        """Run one entry to its end, unless something keeps it from beginning."""
        state = run.entries[entry.id]
        if why := run.obstacle(entry):
            run.tell(replace(state, why=why))
            return
        stored = entry.scenario.stored
        assert stored is not None, "what a stored suite runs is stored"
        try:
            order = Order(
                requested_by=run.requested_by, seed=run.seed, suite=run.id, priority=run.priority
            )
            execution = await self._executions.start(stored, entry.parameters, order=order)
            state = replace(state, execution=execution)
            run.tell(state)
            if run.aborted is not None:  # pragma: no cover  (a stop between two lines)
                reason, by = run.aborted
                await self._executions.abort(execution, reason=reason, by=by)
            ended = await self._executions.result(execution)
        except Exception as error:  # noqa: BLE001  a border: it must not end the entries beside it
            state = replace(state, verdict=Verdict.COULD_NOT_RUN, why=str(error) or repr(error))
        else:
            state = replace(state, verdict=ended.verdict)
        run.tell(state)
        if state.verdict in run.plan.stop_on and not run.stopped:
            run.stopped = f"{entry.id!r} ended as {state.verdict}, which stops the suite"
