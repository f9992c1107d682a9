"""Decide what is due: a pure function of the plan, of what happened, and of the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from test_coordination.application.engine.readiness import Skip, Standing
from test_coordination.application.engine.verdict import stop_reason
from test_coordination.domain.execution import Execution, FaultState, FaultStatus
from test_coordination.domain.plan import Plan, PlannedStep, Stage
from test_coordination.domain.values import StepId, format_duration

UNDO_TURN: Final = timedelta(seconds=10)
"""How long an undo has the world to itself before the next older one is begun beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Start a step."""

    step: StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """End a step whose time has come: a wait is over, or a fault was held long enough.

    What runs in the background until it is told to end is told so by this, too.
    """

    step: StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End a step before its time; a fault is undone first."""

    step: StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """End a fault before its time, as the execution is paused and nothing is to stay in force."""

    step: StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Ask for the whole execution to stop."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Do what is left to be done of on_failure, if it is called for, and record the end."""


Command: TypeAlias = Begin | Skip | Finish | Cancel | Lift | Stop | Conclude


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now, and when to ask again even if nothing happens until then.

    ``watching`` tells whether the steady state and the conditions to stop are to be watched.
    """

    commands: tuple[Command, ...]
    wake_at: datetime | None = None
    watching: bool = False


def decide(plan: Plan, execution: Execution, now: datetime) -> Decision:
    """Return what is due at ``now``.

    Asking twice gives the same answer; whoever carries it out remembers what is under way. A
    step that has a condition is begun when its turn has come; whoever begins it evaluates that.

    While it is paused no step's turn comes and nothing that has no end of its own is ended, but
    what is under way goes on to its end, and what would stop it stops it. The time of a pause
    does not count for the timeout of the scenario.
    """
    standing = Standing.of(plan, execution)
    running = standing.running()
    if any(step.stage is Stage.FAILURE for step in running):
        return Decision(commands=())
    if stop_reason(plan, execution):
        return _ending(running, execution, now)
    if standing.all_over(Stage.BEFORE, Stage.MAIN, Stage.AFTER):
        return Decision(commands=(Conclude(),))
    paused, deadline = execution.pause, _deadline(plan, execution, now)
    if deadline is not None and now >= deadline:
        reason = f"the scenario's timeout of {format_duration(plan.timeout)} has passed"
        return Decision(commands=(Stop(reason=reason),))
    due = [(step.id, at) for step in running if (at := _ends_at(step, execution)) is not None]
    finish = [*(step for step, at in due if at <= now), *standing.finishing(paused=bool(paused))]
    turns = [] if paused else list(standing.turns())
    lifted, turn_ends = _undoing(running, execution, now) if paused and paused.undo else ([], None)
    later = [at for at in (*(at for _, at in due), deadline, turn_ends) if at and at > now]
    return Decision(
        commands=(
            *(Lift(step=step) for step in lifted),
            *(Finish(step=step) for step in dict.fromkeys(finish) if step not in lifted),
            *(Begin(step=turn) for turn in turns if not isinstance(turn, Skip)),
            *(turn for turn in turns if isinstance(turn, Skip)),
        ),
        wake_at=min(later, default=None),
        watching=standing.watching(),
    )


def _deadline(plan: Plan, execution: Execution, now: datetime) -> datetime | None:
    """Return when the time of the whole scenario is up; None while that is not known."""
    if execution.started_at is None or execution.pause is not None:
        return None
    return execution.started_at + plan.timeout + execution.paused_for(now)


def _ending(running: list[PlannedStep], execution: Execution, now: datetime) -> Decision:
    """Undo the newest fault first, one after the other; everything else ends at once."""
    if not running:
        return Decision(commands=(Conclude(),))
    others = [step.id for step in running if step.fault is None]
    due, turn_ends = _undoing(running, execution, now)
    return Decision(
        commands=tuple(Cancel(step=step) for step in (*others, *due)), wake_at=turn_ends
    )


def _undoing(
    running: list[PlannedStep], execution: Execution, now: datetime
) -> tuple[list[StepId], datetime | None]:
    """Return the faults that are to be undone by now, and when the next older ones are.

    The newest comes first. An undo that gets nowhere in ``UNDO_TURN`` has the older ones undone
    beside it: what it waits for may be what they have taken away.
    """
    ledger = list(execution.faults)
    faults = [step.id for step in running if step.fault is not None]
    faults.sort(key=lambda step: _age(step, ledger), reverse=True)
    gone = [step for step in faults if _is_gone(execution.faults.get(step))]
    left = [step for step in faults if step not in gone]
    assert execution.changed_at is not None, "what runs has begun"
    turn_ends = execution.changed_at + UNDO_TURN
    due = left if now >= turn_ends else left[:1]
    return [*gone, *due], turn_ends if len(due) < len(left) else None


def _is_gone(fault: FaultState | None) -> bool:
    """Tell whether a fault was undone; its step may go on, to try it once more."""
    return fault is not None and fault.status is FaultStatus.REVERTED


def _age(step: StepId, ledger: list[StepId]) -> int:
    """Return a fault's place in the ledger; one that is not armed is newer than all that are."""
    return ledger.index(step) if step in ledger else len(ledger)


def _ends_at(step: PlannedStep, execution: Execution) -> datetime | None:
    """Return when a running step is due to end by the clock alone."""
    if step.wait is not None:
        return execution.steps[step.id].started_at + step.wait.duration
    if step.fault is None or step.fault.hold is None:
        return None
    fault: FaultState | None = execution.faults.get(step.id)
    if fault is None or fault.status is not FaultStatus.INJECTED:
        return None
    assert fault.injected_at is not None, "an injected fault has its time"
    return fault.injected_at + step.fault.hold
