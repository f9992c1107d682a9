"""What really happened, as nobody inside can know it, and what must never have."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from simulation.library import SECRET
from simulation.loop import Process, SimulatedLoop
from simulation.targets import named
from test_coordination.application.fleet import NOBODY
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import (
    Entry,
    ExecutionEnded,
    ExecutionResumed,
    ExecutionStarted,
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

EXCUSED_S: Final = 10.0
"""How long after a trouble of its own a worker may still be taken for dead."""

Ambush: TypeAlias = Callable[[Process | None], None]
"""Something that is done as soon as something else happens, to the process that did it."""


@dataclass(slots=True)
class Told:
    """All that is known of one execution.

    ``holders`` are the workers that had it, by their epochs, and ``writers`` the processes that
    may write in them. It was ``worked`` at in those epochs in which a step has begun. ``lost``
    are the faults that may have been in force while nobody had it.
    """

    record: ExecutionRecord
    state: Execution
    epoch: int
    holders: dict[int, WorkerId]
    writers: dict[int, Process]
    worked: set[int] = field(default_factory=set)
    lost: set[Receipt] = field(default_factory=set)
    begun: bool = False
    receipts: dict[StepId, Receipt] = field(default_factory=dict)
    steps: dict[StepId, PlannedStep] = field(default_factory=dict)

    @property
    def holder(self) -> WorkerId:
        return self.holders[self.epoch]

    @property
    def over(self) -> bool:
        return self.state.status is Status.FINISHED


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
    processes: dict[WorkerId, Process] = field(default_factory=dict)
    excuses: dict[int, float] = field(default_factory=dict)
    """Until when a process, or 0 for all of them, has had trouble."""
    in_force: dict[Receipt, str] = field(default_factory=dict)
    """The faults that bite, and whom."""
    tardy: set[Receipt] = field(default_factory=set)
    """Those whose injection took so long that the lease may have ended meanwhile."""
    paused: dict[ExecutionId, float] = field(default_factory=dict)
    """Since when executions are paused, as their workers know when that is written."""
    answered: dict[tuple[ExecutionId, WorkerId], float] = field(default_factory=dict)
    """When workers have said that they pause them."""
    resumed: dict[ExecutionId, float] = field(default_factory=dict)
    """When somebody wished last that they go on, which may be known before it is written."""
    bit: dict[Receipt, float] = field(default_factory=dict)
    """When faults began to bite."""
    tried: dict[Receipt, float] = field(default_factory=dict)
    """When somebody tried last to undo a fault."""
    done: Counter[str] = field(default_factory=Counter)
    """How often each action has taken effect."""
    ambushes: dict[str, list[Ambush]] = field(default_factory=dict)
    """Who waits for something to happen, by its kind."""
    laws: list[Callable[[], str]] = field(default_factory=list)
    """What is asked after each change of what executions have: each returns what is wrong."""
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

    def excuse(self, process: Process | None, until_s: float) -> None:
        """Note that a process, or all of them, cannot be expected to answer for some time."""
        number = 0 if process is None else process.number
        self.excuses[number] = max(self.excuses.get(number, 0.0), until_s)

    def is_excused(self, process: Process) -> bool:
        until_s = max(self.excuses.get(each, -EXCUSED_S) for each in (0, process.number))
        return process.dead or process.over or until_s + EXCUSED_S > self.loop.now_s

    # The log.

    def created(self, record: ExecutionRecord, caller: Process) -> None:
        if record.id in self.executions:
            return
        self.tell("created", f"{short(record.id)} {record.scenario_name}")
        self.executions[record.id] = Told(
            record=record,
            state=Execution(id=record.id),
            epoch=record.epoch,
            holders={record.epoch: record.worker},
            writers={record.epoch: caller},
            steps={step.id: step for step in record.plan.steps},
        )
        self._obeyed()
        self.happened("created", self.processes.get(record.worker))
        if record.parent is not None:
            self.happened("step", caller)

    def given(self, execution: ExecutionId, record: ExecutionRecord, caller: Process) -> None:
        """See that an execution is given only once, and taken from nobody who is well."""
        told, by, epoch = self.executions[execution], record.worker, record.epoch
        former, worked = told.holder, told.epoch in told.worked
        self.tell("given", f"{short(execution)} to {short(by)} as {epoch}")
        if epoch <= told.epoch:
            self.violated(f"{short(execution)} was given away under epoch {epoch} again")
        told.epoch, told.holders[epoch], told.writers[epoch] = epoch, by, caller
        if by != former and not told.over:
            told.lost |= {named(fault.receipt) for fault in told.state.outstanding}
        robbed = None if by in {former, NOBODY} else self.processes.get(former)
        if robbed is not None and not told.over and not self.is_excused(robbed):
            self.violated(f"{short(execution)} was taken from {short(former)}, who was well")
        if by == former and worked and not told.over:
            self.violated(f"{short(execution)} was lost by {short(former)}, who had it all along")
        self.happened("given", caller)

    def appended(
        self, caller: Process, entries: Sequence[Entry], *, leading_to: Execution, epoch: int
    ) -> None:
        """Judge what was accepted by the log."""
        told = self.executions[leading_to.id]
        if epoch != told.epoch or told.writers[epoch] is not caller:
            self.violated(
                f"{caller} wrote to {short(leading_to.id)} as {epoch}, which is for "
                f"{told.writers.get(epoch)}; it is {told.epoch} by now"
            )
        for entry in entries:
            said = str(entry.event)
            self.tell("event", f"{short(leading_to.id)} {entry.position} {said}")
            if SECRET in said:
                self.violated(f"the log of {short(leading_to.id)} tells a secret")
            try:
                told.state = told.state.apply(entry)
            except CoordinationError as error:
                self.violated(f"the log of {leading_to.id} has a gap or a lie: {error}")
                return
            self._judge(told, entry, caller)
        self.happened("written", caller)
        if (told.state.status, told.state.position) != (leading_to.status, leading_to.position):
            self.violated(f"the log of {leading_to.id} does not lead to what was said")

    def _judge(self, told: Told, entry: Entry, caller: Process) -> None:
        self._follow_pauses(told, entry)
        match entry.event:
            case ExecutionStarted():
                told.begun = told.state.abort is None
                self._obeyed()
            case FaultArmed(step=step, receipt=sealed):
                told.receipts[step] = receipt = named(sealed)
                self.owners[receipt] = told.state.id
                self._obeyed()
                self.happened("armed", caller)
            case FaultReverted(step=step):
                receipt = told.receipts[step]
                if receipt in self.in_force and receipt not in self.tardy:
                    self.violated(f"{receipt} was told to be undone, and is in force")
            case StepStarted(step=step):
                told.worked.add(told.epoch)
                if not told.begun:
                    told.begun = True
                    self._obeyed()
                self._begun(told, step)
            case StepEnded(step=step, code="internal", error=why):
                self.violated(f"step {step!r} of {told.state.id} met {why}")
            case ExecutionEnded(verdict=verdict):
                self._ended(told, verdict)
            case _:
                pass

    def _follow_pauses(self, told: Told, entry: Entry) -> None:
        execution, now_s = told.state.id, self.loop.now_s
        if isinstance(entry.event, ExecutionResumed):
            self.resumed[execution] = now_s
        if told.state.pause is None or told.over:
            self.paused.pop(execution, None)
        else:
            self.paused.setdefault(execution, now_s)

    def _obeyed(self) -> None:
        for law in self.laws:
            if wrong := law():
                self.violated(wrong)

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
        for fault in state.outstanding:
            if verdict is not Verdict.RESIDUE:
                self.violated(f"{state.id} ended as {verdict} with {fault.receipt} outstanding")
            if fault.status is not FaultStatus.REVERT_FAILED:
                self.violated(f"{state.id} ended, and nobody tried to undo {fault.receipt}")
        left = [receipt for receipt in told.receipts.values() if receipt in self.in_force]
        if verdict is not Verdict.RESIDUE and not self.tardy.issuperset(left):
            self.violated(f"{state.id} ended as {verdict} with {left} in force")
        if verdict is Verdict.HELD and (wrong := self._unheld(told, left)):
            self.violated(f"{state.id} held, {wrong}")

    def _unheld(self, told: Told, left: Sequence[Receipt]) -> str:
        """Return why an execution cannot have held; empty if it can."""
        state = told.state
        if left:
            return f"with {left} in force"
        if state.taken_over:
            return f"though its worker was lost: {state.taken_over}"
        for step, receipt in told.receipts.items():
            if receipt in told.lost:
                return f"though the fault of {step!r} was lost"
        for step, done in state.steps.items():
            bites = step in told.steps and told.steps[step].fault is not None
            fault_state = state.faults.get(step)
            bit = fault_state is not None and fault_state.injected_at is not None
            if bites and done.outcome is Outcome.DONE and not bit:
                return f"though the fault of {step!r} never bit"
        return ""

    # The targets.

    def injecting(self, receipt: Receipt, by: Process) -> None:
        """See that a fault that is begun is armed, and that its worker still has the say."""
        told = self._owner(receipt)
        if told is None:
            self.violated(f"{receipt} is to be injected, and no log says that it is armed")
        elif told.holder != self.workers.get(by.number):
            self.violated(f"{receipt} is to be injected by {by}, who lost {short(told.state.id)}")
        elif self._is_paused(told):
            self.violated(f"{receipt} is to be injected while {short(told.state.id)} is paused")

        self.happened("injecting", by)

    def _is_paused(self, told: Told) -> bool:
        """Tell whether its log says that it is paused, or whoever has it has said that it is."""
        execution = told.state.id
        said_s = self.answered.get((execution, told.holder), 0.0)
        paused_s = max(self.paused.get(execution, 0.0), said_s)
        return paused_s > self.resumed.get(execution, 0.0)

    def injected(self, receipt: Receipt, by: Process, *, tardy: bool) -> None:
        """See that a fault that takes effect may still do so."""
        self.tell("injected", f"{receipt} by {by.number}{' late' if tardy else ''}")
        told = self._owner(receipt)
        assert told is not None, "that was seen when it was begun"
        self.bit[receipt] = self.loop.now_s
        if tardy:
            self.tardy.add(receipt)
        elif receipt in (named(fault.receipt) for fault in told.state.outstanding):
            if told.holder != self.workers.get(by.number):
                self.violated(f"{receipt} was injected by {by}, who lost {short(told.state.id)}")
        else:
            self.violated(f"{receipt} was injected after its log said that it is undone")
        self.happened("injected", by)

    def misread(self, receipt: Receipt, by: Process) -> None:
        self.violated(f"{by} uses the receipt {receipt!r}, which was never given")

    def _owner(self, receipt: Receipt) -> Told | None:
        return self.executions[self.owners[receipt]] if receipt in self.owners else None

    def reverting(self, receipt: Receipt) -> None:
        """Note that somebody tries to undo a fault."""
        self.tried[receipt] = self.loop.now_s

    def reverted(self, receipt: Receipt, by: Process) -> None:
        self.tell("reverted", f"{receipt} by {by.number}")
        self.happened("reverted", by)

    def acted(self, name: str, by: Process) -> None:
        """See that whoever does something has an execution of which that is a step."""
        self.tell("acted", f"{name} by {by.number}")
        self.done[name] += 1
        worker, scenario = self.workers.get(by.number), name.partition("/")[0]
        if not any(
            told.holder == worker and not told.over
            for told in self.executions.values()
            if told.record.scenario_name == scenario
        ):
            self.violated(f"{by} did {name} and has no such execution any more")
        self.happened("acted", by)

    # The end.

    @property
    def settled(self) -> bool:
        """Tell whether every execution has ended and nothing is outstanding."""
        return all(told.over and not told.state.outstanding for told in self.executions.values())

    @property
    def residue(self) -> bool:
        """Tell whether something is left in force that only an undo will try again."""
        return any(told.over and told.state.outstanding for told in self.executions.values())

    def running(self) -> list[ExecutionId]:
        """Return the executions that have not ended."""
        return [execution for execution, told in self.executions.items() if not told.over]

    def unsettled(self) -> list[str]:
        """Return a word on each execution that has not ended, or has left something."""
        return [
            f"{told.state.id} ({told.record.scenario_name}) is {told.state.status} at "
            f"{told.state.position}, {len(told.state.outstanding)} faults outstanding"
            for told in self.executions.values()
            if not told.over or told.state.outstanding
        ]


def short(identity: object) -> str:
    """Return the end of an identity, which tells it from the others of a story."""
    return str(identity)[-4:]
