"""Small ways to break the engine, each of which the simulation must notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio

from test_coordination.adapters.memory.books import Books
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.application import running, scheduler, taking
from test_coordination.application.engine import continuing, ledger, runner, sweep, verdict
from test_coordination.application.engine.decide import Lift
from test_coordination.application.engine.lease import LEASE, MARGIN, Hold, Lease
from test_coordination.application.engine.readiness import Standing
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.takeover import Cleaning, Gone
from test_coordination.domain.admission import ClaimKind, Uses
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import FaultArmed, FaultInjected
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """One way to break the engine in this process, for good."""

    name: str
    does: Callable[[], None]


SABOTAGES: list[Sabotage] = []


def sabotage(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Put what is decorated on the list."""

    def keep(does: Callable[[], None]) -> Callable[[], None]:
        SABOTAGES.append(Sabotage(name=name, does=does))
        return does

    return keep


def put(owner: Any, name: str, stand_in: object) -> Any:
    """Replace a function or method, and return the one that was there."""
    real = getattr(owner, name)
    setattr(owner, name, stand_in)
    return real


async def nothing(*_: object, **__: object) -> None:
    """Do nothing."""


@sabotage("the receipt is recorded after the injection")
def receipt_late() -> None:
    async def armed(charge: ledger.Charge, record: ledger.Record) -> tuple[Any, FaultArmed]:
        del record
        work = charge.work
        receipt = await charge.fault.arm(
            charge.topology, work.service, charge.vault.reveal(work.parameters)
        )
        return receipt, FaultArmed(
            step=charge.step,
            fault=work.fault,
            service=work.service,
            receipt=charge.vault.seal(receipt),
        )

    async def carry_out(self: Any, record: ledger.Record) -> None:
        charge = self.charge
        evidence = await self._bite(await self._may_bite())
        work, sealed = charge.work, charge.vault.seal(self.receipt)
        await record(
            FaultArmed(step=charge.step, fault=work.fault, service=work.service, receipt=sealed)
        )
        await record(FaultInjected(step=charge.step, evidence=evidence))

    put(ledger, "_armed", armed)
    put(ledger._Injection, "carry_out", carry_out)


@sabotage("the epoch of an append is not checked")
def epoch_unchecked() -> None:
    async def append(self: Any, entries: Any, *, leading_to: Execution, epoch: int) -> None:
        del epoch
        now = self._kept[leading_to.id].record.epoch
        await real(self, entries, leading_to=leading_to, epoch=now)

    real = put(MemoryExecutionLog, "append", append)


@sabotage("nobody asks before an effect whether the lease has lapsed")
def unguarded() -> None:
    async def sure(self: Hold) -> int:
        return self.lapses

    put(Hold, "sure", sure)


@sabotage("the clock that a lease is counted by goes wrong")
def lease_too_long() -> None:
    def renewed(self: Lease, sent: Any) -> None:
        real(self, sent + 2 * MARGIN + LEASE / 2)

    real = put(Lease, "_renewed", renewed)


@sabotage("a sweeper takes from the living")
def takes_from_living() -> None:
    def absence(worker: Any, *, silent: bool, machine: Any, lease: Any) -> Gone | None:
        gone: Gone | None = real(worker, silent=silent, machine=machine, lease=lease)
        return gone or Gone(why="it looks so", certainly=True)

    real = put(sweep, "absence", absence)
    put(taking, "absence", absence)


@sabotage("what is cancelled is not undone")
def undo_cancelled() -> None:
    class Unshielded:
        def __getattr__(self, name: str) -> object:
            return getattr(anyio, name)

        def CancelScope(self, *, shield: bool = False) -> anyio.CancelScope:  # noqa: N802
            del shield
            return anyio.CancelScope()

    put(ledger, "anyio", Unshielded())


@sabotage("a pause that is to undo does not")
def pause_keeps() -> None:
    def decide(*given: Any) -> Any:
        decision = real(*given)
        kept = tuple(each for each in decision.commands if not isinstance(each, Lift))
        return replace(decision, commands=kept)

    real = put(runner, "decide", decide)


