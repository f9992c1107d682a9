"""Faults in force: armed before they bite, seen to bite, undone and seen to be gone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

import anyio
import anyio.lowlevel

from test_coordination.application.capabilities import Fault
from test_coordination.application.engine.decide import UNDO_TURN
from test_coordination.application.engine.lease import Hold, LostError
from test_coordination.application.engine.recorder import DoubtfulRefusalError
from test_coordination.application.engine.vault import Vault
from test_coordination.application.fleet import BudgetExceededError
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import (
    Event,
    FaultArmed,
    FaultInjected,
    FaultNotInjected,
    FaultReverted,
    FaultRevertFailed,
    Noted,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.execution import IllegalTransitionError
from test_coordination.domain.plan import FaultWork
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import Receipt, StepId

UNDO_LIMIT: Final = timedelta(seconds=60)
"""How long an undo may go on trying before its fault is put on record as residue."""

_RETRY_S: Final = 0.5

Record = Callable[[Event], Awaitable[None]]


@dataclass(eq=False, kw_only=True)
class UndoTimeoutError(CoordinationError):
    """An undo did not come back in the time that it has."""

    code: ClassVar[str] = "fault.undo_timeout"

    limit_s: float

    def __str__(self) -> str:
        return f"the undo did not finish within {self.limit_s:g} s; run `tcoord undo` to try again"


@dataclass(eq=False, kw_only=True)
class UndoBrokenError(CoordinationError):
    """An undo broke off in a way that its fault does not know."""

    code: ClassVar[str] = "fault.undo_broken"

    cause: str

    def __str__(self) -> str:
        return f"the undo broke off on a bug of ours: {self.cause}; please report it"


@dataclass(eq=False, kw_only=True)
class ResidueError(CoordinationError):
    """A fault was held as asked, and is not proven to be undone."""

    code: ClassVar[str] = "fault.residue"

    step: StepId
    reason: str

    def __str__(self) -> str:
        return f"the fault of step {self.step!r} is not proven to be undone: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A fault, what it is to do, to whom, and for which execution.

    It does not bite before ``resumed`` returns: while the execution is paused nothing begins to.
    """

    step: StepId
    fault: Fault
    work: FaultWork
    topology: Topology
    vault: Vault
    hold: Hold
    resumed: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint_if_cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """A fault that may be in force, and what takes it back.

    ``receipt`` returns the one of ``armed`` with its secrets. One that is ``late`` may have been
    injected after another worker took the execution over and undid it: whoever did that takes
    it back himself.
    """

    fault: Fault
    armed: FaultArmed
    receipt: Callable[[], Receipt]
    hold: Hold
    late: bool = False


@asynccontextmanager
async def held(charge: Charge, record: Record) -> AsyncGenerator[None]:
    """Keep a fault in force for the body of the ``async with``.

    The receipt, without its secrets, is recorded before the target is touched, so a worker that
    dies at any point leaves behind enough to clean up. Neither cancellation nor an error reaches
    the undo, which has ``UNDO_LIMIT`` of its own; if that runs out, the fault stays on record as
    outstanding and the next sweep tries again.

    Raises:
        LostError: another worker has the execution, and undoes the fault.
        CoordinationError: the fault could not be armed, or does not bite; it is undone by then.
    """
    receipt, armed = await _armed(charge, record)
    injection = _Injection(charge=charge, receipt=receipt)
    async with _aside(record) as tell:
        try:
            await injection.carry_out(tell)
            yield
        finally:
            undoing = Undoing(
                fault=charge.fault,
                armed=armed,
                receipt=lambda: receipt,
                hold=charge.hold,
                late=injection.late,
            )
            with anyio.CancelScope(shield=True):
                await undo(undoing, record)


async def _armed(charge: Charge, record: Record) -> tuple[Receipt, FaultArmed]:
    """Return the receipt of a fault, and what was recorded of it.

    While faults hit as much of the system as they may, whoever began them, it waits for one to
    be undone, and says so once. It looks at its target again before each try.
    """
    work, vault, waits = charge.work, charge.vault, False
    parameters = vault.reveal(work.parameters)
    while True:
        receipt = await charge.fault.arm(charge.topology, work.service, parameters)
        sealed = vault.seal(receipt)
        armed = FaultArmed(step=charge.step, fault=work.fault, service=work.service, receipt=sealed)
        try:
            await _certainly(armed, record)
        except BudgetExceededError as error:
            if not waits:
                await record(Noted(text=f"step {charge.step!r} waits: {error}"))
            waits = True
            await anyio.sleep(_RETRY_S)
        else:
            return receipt, armed


