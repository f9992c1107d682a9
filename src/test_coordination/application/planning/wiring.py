"""Say who waits for whom, once it is known what each step has become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby

from test_coordination.application.planning.course import course
from test_coordination.application.planning.expand import Expanded
from test_coordination.application.planning.settle import Settler
from test_coordination.application.planning.steps import Made
from test_coordination.domain.graph import find_cycle, layers
from test_coordination.domain.plan import PlannedStep, StopWork
from test_coordination.domain.steps import Deed, ExpectStep, StopStep, needs_of
from test_coordination.domain.values import StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """The steps of a scenario with their needs, and what each id stands for."""

    steps: tuple[PlannedStep, ...]
    groups: Mapping[StepId, tuple[StepId, ...]]


def wire(
    expanded: Expanded, made: Mapping[StepId, Made], *, first: frozenset[StepId], settler: Settler
) -> Wired:
    """Return what the steps have become with their needs; those without wait for ``first``.

    Where steps wait for each other ``settler`` notes a problem, and nothing is returned.
    """
    wiring = _Wiring(expanded, made, settler)
    members = {name: wiring.members(name) for name in expanded.deeds}
    groups = {name: found for name, found in members.items() if found != (name,)}
    return Wired(steps=wiring.wired(first, groups), groups=groups)


class _Wiring:
    """The steps of a scenario, what they have become, and what they say of each other."""

    def __init__(self, expanded: Expanded, made: Mapping[StepId, Made], settler: Settler) -> None:
        self._expanded = expanded
        self._settler = settler
        self._made = dict(made)
        self._needs = needs_of(expanded.steps)
        self._drop_idle()
        self._planned = {step.id: step for each in self._made.values() for step in each.steps}
        self._queued = self._queues()
        self._late = {
            step: earlier
            for deed, earlier in self._queued.items()
            for step in self._made[deed].first
        }

    def members(self, step: StepId) -> tuple[StepId, ...]:
        """Return the planned steps that an id stands for."""
        deeds = self._expanded.deeds.get(step, ())
        return tuple(planned.id for deed in deeds for planned in self._made[deed].steps)

    def wired(
        self, first: frozenset[StepId], groups: Mapping[StepId, tuple[StepId, ...]]
    ) -> tuple[PlannedStep, ...]:
        """Return all steps with their needs; nothing if they wait for each other."""
        if circle := find_cycle(self._needs):
            return self._refuse_circle(circle)
        satisfied = self._satisfied()
        steps = tuple(chain(*(self._wired(one, satisfied) for one in self._made.values())))
        if points := find_cycle(course(steps, groups)):
            return self._refuse_circle([step for step, _ in points])
        return tuple(replace(step, needs=step.needs or first) for step in steps)

    def _drop_idle(self) -> None:
        """Let what only judges or stops steps that have become nothing become nothing, too."""
        while idle := [each for each in self._made.values() if each.steps and self._is_idle(each)]:
            for each in idle:
                self._made[each.step.id] = replace(each, steps=(), first=frozenset())

    def _is_idle(self, made: Made) -> bool:
        return any(not self.members(step) for step in _regards(made.step))

    def _queues(self) -> Mapping[StepId, frozenset[StepId]]:
        """Return for the first steps of each copy what must have ended before it begins."""
        found: dict[StepId, frozenset[StepId]] = {}
        for queue in self._expanded.queues:
            earlier = frozenset(chain(*map(self.members, queue.earlier)))
            for deed in queue.waiting:
                if not self._needs[deed] & queue.waiting:
                    found[deed] = found.get(deed, frozenset()) | earlier
        return found

    def _satisfied(self) -> Mapping[StepId, frozenset[StepId]]:
        """Return for each deed the planned steps to wait for.

        What runs in the background is waited for only until it has begun. What has become
        nothing passes on its own needs, so that the order stays.
        """
        found: dict[StepId, frozenset[StepId]] = {}
        for deed in chain(*layers(self._needs)):
            made = self._made[deed]
            if not made.steps:
                found[deed] = _union(found[need] for need in self._needs[deed])
            elif made.step.background:
                found[deed] = made.first
            else:
                found[deed] = frozenset(step.id for step in made.steps)
        return found

    def _wired(
        self, made: Made, satisfied: Mapping[StepId, frozenset[StepId]]
    ) -> Iterator[PlannedStep]:
        deed = made.step
        queued = self._queued.get(deed.id, frozenset())
        if any(self._planned[step].endless for step in queued):
            text = "copies of a step that goes on until it is stopped cannot wait for each other; "
            text += "give it an end, or a 'concurrency' as large as their number"
            self._settler.refuse(deed.mark, "plan.endless", text)
        followed = self._followed(deed)
        needed = _union(satisfied[need] for need in self._needs[deed.id])
        own = frozenset(filter(partial(self._is_early, needed), needed)) | followed
        ended = frozenset(step for step in queued if self._planned[step].background)
        beside = self._beside(deed)
        for step in made.steps:
            planned = step
            if step.id in made.first:
                planned = replace(
                    step, needs=own | queued, ended=ended, queued=queued - own, beside=beside
                )
            if isinstance(deed, StopStep):
                planned = replace(planned, stop=StopWork(steps=self.members(deed.step)))
            yield planned

    def _is_early(self, needed: frozenset[StepId], step: StepId) -> bool:
        """Tell whether a step that is ``needed`` has a say in when all of these have begun.

        Of copies in the background, the first ones do: the others begin as these end.
        """
        late = self._late.get(step)
        return late is None or not self._planned[step].background or not late <= needed

    def _followed(self, deed: Deed) -> frozenset[StepId]:
        """Return the faults that are over before a check that follows them begins."""
        after = deed.check.after_fault if isinstance(deed, ExpectStep) else None
        members = () if after is None else self.members(after)
        return frozenset(step for step in members if not self._planned[step].background)

    def _beside(self, deed: Deed) -> frozenset[StepId]:
        during = deed.check.during if isinstance(deed, ExpectStep) else None
        return frozenset() if during is None else frozenset(self.members(during))

    def _refuse_circle(self, circle: Iterable[StepId]) -> tuple[()]:
        names = [name for name, _ in groupby(circle)]
        marks = {deed.id: deed.mark for deed in self._expanded.every_deed()}
        marks |= {step.id: step.mark for step in self._planned.values() if step.mark}
        text = f"these steps wait for each other: {' -> '.join(names)}; take one need away, or "
        text += "let one of them run in the background"
        self._settler.refuse(marks[names[0]], "plan.circle", text)
        return ()


def _regards(deed: Deed) -> Iterator[StepId]:
    """Yield the steps without which ``deed`` has nothing to do."""
    match deed:
        case ExpectStep(check=check):
            yield from (step for step in (check.after_fault, check.during) if step is not None)
        case StopStep(step=step):
            yield step
        case _:
            return


def _union(sets: Iterator[frozenset[StepId]]) -> frozenset[StepId]:
    return frozenset(chain(*sets))
