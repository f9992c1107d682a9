"""Decide what is due: a pure function of the plan, of what happened, and of the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from test_coordination.application.engine.readiness import Skip, Standing
from test_coordination.application.engine.verdict import stop_reason
from test_coordination.domain.execution import Execution, FaultState, FaultStatus
from test_coordination.domain.plan import FaultWork, Plan, PlannedStep, Stage, WaitWork
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
class Stop:
    """Ask for the whole execution to stop."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Do what is left to be done of on_failure, if it is called for, and record the end."""


Command: TypeAlias = Begin | Skip | Finish | Cancel | Stop | Conclude


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
    """
    standing = Standing.of(plan, execution)
    running = standing.running()
    if any(step.stage is Stage.FAILURE for step in running):
        return Decision(commands=())
    if stop_reason(plan, execution):
        return _ending(running, execution, now)
    if standing.all_over(Stage.BEFORE, Stage.MAIN, Stage.AFTER):
        return Decision(commands=(Conclude(),))
    deadline = execution.started_at + plan.timeout if execution.started_at else None
    if deadline is not None and now >= deadline:
        reason = f"the scenario's timeout of {format_duration(plan.timeout)} has passed"
        return Decision(commands=(Stop(reason=reason),))
    due = [(step.id, at) for step in running if (at := _ends_at(step, execution)) is not None]
    finish = [*(step for step, at in due if at <= now), *standing.finishing()]
    later = [at for _, at in due if at > now]
    turns = list(standing.turns())
    return Decision(
        commands=(
            *(Finish(step=step) for step in dict.fromkeys(finish)),
            *(Begin(step=turn) for turn in turns if not isinstance(turn, Skip)),
            *(turn for turn in turns if isinstance(turn, Skip)),
        ),
        wake_at=min([*later, *([deadline] if deadline else [])], default=None),
        watching=standing.watching(),
    )


def _ending(running: list[PlannedStep], execution: Execution, now: datetime) -> Decision:
    """Undo the newest fault first, one after the other; everything else ends at once.

    An undo that gets nowhere in ``UNDO_TURN`` has the older ones undone beside it: what it waits
    for may be what they have taken away.
    """
    others = [step for step in running if step.fault is None]
    ledger = list(execution.faults)
    faults = [step for step in running if step.fault is not None]
    faults.sort(key=lambda step: _age(step, ledger), reverse=True)
    assert execution.changed_at is not None, "what is to end has begun"
    turn_ends = execution.changed_at + UNDO_TURN
    due = faults if now >= turn_ends else faults[:1]
    if not running:
        return Decision(commands=(Conclude(),))
    return Decision(
        commands=tuple(Cancel(step=step.id) for step in (*others, *due)),
        wake_at=turn_ends if len(due) < len(faults) else None,
    )


def _age(step: PlannedStep, ledger: list[StepId]) -> int:
    """Return a fault's place in the ledger; one that is not armed is newer than all that are."""
    return ledger.index(step.id) if step.id in ledger else len(ledger)


def _ends_at(step: PlannedStep, execution: Execution) -> datetime | None:
    """Return when a running step is due to end by the clock alone."""
    match step.work:
        case WaitWork(duration=duration):
            return execution.steps[step.id].started_at + duration
        case FaultWork(hold=hold) if hold is not None:
            fault: FaultState | None = execution.faults.get(step.id)
            if fault is None or fault.status is not FaultStatus.INJECTED:
                return None
            assert fault.injected_at is not None, "an injected fault has its time"
            return fault.injected_at + hold
        case _:
            return None