@sabotage("a fault bites while the execution is paused")
def bites_in_pause() -> None:
    put(Recorder, "resumed", nothing)


@sabotage("what a dead worker left is not undone")
def left_in_force() -> None:
    put(Cleaning, "undo_left", nothing)


@sabotage("what was injected across a lapse is not taken back")
def late_kept() -> None:
    def undoing(**given: Any) -> Any:
        return real(**{**given, "late": False})

    real = put(ledger, "Undoing", undoing)


@sabotage("an action whose outcome is unknown is done again")
def repeats_unknown() -> None:
    class Anything:
        def __contains__(self, _: object) -> bool:
            return True

    def settled(plan: Any, execution: Any, *, repeatable: object) -> Any:
        del repeatable
        return real(plan, execution, repeatable=Anything())

    real = put(running, "settled", settled)


@sabotage("a fault that was lost counts as held")
def lost_counts() -> None:
    def fault(self: Any, work: Any, state: Any) -> Any:
        return real(self, work, replace(state, lost=False))

    real = put(continuing._Left, "_fault", fault)
    put(continuing._Left, "_was_held", lambda *_: True)


@sabotage("claims are let go at the end, whatever is left in force")
def early_release() -> None:
    def keep(self: Any, record: Any, after: Execution) -> None:
        real(self, record, after)
        if after.status is Status.FINISHED:
            self._admitted.pop(self._top(record.id), None)

    real = put(Books, "keep", keep)


@sabotage("two get in where only one may")
def two_inside() -> None:
    def is_free(self: Any, claim: Any) -> bool:
        if claim.kind is ClaimKind.EXCLUSIVE:
            return bool(self._used.get(claim.thing, 0) < 2)
        return bool(real(self, claim))

    real = put(Uses, "_is_free", is_free)


@sabotage("the budget is not looked at")
def no_budget() -> None:
    put(Books, "check", lambda *_: None)


@sabotage("an execution holds with residue")
def holds_with_residue() -> None:
    def judge(plan: Any, execution: Execution) -> tuple[Verdict, str]:
        found, why = real(plan, execution)
        return (Verdict.HELD if found is Verdict.RESIDUE else found), why

    real = put(verdict, "judge", judge)


@sabotage("a firing that is begun once more is another execution")
def fires_twice() -> None:
    begun: set[ExecutionId] = set()

    async def start(self: Any, errand: Any) -> None:
        name = errand.execution
        if name in begun:
            name = ExecutionId(self._world.identities.new())
        begun.add(errand.execution)
        await real(self, replace(errand, execution=name))

    real = put(scheduler.Scheduler, "_start", start)


@sabotage("an append whose answer was lost is repeated at the new end")
def appended_twice() -> None:
    async def write(self: Any, events: Sequence[Any]) -> None:
        now = self._stores.clock.now()
        while True:
            try:
                found = await self._stores.log.read(self.state.id, after=self.state.position)
                for entry in found:
                    self.state = self.state.apply(entry)
                page = self._folded(events, now)
                await self._append(page, again=False)
            except StoreUnavailableError:
                await anyio.sleep(0.1)
            else:
                return

    put(Recorder, "_write", write)


@sabotage("an entry of a log is skipped")
def entry_skipped() -> None:
    async def append(self: Any, entries: Any, *, leading_to: Execution, epoch: int) -> None:
        await real(self, entries, leading_to=leading_to, epoch=epoch)
        if len(entries) > 2:
            del self._kept[leading_to.id].lines[-2]

    real = put(MemoryExecutionLog, "append", append)


@sabotage("a step does not wait for what it needs")
def needs_ignored() -> None:
    put(Standing, "_is_due", lambda *_: True)


@sabotage("nobody looks for what the dead have left")
def no_sweep() -> None:
    async def find(*_: object, **__: object) -> Sequence[object]:
        return ()

    put(sweep.Sweeper, "find", find)
