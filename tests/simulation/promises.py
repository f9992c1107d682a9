"""What must be true of all executions together: locks, budgets, wishes, schedules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from simulation.targets import named
from simulation.truth import Told, Truth, short
from test_coordination.application.timetable import Firing, FiringState
from test_coordination.application.wishes import Desire, Wish
from test_coordination.domain.events import Outcome
from test_coordination.domain.schedule import Every
from test_coordination.domain.values import ExecutionId, WorkerId

HEARD_WITHIN_S = 2.0
"""How soon whoever runs an execution acts on a wish, if nothing is in the way."""


def holding(truth: Truth) -> Iterator[Told]:
    """Yield the executions that have what they claim: until nothing of theirs may be in force."""
    steps = Counter(
        told.record.parent
        for told in truth.executions.values()
        if told.record.parent is not None and told.begun and not _is_done(told)
    )
    for told in truth.executions.values():
        top = told.record.parent is None
        if top and told.begun and (not _is_done(told) or steps[told.record.id]):
            yield told


def _is_done(told: Told) -> bool:
    return told.over and not told.state.outstanding


def clash(truth: Truth) -> str:
    """Return which executions have what they must not have at once; empty if none do."""
    alone: dict[str, ExecutionId] = {}
    beside: dict[str, ExecutionId] = {}
    slots: Counter[str] = Counter()
    for told in holding(truth):
        claims, name = told.record.plan.claims, told.record.id
        for resource in claims.exclusive:
            other = alone.setdefault(resource, beside.get(resource, name))
            if other != name:
                return f"{short(name)} has {resource} for itself, and so has {short(other)}"
        for resource in claims.shared:
            beside[resource] = name
            if alone.get(resource, name) != name:
                return f"{short(name)} shares {resource}, which {short(alone[resource])} has alone"
        slots.update(claims.pools)
        over = [pool for pool, size in claims.sizes.items() if slots[pool] > size]
        if over:
            return f"{slots[over[0]]} slots of {over[0]} are taken"
    return ""


def excess(truth: Truth) -> str:
    """Return how many services are hit at once, if they are too many; empty if not."""
    hit = {fault.service for told in truth.executions.values() for fault in told.state.outstanding}
    limits = [told.record.plan.services_max for told in truth.executions.values()]
    limit = min((each for each in limits if each is not None), default=None)
    return f"{sorted(hit)} are hit at once" if limit is not None and len(hit) > limit else ""


def misdone(told: Told, truth: Truth) -> str:
    """Return what an execution did that its log does not bear out; empty if all is well.

    Deeds are told apart by their scenario, so this is known of one that ran once in the story.
    """
    scenario = told.record.scenario_name
    if sum(each.record.scenario_name == scenario for each in truth.executions.values()) > 1:
        return ""
    allowed: Counter[str] = Counter()
    claimed: Counter[str] = Counter()
    for step in told.steps.values():
        state = told.state.steps.get(step.id)
        if step.action is None or step.action.action != "note" or step.action.times != 1:
            continue
        name = str(step.action.parameters["name"])
        allowed[name] += 0 if state is None else state.attempts
        claimed[name] += state is not None and state.outcome is Outcome.DONE
    for name, most in allowed.items():
        if not claimed[name] <= truth.done[name] <= most:
            return f"{name} was done {truth.done[name]} times; its log says {claimed[name]}"
    return ""


@dataclass(frozen=True, slots=True)
class Wished:
    """A wish that was kept at ``at_s``; ``holders`` are who had the executions then it is for."""

    wish: Wish
    at_s: float
    holders: Mapping[ExecutionId, WorkerId]

    @classmethod
    def now(cls, wish: Wish, meant: Iterable[ExecutionId], truth: Truth) -> Wished:
        """Return a wish that is kept now; it is for what their workers run as their steps, too."""
        told = [truth.executions[each] for each in meant]
        steps = [
            step
            for each in told
            for step in truth.executions.values()
            if step.record.parent == each.record.id and step.holder == each.holder
        ]
        running = {each.record.id: each.holder for each in (*told, *steps) if not each.over}
        return cls(wish, truth.loop.now_s, running)

    def unheeded(self, truth: Truth) -> str:
        """Return who should have acted on it by now, as he is well, and has not; empty if none."""
        for execution, holder in self.holders.items():
            told, process = truth.executions[execution], truth.processes.get(holder)
            kept = told.holder == holder and process is not None and not truth.is_excused(process)
            runs = told.epoch in told.worked  # who only cleans up has nothing to stop
            if not kept or not runs or told.over or told.state.abort is not None:
                continue
            if self.wish.desire is Desire.ABORT:
                return f"{short(execution)} goes on {HEARD_WITHIN_S:g} s after it was to stop"
            if self.wish.desire is Desire.PAUSE and (left := self._kept_in_force(told, truth)):
                return f"{left} is not undone {HEARD_WITHIN_S:g} s after a pause that was to"
        return ""

    def _kept_in_force(self, told: Told, truth: Truth) -> str:
        """Return a fault that bit as a pause began that undoes them; empty once one is tried."""
        pause = told.state.pause
        if pause is None or not pause.undo or not self.wish.undo:
            return ""
        known = [named(f.receipt) for f in told.state.outstanding if f.injected_at is not None]
        bit = [receipt for receipt in known if truth.bit.get(receipt, self.at_s) < self.at_s]
        tried = any(truth.tried.get(receipt, -1.0) >= truth.bit[receipt] for receipt in bit)
        return "" if tried or not bit else bit[-1]


def astray(schedule: str, firings: Sequence[Firing], truth: Truth) -> str:
    """Return which execution of a schedule is that of no time of its own; empty if all are."""
    meant = Counter(each.execution for each in firings if each.execution is not None)
    for name, told in truth.executions.items():
        if told.record.requested_by == f"schedule {schedule}" and meant[name] != 1:
            return f"schedule {schedule} began {short(name)} for {meant[name]} times"
    return ""


def misfired(schedule: str, trigger: object, firings: Sequence[Firing], *, truth: Truth) -> str:
    """Return what is wrong with the runs that a schedule asked for; empty if all is well."""
    begun = [each for each in firings if each.execution is not None]
    if twice := _doubled((each.due, each.cause) for each in firings):
        return f"schedule {schedule} fired twice for {twice}"
    if twice := _doubled(each.execution for each in begun):
        return f"schedule {schedule} has one execution for two times: {twice}"
    wanted = {each.execution for each in begun if each.state is not FiringState.SKIPPED}
    wanted -= {each.execution for each in begun if each.state is FiringState.FAILED}
    there = {
        name
        for name, told in truth.executions.items()
        if told.record.requested_by == f"schedule {schedule}"
    }
    if wanted != there:
        return f"schedule {schedule} has {len(wanted)} runs and {len(there)} executions"
    if isinstance(trigger, Every):
        dues = sorted(each.due for each in firings if not each.cause)
        gaps = [b - a for a, b in pairwise(dues) if b - a != trigger.period]
        if gaps:
            return f"schedule {schedule} left out a time: {gaps[0]} between two of them"
    return ""


def _doubled(names: Iterable[object]) -> object:
    return next((name for name, count in Counter(names).items() if count > 1), None)
