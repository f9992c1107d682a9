"""What really happened, as nobody inside can know it, and what must never have."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from simulation.loop import Process, SimulatedLoop
from simulation.network import Server
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.application.ports import ExecutionRecord, LogConflictError
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import (
    Entry,
    ExecutionEnded,
    FaultArmed,
    FaultReverted,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.execution import Execution, FaultStatus, Status
from test_coordination.domain.plan import PlannedStep
from test_coordination.domain.values import ExecutionId, Receipt, StepId, WorkerId
from test_coordination.domain.verdicts import Verdict

Ambush: TypeAlias = Callable[[Process | None], None]
"""Something that is done as soon as something else happens, to the process that did it."""


@dataclass(slots=True)
class Told:
    """All that is known of one execution; ``holders`` are who may write, by their epochs."""

    record: ExecutionRecord
    state: Execution
    epoch: int
    holders: dict[int, WorkerId]
    receipts: dict[StepId, Receipt] = field(default_factory=dict)
    steps: dict[StepId, PlannedStep] = field(default_factory=dict)


@dataclass(slots=True)
class Truth:
    """Follows every write and every effect, and notes what must not be.

    ``violations`` ends the story with the first of them. ``counts`` says how much there was of
    everything, ``lines`` tells the story to whoever wants to read it.
    """

    loop: SimulatedLoop
    telling: bool = False
    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    executions: dict[ExecutionId, Told] = field(default_factory=dict)
    owners: dict[Receipt, ExecutionId] = field(default_factory=dict)
    workers: dict[int, WorkerId] = field(default_factory=dict)
    """Who the processes are, by their numbers."""
    processes: dict[int, Process] = field(default_factory=dict)
    in_force: dict[Receipt, str] = field(default_factory=dict)
    """The faults that bite, and whom."""
    done: Counter[str] = field(default_factory=Counter)
    """How often each action has taken effect."""
    ambushes: dict[str, list[Ambush]] = field(default_factory=dict)
    """Who waits for something to happen, by its kind."""
    digest: int = 0

    def tell(self, kind: str, text: str = "") -> None:
        """Note that something happened; all of it makes the digest of the story."""
        self.counts[kind] += 1
        self.digest = zlib.crc32(f"{self.loop.now_s:.6f} {kind} {text}".encode(), self.digest)
        if self.telling:
            self.lines.append(f"{self.loop.now_s:10.4f} {kind:10} {text}")

    def happened(self, kind: str, to: Process | None) -> None:
        """Let whoever waits for that in the dark do what it waits to do."""
        if waiting := self.ambushes.get(kind):
            waiting.pop()(to)

    def violated(self, what: str) -> None:
        self.violations.append(what)
        self.tell("VIOLATED", what)
        self.loop.halted = True

    # The log.

    def created(self, record: ExecutionRecord) -> None:
        if record.id in self.executions:
            return
        self.tell("created", f"{_short(record.id)} {record.scenario_name}")
        self.happened("created", self._process(record.worker))
        self.executions[record.id] = Told(
            record=record,
            state=Execution(id=record.id),
            epoch=record.epoch,
            holders={record.epoch: record.worker},
            steps={step.id: step for step in record.plan.steps},
        )

    def given(self, execution: ExecutionId, by: WorkerId, epoch: int) -> None:
        """Note that an execution was given to a worker under a new epoch."""
        told = self.executions[execution]
        self.tell("given", f"{_short(execution)} to {_short(by)} as {epoch}")
        if epoch <= told.epoch:
            self.violated(f"execution {execution} was given away under epoch {epoch} again")
        told.epoch, told.holders[epoch] = epoch, by
        self.happened("given", self._process(by))

    def _process(self, worker: WorkerId) -> Process | None:
        numbers = (number for number, each in self.workers.items() if each == worker)
        return self.processes.get(next(numbers, 0))

    def appended(
        self, caller: Process, entries: Sequence[Entry], *, leading_to: Execution, epoch: int
    ) -> None:
        """Judge what was accepted by the log."""
        told = self.executions[leading_to.id]
        writer = self.workers.get(caller.number)
        if epoch != told.epoch or told.holders[epoch] != writer:
            self.violated(
                f"worker {writer} wrote to execution {leading_to.id} as {epoch}, "
                f"which was given to {told.holders.get(epoch)}, and is {told.epoch} by now"
            )
        for entry in entries:
            event = entry.event
            self.tell("event", f"{_short(leading_to.id)} {entry.position} {event}")
            try:
                told.state = told.state.apply(entry)
            except CoordinationError as error:
                self.violated(f"the log of {leading_to.id} has a gap or a lie: {error}")
                return
            match event:
                case FaultArmed(step=step, receipt=receipt):
                    told.receipts[step] = receipt
                    self.owners[receipt] = leading_to.id
                    self.happened("armed", caller)
                case FaultReverted(step=step):
                    self._gone(told, step)
                case StepStarted(step=step):
                    self._begun(told, step)
                case StepEnded(step=step, code="internal", error=why):
                    self.violated(f"step {step!r} of {leading_to.id} met {why}")
                case ExecutionEnded(verdict=verdict):
                    self._ended(told, verdict)
                case _:
                    pass
        self.happened("written", caller)
        if (told.state.status, told.state.position) != (leading_to.status, leading_to.position):
            self.violated(f"the log of {leading_to.id} does not lead to what was said")

    def _gone(self, told: Told, step: StepId) -> None:
        if told.receipts[step] in self.in_force:
            self.violated(f"{told.receipts[step]} was told to be undone, and is in force")

    def _begun(self, told: Told, step: StepId) -> None:
        """See that a step has not begun before what it needs."""
        steps = told.state.steps
        for need in told.steps[step].needs:
            state = steps.get(need)
            over = state is not None and state.outcome is not None
            if not over and not (state is not None and told.steps[need].background):
                self.violated(f"step {step!r} of {told.state.id} began before {need!r}, its need")

    def _ended(self, told: Told, verdict: Verdict) -> None:
        self.counts[f"verdict {verdict}"] += 1
        state = told.state
        left = [receipt for receipt in told.receipts.values() if receipt in self.in_force]
        if state.outstanding and verdict is not Verdict.RESIDUE:
            self.violated(f"{state.id} ended as {verdict} with faults outstanding")
        if left and verdict is not Verdict.RESIDUE:
            self.violated(f"{state.id} ended as {verdict} with {left} in force")
        if verdict is not Verdict.HELD:
            return
        for step, done in state.steps.items():
            lost = step in told.steps and told.steps[step].fault is not None
            fault = state.faults.get(step)
            if lost and done.outcome is Outcome.DONE and (fault is None or not fault.injected_at):
                self.violated(f"{state.id} held, though the fault of {step!r} never bit")
        if state.taken_over:
            self.violated(f"{state.id} held, though its worker was lost: {state.taken_over}")

    # The targets.

    def injected(self, receipt: Receipt, by: Process) -> None:
        """See that a fault that takes effect is armed, and that its worker still has the say."""
        self.tell("injected", f"{receipt} by {by.number}")
        if receipt not in self.owners:
            self.violated(f"{receipt} was injected, and no log says that it is armed")
            return
        told = self.executions[self.owners[receipt]]
        step = next(step for step, each in told.receipts.items() if each == receipt)
        if told.state.faults[step].status is FaultStatus.REVERTED:
            self.violated(f"{receipt} was injected after its log said that it is undone")
        if self.workers.get(by.number) != told.holders[told.epoch]:
            self.violated(f"process {by.number} injected {receipt} after it lost {told.state.id}")
        self.happened("injected", by)

    def reverted(self, receipt: Receipt, by: Process) -> None:
        self.tell("reverted", f"{receipt} by {by.number}")
        self.happened("reverted", by)

    def acted(self, name: str, by: Process) -> None:
        """See that whoever does something has an execution of which that is a step."""
        self.tell("acted", f"{name} by {by.number}")
        self.done[name] += 1
        worker, scenario = self.workers.get(by.number), name.partition("/")[0]
        if not any(
            told.holders[told.epoch] == worker and told.state.status is not Status.FINISHED
            for told in self.executions.values()
            if told.record.scenario_name == scenario
        ):
            self.violated(f"process {by.number} did {name} and has no such execution any more")
        self.happened("acted", by)

    # The end.

    @property
    def settled(self) -> bool:
        """Tell whether every execution has ended and nothing is outstanding."""
        return all(
            told.state.status is Status.FINISHED and not told.state.outstanding
            for told in self.executions.values()
        )

    @property
    def residue(self) -> bool:
        """Tell whether something is left in force that only an undo will try again."""
        return any(
            told.state.status is Status.FINISHED and told.state.outstanding
            for told in self.executions.values()
        )

    def running(self) -> list[ExecutionId]:
        """Return the executions that have not ended."""
        return [
            execution
            for execution, told in self.executions.items()
            if told.state.status is not Status.FINISHED
        ]

    def unsettled(self) -> list[str]:
        """Return a word on each execution that has not ended, or has left something."""
        return [
            f"{told.state.id} ({told.record.scenario_name}) is {told.state.status} at "
            f"{told.state.position}, {len(told.state.outstanding)} faults outstanding"
            for told in self.executions.values()
            if told.state.status is not Status.FINISHED or told.state.outstanding
        ]


class WitnessedLog(MemoryExecutionLog):
    """An execution log of which everything that it accepts is judged."""

    def __init__(self, truth: Truth, server: Server) -> None:
        """Whoever ``server`` serves is who writes."""
        super().__init__()
        self._truth = truth
        self._server = server

    async def create(self, record: ExecutionRecord) -> None:
        await super().create(record)
        self._truth.created(record)

    async def append(self, entries: Sequence[Entry], *, leading_to: Execution, epoch: int) -> None:
        caller = self._server.caller
        assert caller is not None, "somebody writes"
        try:
            await super().append(entries, leading_to=leading_to, epoch=epoch)
        except LogConflictError:
            self._truth.tell("refused", f"{_short(leading_to.id)} as {epoch} by {caller.number}")
            raise
        self._truth.appended(caller, entries, leading_to=leading_to, epoch=epoch)

    def watch(self) -> None:
        """See to whom executions were given by what was just done."""
        for execution, told in self._truth.executions.items():
            record = self._kept[execution].record
            if record.epoch != told.epoch:
                self._truth.given(execution, record.worker, record.epoch)


def _short(identity: object) -> str:
    return str(identity)[-4:]