async def _certainly(armed: FaultArmed, record: Record) -> None:
    """Record that a fault is armed; if this raises, the log does not and will not say so.

    Raises:
        BudgetExceededError: too much is hit already.
    """
    try:
        await record(armed)
    except DoubtfulRefusalError as error:
        # What is written now keeps out an earlier try that may be on its way still.
        await record(Noted(text=f"step {armed.step!r} asks again: {error}"))
        with suppress(IllegalTransitionError):  # it came just before the note
            await _certainly(armed, record)


@asynccontextmanager
async def _aside(record: Record) -> AsyncGenerator[Record]:
    """Lend a way to record that whoever is cancelled need not wait for; it is done by the end.

    A fault that bites is undone at once when somebody wants that, however long the log takes to
    hear that it bit.
    """
    failures: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def tell(event: Event) -> None:
            told = anyio.Event()

            async def write() -> None:
                try:
                    await record(event)
                except Exception as error:  # noqa: BLE001  raised by whoever waits, and by the undo
                    failures.append(error)
                told.set()

            group.start_soon(write)
            await told.wait()
            if failures:
                raise failures[0]

        try:
            yield tell
        except Exception as error:  # noqa: BLE001  raised below: a task group would wrap it
            failures.insert(0, error)
    if failures:
        raise failures[0]


@dataclass(slots=True, kw_only=True)
class _Injection:
    """Puts a fault in force; ``late`` tells whether that went on while the lease had lapsed."""

    charge: Charge
    receipt: Receipt
    late: bool = False

    async def carry_out(self, record: Record) -> None:
        charge = self.charge
        # While the receipt was recorded no cancellation came through; it has its chance here.
        await anyio.lowlevel.checkpoint_if_cancelled()
        lapses = await self._may_bite()
        try:
            evidence = await self._bite(lapses)
        except CoordinationError as error:
            await record(FaultNotInjected(step=charge.step, reason=str(error), code=error.code))
            raise
        await record(FaultInjected(step=charge.step, evidence=evidence))

    async def _may_bite(self) -> int:
        """Return the number of lapses once it is neither paused nor another worker's, both now."""
        charge = self.charge
        while True:
            lapses = await charge.hold.sure()
            await charge.resumed()
            if charge.hold.lapses == lapses:
                return lapses

    async def _bite(self, lapses: int) -> Facts:
        try:
            return await self.charge.fault.inject(self.receipt)
        finally:
            self.late = self.charge.hold.lapses != lapses


async def undo(undoing: Undoing, record: Record) -> bool:
    """Revert what may be in force; tell whether it is proven to be gone.

    What happened is recorded either way. The target is put back before anything is written, so
    a store that is away delays the record and never the undo.

    Raises:
        LostError: another worker has the execution, and undoes the fault; nothing was touched.
    """
    undone = _undone(undoing.armed.step, await _reverted(undoing))
    await record(undone)
    return isinstance(undone, FaultReverted)


def _undone(step: StepId, outcome: Facts | CoordinationError) -> FaultReverted | FaultRevertFailed:
    if isinstance(outcome, CoordinationError):
        return FaultRevertFailed(step=step, reason=str(outcome), code=outcome.code)
    return FaultReverted(step=step, evidence=outcome)


async def _reverted(undoing: Undoing) -> Facts | CoordinationError:
    """Return what shows that the fault is gone, or why that could not be shown in time."""
    failure: CoordinationError = UndoTimeoutError(limit_s=UNDO_LIMIT.total_seconds())
    with anyio.move_on_after(UNDO_LIMIT.total_seconds()):
        while True:
            try:
                if not undoing.late:
                    await undoing.hold.unless_lost()
                return await undoing.fault.revert(undoing.receipt())
            except LostError:
                raise
            except CoordinationError as error:
                failure = error
            except Exception as error:  # noqa: BLE001  part of the border that a step is: what is left in force has to be on record
                failure = UndoBrokenError(cause=f"{type(error).__name__}: {error}")
            await anyio.sleep(_RETRY_S)
    return failure


async def in_turns(
    undoing: Iterable[Callable[[], Awaitable[None]]], *, turn: timedelta = UNDO_TURN
) -> None:
    """Do one after the other, each beside those before it that take longer than ``turn``.

    If one raises, no further one is begun, and what is under way comes to its end.

    Raises:
        Exception: the first that was raised.
    """
    failures: list[Exception] = []

    async def take(undo_one: Callable[[], Awaitable[None]], over: anyio.Event) -> None:
        try:
            await undo_one()
        except Exception as error:  # noqa: BLE001  raised below: a task group would wrap it
            failures.append(error)
        over.set()

    async with anyio.create_task_group() as group:
        for undo_one in undoing:
            over = anyio.Event()
            group.start_soon(take, undo_one, over)
            with anyio.move_on_after(turn.total_seconds()):
                await over.wait()
            if failures:
                break
    if failures:
        raise failures[0]
