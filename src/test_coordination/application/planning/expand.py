"""Make the copies that `for_each` asks for: a tree of steps becomes one in which it is gone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import chain, product

from test_coordination.application.planning.literals import with_copies
from test_coordination.application.planning.settle import TIME_MIN, Settler
from test_coordination.domain.expressions import Expression, InvalidExpressionError
from test_coordination.domain.steps import (
    COPIES_MAX,
    Deed,
    ErrorPolicy,
    ExpectStep,
    ForEach,
    GateStep,
    Group,
    ParallelStep,
    SequenceStep,
    Step,
    StepHead,
    StopStep,
    WaitStep,
    flatten,
)
from test_coordination.domain.values import StepId, Value

_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Copies of one step of which some wait until earlier ones are over."""

    waiting: frozenset[StepId]
    earlier: frozenset[StepId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    """The steps of a scenario with a step of its own for each copy.

    ``each`` is what a step's copy stands for, and ``limits`` the longest that it may take because
    of the groups that it is in. ``deeds`` gives the steps that do something for
    each id, an author's or one of this tree. The steps in ``empty`` stand for copies of which
    there are none.
    """

    steps: tuple[Step, ...]
    each: Mapping[StepId, Mapping[str, Value]]
    limits: Mapping[StepId, timedelta]
    deeds: Mapping[StepId, tuple[StepId, ...]]
    empty: frozenset[StepId]
    queues: tuple[Queue, ...]

    def every_deed(self) -> Iterator[Deed]:
        """Yield each step that does something itself, in the order of the file."""
        for step in flatten(self.steps):
            if not isinstance(step, ParallelStep | SequenceStep):
                yield step


def expand(steps: tuple[Step, ...], settler: Settler) -> Expanded:
    """Return ``steps`` with all copies made; problems are noted by ``settler``."""
    expander = _Expander()
    tree = expander.every(steps, _Scope(settler=settler))
    known = frozenset(node for nodes in expander.nodes.values() for node in nodes)
    tree = tuple(_redirected(step, expander.nodes, known) for step in tree)
    below = {step.id: _deeds((step,)) for step in flatten(tree)}
    authored = {
        author: tuple(dict.fromkeys(deed for node in nodes for deed in below[node]))
        for author, nodes in expander.nodes.items()
    }
    return Expanded(
        steps=tree,
        each=expander.each,
        limits=expander.limits,
        deeds={**authored, **below},
        empty=frozenset(expander.empty),
        queues=tuple(
            Queue(waiting=frozenset(below[waiting]), earlier=frozenset(below[earlier]))
            for waiting, earlier in expander.queues
        ),
    )


def _deeds(steps: Iterable[Step]) -> tuple[StepId, ...]:
    return tuple(
        step.id for step in flatten(steps) if not isinstance(step, ParallelStep | SequenceStep)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """Where a step stands: in which copy of what, and under which conditions.

    ``ids`` are the names, in this copy, of the steps that were copied together.
    """

    settler: Settler
    suffix: str = ""
    ids: Mapping[StepId, StepId] = field(default_factory=dict)
    conditions: tuple[Expression, ...] = ()
    on_error: ErrorPolicy = ErrorPolicy.FAIL
    limit: timedelta | None = None

    def name(self, step: StepId) -> StepId:
        return self.ids.get(step, step)

    def own(self, condition: Expression) -> Expression:
        """Return ``condition`` with the windows of steps that were copied together their own."""
        try:
            return with_copies(condition, self.ids)
        except InvalidExpressionError as error:
            self.settler.problems.append(error.problem)
            return condition


class _Expander:
    """Walks the steps in the order of the file, and counts.

    ``nodes`` gives the ids in the new tree for each id of the author.
    """

    def __init__(self) -> None:
        self.each: dict[StepId, Mapping[str, Value]] = {}
        self.limits: dict[StepId, timedelta] = {}
        self.nodes: dict[StepId, list[StepId]] = {}
        self.empty: list[StepId] = []
        self.queues: list[tuple[StepId, StepId]] = []
        self._count = 0

    def every(self, steps: Iterable[Step], scope: _Scope) -> tuple[Step, ...]:
        return tuple(self._step(step, scope) for step in steps)

    def _step(self, step: Step, scope: _Scope) -> Step:
        if step.for_each is None:
            return self._copy(step, scope)
        identity = StepId(f"{step.id}{scope.suffix}")
        needs = _needs(step, scope)
        copies = self._each(step, step.for_each, scope)
        if not copies:
            self.empty.append(identity)
            for inner in flatten((step,)):
                self._note(inner.id, identity, scope)
            return WaitStep(id=identity, mark=step.mark, needs=needs, duration=_NOTHING)
        made = tuple(
            self._copy(replace(step, needs=None), _copied(step, ordinal, each=each, scope=scope))
            for ordinal, each in enumerate(copies, start=1)
        )
        late = made[step.concurrency :]
        self.queues += [(one.id, earlier.id) for one, earlier in zip(late, made, strict=False)]
        self._note(step.id, identity, scope)
        return ParallelStep(id=identity, mark=step.mark, needs=needs, steps=made)

    def _each(self, step: Step, for_each: ForEach, scope: _Scope) -> list[Mapping[str, Value]]:
        """Return what each copy stands for; the last axis changes fastest."""
        axes = {name: scope.settler.items(axis) for name, axis in for_each.axes.items()}
        count = math.prod(map(len, axes.values()))
        self._count += count * _uncopied(step)
        if max(count, self._count) > COPIES_MAX:
            text = (
                f"{count} copies make more than the {COPIES_MAX} steps that a plan may have; "
                "copy for fewer values"
            )
            scope.settler.refuse(for_each.mark, "plan.too_many_steps", text)
            return []
        combinations = product(*axes.values())
        return [
            {**dict(zip(axes, values, strict=True)), "index": index}
            for index, values in enumerate(combinations)
        ]

    def _copy(self, step: Step, scope: _Scope) -> Step:
        identity = StepId(f"{step.id}{scope.suffix}")
        self._note(step.id, identity, scope)
        conditions = scope.conditions
        if step.condition is not None:
            conditions = (*conditions, scope.settler.filled(scope.own(step.condition)))
        is_group = isinstance(step, ParallelStep | SequenceStep)
        step = replace(
            step,
            id=identity,
            needs=_needs(step, scope),
            for_each=None,
            condition=None if is_group else _all(conditions, scope.settler),
            on_error=scope.on_error if step.on_error is ErrorPolicy.FAIL else step.on_error,
        )
        if isinstance(step, ParallelStep | SequenceStep):
            limit = _limit(step, scope)
            inside = replace(scope, conditions=conditions, on_error=step.on_error, limit=limit)
            return replace(step, steps=self.every(step.steps, inside))
        self.each[identity] = scope.settler.each
        if scope.limit is not None:
            self.limits[identity] = scope.limit
        if not scope.ids:
            return step
        match step:
            case ExpectStep(check=check):
                check = replace(
                    check,
                    expression=scope.own(check.expression),
                    after_fault=check.after_fault and scope.name(check.after_fault),
                    during=check.during and scope.name(check.during),
                )
                return replace(step, check=check)
            case GateStep(gate=gate):
                return replace(step, gate=replace(gate, condition=scope.own(gate.condition)))
            case StopStep(step=stopped):
                return replace(step, step=scope.name(stopped))
            case _:
                return step

    def _note(self, author: StepId, node: StepId, scope: _Scope) -> None:
        """Remember ``node`` for the author's id, and for that id in each copy that it is in."""
        parts = scope.suffix.split(".")
        for end in range(1, len(parts) + 1):
            name = StepId(author + ".".join(parts[:end]))
            self.nodes.setdefault(name, []).append(node)


def _copied(step: Step, ordinal: int, *, each: Mapping[str, Value], scope: _Scope) -> _Scope:
    suffix = f"{scope.suffix}.{ordinal}"
    own = {inner.id: StepId(f"{inner.id}{suffix}") for inner in flatten((step,))}
    return replace(
        scope, suffix=suffix, ids={**scope.ids, **own}, settler=scope.settler.inside(each)
    )


def _limit(group: Group, scope: _Scope) -> timedelta | None:
    """Return the longest that a step in ``group`` may take; None if that is not said."""
    if group.timeout is None:
        return scope.limit
    own = scope.settler.moment(group.timeout, group.mark, least=TIME_MIN)
    return own if scope.limit is None else min(own, scope.limit)


def _uncopied(step: Step) -> int:
    """Return how many deeds a copy of ``step`` has, but for those to be copied again."""
    if not isinstance(step, ParallelStep | SequenceStep):
        return 1
    return sum(_uncopied(inner) for inner in step.steps if inner.for_each is None)


def _needs(step: StepHead, scope: _Scope) -> tuple[StepId, ...] | None:
    return None if step.needs is None else tuple(map(scope.name, step.needs))


def _all(conditions: tuple[Expression, ...], settler: Settler) -> Expression | None:
    """Return one condition that is true where all of them are."""
    if len(conditions) < 2:  # noqa: PLR2004  two are joined
        return conditions[0] if conditions else None
    text = " && ".join(f"({condition.text}\n)" for condition in conditions)
    try:
        return replace(conditions[-1], text=text)
    except InvalidExpressionError as error:
        settler.problems.append(error.problem)
        return None


def _redirected(step: Step, nodes: Mapping[StepId, list[StepId]], known: frozenset[StepId]) -> Step:
    """Return ``step`` with needs on what is in copies of a group replaced by all its copies."""
    if step.needs is not None:
        found = ([need] if need in known else nodes.get(need, []) for need in step.needs)
        step = replace(step, needs=tuple(chain(*found)))
    if isinstance(step, ParallelStep | SequenceStep):
        inner = (_redirected(one, nodes, known) for one in step.steps)
        step = replace(step, steps=tuple(inner))
    return step
