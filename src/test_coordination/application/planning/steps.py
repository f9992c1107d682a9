"""Plan what each step does: one planned step, or several where it is repeated or hits several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, Protocol, assert_never

from test_coordination.application.capabilities import Fault
from test_coordination.application.planning import seeds
from test_coordination.application.planning.checks import planned_check, planned_gate
from test_coordination.application.planning.choose import choose
from test_coordination.application.planning.ramps import FULL, Strength, strengths, weakened
from test_coordination.application.planning.settle import NO_TIME, TIME_MIN, Settler
from test_coordination.application.planning.tries import pauses
from test_coordination.domain.plan import (
    ActionWork,
    Choice,
    FaultWork,
    PlannedRetry,
    PlannedStep,
    ProbeWork,
    ScenarioWork,
    Settled,
    SnapshotWork,
    StopWork,
    WaitWork,
)
from test_coordination.domain.secrets import secret_paths
from test_coordination.domain.steps import (
    HOLD_MAX,
    STEP_TIMEOUT_DEFAULT,
    ActionStep,
    Between,
    Deed,
    ExpectStep,
    FaultStep,
    GateStep,
    Mode,
    ProbeStep,
    Repeat,
    ScenarioStep,
    Selector,
    SnapshotStep,
    StopStep,
    WaitStep,
)
from test_coordination.domain.values import ServiceName, StepId, format_duration

_ONCE: Final = Strength(name="", share=FULL)


class Nested(Protocol):
    """Plans a scenario that runs as a step of another one."""

    def __call__(self, step: ScenarioStep, settler: Settler, *, seed: int) -> ScenarioWork | None:
        """Return its work; None if it cannot be planned, which ``settler`` has noted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The planned steps that one step of the author has become.

    ``first`` are those that wait for what the step waits for; the others wait for them.
    """

    step: Deed
    steps: tuple[PlannedStep, ...]
    first: frozenset[StepId]


@dataclass(slots=True, kw_only=True)
class Planner:
    """Plans the steps of one scenario, one after the other; ``choices`` grows as it does.

    ``longest`` is how long the whole may take, and so a step that ends with others.
    """

    seed: int
    longest: timedelta
    nested: Nested
    choices: list[Choice] = field(default_factory=list)

    def make(self, step: Deed, settler: Settler, *, limit: timedelta | None = None) -> Made:
        """Return what ``step``, which takes ``limit`` at most, becomes; without its needs."""
        task = _Task(planner=self, step=step, settler=settler, limit=limit)
        made = tuple(task.steps())
        inside = frozenset(each.id for each in made)
        first = frozenset(each.id for each in made if not each.needs & inside)
        return Made(step=step, steps=made, first=first)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One step that is being planned."""

    planner: Planner
    step: Deed
    settler: Settler
    limit: timedelta | None

    def steps(self) -> Iterator[PlannedStep]:
        step, settler = self.step, self.settler
        plain = self._frame(step.id)
        match step:
            case FaultStep():
                yield from self._faults(step)
            case ActionStep():
                yield from self._actions(step)
            case ProbeStep():
                kind = settler.catalogue.probes[step.kind]
                parameters = settler.parameters(step.parameters, kind, step.mark)
                yield replace(plain, probe=ProbeWork(kind=step.kind, parameters=parameters))
            case WaitStep() | GateStep():
                yield self._waiting(step)
            case StopStep():
                yield replace(plain, stop=StopWork(steps=()))
            case SnapshotStep():
                services = tuple(settler.service(name, step.mark) for name in step.services)
                yield replace(plain, snapshot=SnapshotWork(services=services))
            case ExpectStep():
                yield self._expect(step)
            case ScenarioStep():
                work = self.planner.nested(step, settler, seed=self.planner.seed)
                if work is not None:
                    timeout = self._timeout(work.plan.timeout)
                    yield replace(plain, scenario=work, timeout=timeout)
            case _:
                assert_never(step)

    def _frame(self, identity: StepId) -> PlannedStep:
        """Return a step without any work, which takes no time of its own."""
        step = self.step
        condition = None if step.condition is None else self.settler.condition(step.condition)
        return PlannedStep(
            id=identity,
            title=step.title,
            mark=step.mark,
            timeout=self._timeout(NO_TIME),
            condition=condition,
            retry=self._retry(),
            on_error=step.on_error,
            background=step.background,
        )

    def _retry(self) -> PlannedRetry:
        retry = self.step.retry
        if retry is None:
            return PlannedRetry()
        delay = self.settler.moment(retry.delay, self.step.mark)
        return PlannedRetry(attempts=retry.attempts, delay=delay, backoff=retry.backoff)

    def _timeout(self, longest: timedelta) -> timedelta:
        """Return the author's timeout, or the time for all tries that take ``longest`` each."""
        if self.step.timeout is not None:
            found = self.settler.moment(self.step.timeout, self.step.mark, least=TIME_MIN)
        else:
            retry = self._retry()
            found = longest * retry.attempts + pauses(retry) + STEP_TIMEOUT_DEFAULT
        return found if self.limit is None else min(found, self.limit)

    def _waiting(self, step: WaitStep | GateStep) -> PlannedStep:
        plain = self._frame(step.id)
        if isinstance(step, GateStep):
            gate = planned_gate(step.gate, self.settler)
            return replace(plain, gate=gate, timeout=self._timeout(gate.within + gate.hold))
        duration = self._wait(step)
        wait = WaitWork(duration=duration)
        return replace(plain, wait=wait, timeout=self._timeout(duration))

    def _wait(self, step: WaitStep) -> timedelta:
        wait, settler = step.duration, self.settler
        if not isinstance(wait, Between):
            return settler.moment(wait, step.mark, most=HOLD_MAX)
        least = settler.moment(wait.least, step.mark, most=HOLD_MAX)
        most = settler.moment(wait.most, step.mark, most=HOLD_MAX)
        if most < least:
            text = f"no wait is between {format_duration(least)} and {format_duration(most)}"
            settler.refuse(step.mark, "value.out_of_range", f"{text}; write the shorter one first")
            return least
        seed = wait.seed if wait.seed is not None else self.planner.seed
        drawn = seeds.between(seed, step.id, least=least, most=most)
        candidates = format_duration(least), format_duration(most)
        choice = Choice(
            step=step.id, seed=seed, candidates=candidates, chosen=(format_duration(drawn),)
        )
        self.planner.choices.append(choice)
        return drawn

    def _expect(self, step: ExpectStep) -> PlannedStep:
        check = planned_check(step.check, self.settler)
        longest = (check.within or NO_TIME) + check.hold + (check.span or NO_TIME)
        if check.during is not None or (check.mode is not Mode.EVENTUALLY and check.span is None):
            longest = self.planner.longest
        return replace(self._frame(step.id), expect=check, timeout=self._timeout(longest))

    def _actions(self, step: ActionStep) -> Iterator[PlannedStep]:
        kind = self.settler.catalogue.actions[step.action]
        parameters = self.settler.parameters(step.parameters, kind, step.mark)
        work = ActionWork(action=step.action, parameters=parameters)
        repeat = step.repeat
        if repeat is None or repeat.every is None:
            yield from self._in_turns(
                repeat, lambda identity: [[replace(self._frame(identity), action=work)]]
            )
            return
        every = self.settler.moment(repeat.every, step.mark, least=TIME_MIN)
        times, longest = None, self.planner.longest
        if repeat.times is not None:
            times = self.settler.count(repeat.times, step.mark)
            longest = every * (times - 1)
        work = replace(work, every=every, times=times)
        yield replace(self._frame(step.id), action=work, timeout=self._timeout(longest))

    def _faults(self, step: FaultStep) -> Iterator[PlannedStep]:
        settler = self.settler
        if step.hold is None and (step.repeat is not None or not step.background):
            text = f"the fault {step.fault!r} never ends by itself; give it a 'hold'"
            settler.refuse(step.mark, "plan.endless", text)
        kind = settler.catalogue.faults[step.fault]
        before = len(settler.problems)
        parameters = settler.parameters(step.parameters, kind, step.mark)
        hold = step.hold
        if hold is not None:
            hold = settler.moment(hold, step.mark, most=HOLD_MAX)
        stages = self._stages(step, kind, parameters)
        strengths_of = {
            stage.name: weakened(parameters, kind.scalable, stage.share) for stage in stages
        }
        if len(settler.problems) == before:
            self._refuse_weak(step, kind, strengths_of)

        def chains(identity: StepId) -> Iterator[Iterator[PlannedStep]]:
            for target, service in self._targets(step, identity):
                yield (
                    self._fault(
                        f"{target}.{stage.name}" if stage.name else target,
                        FaultWork(
                            fault=step.fault,
                            service=service,
                            hold=stage.hold or hold,
                            parameters=strengths_of[stage.name],
                        ),
                    )
                    for stage in stages
                )

        yield from self._in_turns(step.repeat, chains)

    def _refuse_weak(
        self, step: FaultStep, kind: Fault, stages: Mapping[str, Mapping[str, object]]
    ) -> None:
        """Note a problem for the first stage at which the fault is too weak to be one."""
        for name, parameters in stages.items():
            problems = kind.problems(parameters, unknown=frozenset(secret_paths(parameters)))
            for problem in problems:
                where = ".".join(map(str, problem.path))
                text = f"{where}: {problem.text} (that is the strength of {name!r}; let the ramp "
                text += "begin at more, or grow in fewer stages)"
                self.settler.refuse(step.mark, "plan.no_ramp", text)
            if problems:
                return

    def _fault(self, identity: str, work: FaultWork) -> PlannedStep:
        longest = self.planner.longest if work.hold is None else work.hold
        return replace(self._frame(StepId(identity)), fault=work, timeout=self._timeout(longest))

    def _stages(self, step: FaultStep, kind: Fault, parameters: Settled) -> tuple[Strength, ...]:
        if step.ramp is None:
            return (_ONCE,)
        if not kind.scalable & parameters.keys():
            can = [name for name, one in self.settler.catalogue.faults.items() if one.scalable]
            growing = ", ".join(sorted(kind.scalable))
            text = f"no strength of the fault {step.fault!r} can grow; leave 'ramp' out, or use "
            text += f"one that can: {', '.join(sorted(can)) or 'there is none'}"
            if kind.scalable:
                text = f"nothing is given that could grow; give one of {growing} under 'with'"
            self.settler.refuse(step.mark, "plan.no_ramp", text)
        over = self.settler.moment(step.ramp.over, step.mark, least=TIME_MIN, most=HOLD_MAX)
        return tuple(strengths(step.ramp, over))

    def _targets(self, step: FaultStep, identity: StepId) -> Iterator[tuple[StepId, ServiceName]]:
        """Yield the services that are hit, each with the id of its step."""
        if not isinstance(step.target, Selector):
            service = self.settler.service(step.target, step.mark)
            self.settler.unprotected(service, step.id, step.mark)
            yield identity, service
            return
        choice = choose(step.target, identity, self.settler, seed=self.planner.seed)
        self.planner.choices.append(choice)
        for name in choice.chosen:
            own = identity if len(choice.chosen) == 1 else StepId(f"{identity}.{name}")
            yield own, ServiceName(name)

    def _in_turns(
        self,
        repeat: Repeat | None,
        chains: Callable[[StepId], Iterable[Iterable[PlannedStep]]],
    ) -> Iterator[PlannedStep]:
        """Yield what each turn has, each after the one before, and pauses between them.

        What ``chains`` gives for the id of a turn runs at once, each chain in its order.
        """
        step, settler = self.step, self.settler
        if repeat is None:
            yield from self._turn(chains(step.id), frozenset())
            return
        pause = settler.moment(repeat.pause, step.mark, most=HOLD_MAX)
        times = 1 if repeat.times is None else settler.count(repeat.times, step.mark)
        before: frozenset[StepId] = frozenset()
        for ordinal in range(1, times + 1):
            if before and pause:
                waiting = self._pause(StepId(f"{step.id}.pause-{ordinal - 1}"), pause)
                yield self._behind(waiting, before)
                before = frozenset({waiting.id})
            turn = list(self._turn(chains(StepId(f"{step.id}.{ordinal}")), before))
            yield from turn
            before = frozenset(one.id for one in turn)

    def _turn(
        self, chains: Iterable[Iterable[PlannedStep]], before: frozenset[StepId]
    ) -> Iterator[PlannedStep]:
        for chain in chains:
            above = before
            for one in chain:
                yield self._behind(one, above)
                above = frozenset({one.id})

    def _behind(self, planned: PlannedStep, before: frozenset[StepId]) -> PlannedStep:
        ended = before if planned.background else frozenset[StepId]()
        return replace(planned, needs=before, ended=ended)

    def _pause(self, identity: StepId, pause: timedelta) -> PlannedStep:
        timeout = pause + STEP_TIMEOUT_DEFAULT
        frame = replace(self._frame(identity), retry=PlannedRetry(), timeout=timeout)
        return replace(frame, wait=WaitWork(duration=pause))
