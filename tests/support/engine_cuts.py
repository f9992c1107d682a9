"""Executions that are cut off at a moment of their lives and carried on by another worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Final

import anyio

from support.engine_fakes import Kit, NumberedIdentities
from support.engine_lab import PROBE, Lab, document
from support.engine_lease import firm
from support.engine_plans import expect, fault, plan, record_of, wait
from support.engine_stores import ShakyEvidence, ShakyLog
from support.virtual_time import run_from
from test_coordination.application.engine.verdict import is_unknown
from test_coordination.application.executions import Executions
from test_coordination.application.fleet import NOBODY
from test_coordination.application.ports import ExecutionRecord
from test_coordination.application.scenarios import Scenarios
from test_coordination.domain.events import Entry, Event, FaultArmed, StepRetried
from test_coordination.domain.execution import Execution
from test_coordination.domain.failures import WORKER_LOST
from test_coordination.domain.plan import Plan, PlannedStep, Stage
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.steps import ErrorPolicy
from test_coordination.domain.values import ExecutionId, ScenarioId, WorkerId
from test_coordination.domain.verdicts import Verdict

INNER: Final = plan(
    wait("in-rest", for_s=2),
    fault("in-cut", "in-rest", hold_s=1, service="bank"),
    expect("in-well", "in-cut"),
)
"""What the steps do that run a scenario."""

GONE_S: Final = 4.0
"""How long nobody is at an execution whose worker is gone."""

ALL: Final = range(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """All that there is at one moment, and the moment."""

    at_s: float
    log: TracedLog
    evidence: ShakyEvidence
    kit: Kit


def errors(kit: Kit) -> dict[int, object]:
    """Return the errors in ``kit``, which cannot be copied, as what is copied already."""
    told = [kit.note.error, *kit.off.troubles(), *kit.slow.troubles()]
    return {id(error): error for error in told if isinstance(error, Exception)}


class TracedLog(ShakyLog):
    """A log of which each append is a moment, right after it is written.

    So is the time right before, if anything has been done since the moment before. Those of
    ``lab`` that are ``wanted``, by number, are photographed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trace(None, ())

    def trace(self, lab: Lab | None, wanted: Collection[int]) -> None:
        self.lab, self.wanted, self.moments = lab, wanted, 0
        self.last: tuple[float, int] | None = None
        self.photos: list[Photo] = []

    async def append(self, entries: Sequence[Entry], *, leading_to: Execution, epoch: int) -> None:
        if self.lab is not None and self._now() != self.last:
            self._moment()
        await super().append(entries, leading_to=leading_to, epoch=epoch)
        if self.lab is not None:
            self._moment()

    def kinds(self, execution: ExecutionId) -> list[str]:
        return [kind for _, kind, _ in self._kept[execution].lines]

    def _now(self) -> tuple[float, int]:
        assert self.lab is not None
        return anyio.current_time(), len(self.lab.kit.board.deeds)

    def _moment(self) -> None:
        self.moments, self.last = self.moments + 1, self._now()
        if self.lab is None or self.moments - 1 not in self.wanted:
            return
        lab, photos, self.lab, self.photos = self.lab, self.photos, None, []
        log, evidence, kit = deepcopy((self, lab.evidence, lab.kit), errors(lab.kit))
        self.lab, self.photos = lab, photos
        photos.append(Photo(at_s=anyio.current_time(), log=log, evidence=evidence, kit=kit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A detached execution of ``planned`` at its end, and what one of its workers saw of it.

    ``worker`` counts its workers; ``moments`` counts those of the last one.
    """

    planned: Plan
    execution: ExecutionId
    lab: Lab
    worker: int
    ended: Execution
    events: Sequence[Event]
    unsettled: int
    moments: int
    photos: Sequence[Photo]

    @classmethod
    def of(cls, planned: Plan, kit: Kit, *, wanted: Collection[int] = ALL) -> Life:
        """Return its life with one worker, photographed at the ``wanted`` moments."""
        log = TracedLog()
        lab = Lab(kit=kit, log=log)

        async def begin() -> Life:
            stored = await _stored(lab)
            record = record_of(nested(planned), 700)
            record = replace(record, scenario=stored, detached=True, worker=NOBODY)
            await log.create(record)
            log.trace(lab, wanted)
            return await cls._lived(record, lab, worker=1)

        return run_from(0, begin())

    def left_at(self, event: type[Event], *, count: int = 1) -> Photo:
        """Return the first moment at which so many of these events are in the log."""
        for photo in self.photos:
            if photo.log.kinds(self.execution).count(event.__name__) == count:
                return photo
        raise LookupError(event)

    def after(self, photo: Photo, *, swept: bool = False, wanted: Collection[int] = ()) -> Life:
        """Return its life with one worker more, if it is left at the moment of ``photo``.

        With ``swept``, others have undone what was left before another worker takes it.
        """
        lab = Lab(
            kit=photo.kit,
            log=photo.log,
            evidence=photo.evidence,
            scenarios=self.lab.scenarios,
            identities=NumberedIdentities(1000 * (self.worker + 1)),
        )

        async def go_on() -> Life:
            if swept:
                await lab.sweeper(900).sweep()
                assert lab.kit.board.in_force == []
            photo.log.trace(lab, wanted)
            record = await lab.log.get(self.execution)
            return await self._lived(record, lab, worker=self.worker + 1)

        return run_from(photo.at_s + GONE_S, go_on())

    @classmethod
    async def _lived(cls, record: ExecutionRecord, lab: Lab, *, worker: int) -> Life:
        name = WorkerId(NumberedIdentities(800 + worker).new())
        async with anyio.create_task_group() as group:
            executions = Executions(lab.world(), group, firm(lab.workers, name))
            with anyio.fail_after(24 * 3600):
                ended = await executions.take(record.id)
            group.cancel_scope.cancel()
        log = lab.log
        assert isinstance(log, TracedLog)
        return cls(
            planned=record.plan,
            execution=record.id,
            lab=lab,
            worker=worker,
            ended=ended,
            events=await lab.logged(record.id),
            unsettled=len(await log.unsettled()),
            moments=log.moments,
            photos=log.photos,
        )

    def check(self) -> None:
        """Assert what is true of every execution that another worker carried on."""
        ended = self.ended
        assert ended.verdict is not None
        assert self.unsettled == 0
        assert self.lab.kit.board.in_force == []
        assert ended.outstanding == ()
        assert all(state.outcome is not None for state in ended.steps.values())
        assert "internal" not in {state.code for state in ended.steps.values()}
        judged = Counter((each.step, each.check) for each in ended.validations)
        assert set(judged.values()) <= {1}
        self._check_deeds()
        self._check_verdict()

    def _check_deeds(self) -> None:
        board = self.lab.kit.board
        begun = Counter(board.done("begin"))
        tries = Counter(each.step for each in self.events if isinstance(each, StepRetried))
        for step in self.planned.steps:
            work = step.action
            if work is not None and work.action == "note" and work.times is not None:
                assert begun[step.id] <= work.times + tries[step.id], f"{step.id} was done again"
        armed = Counter(each.step for each in self.events if isinstance(each, FaultArmed))
        for name, times in armed.items():
            assert times <= 1 + tries[name], f"{name} was injected again"

    def _check_verdict(self) -> None:
        known, steps = {step.id: step for step in self.planned.steps}, self.ended.steps
        lost = {name for name, state in steps.items() if state.code == WORKER_LOST}
        unknown = {
            name for name, state in steps.items() if is_unknown(state) and _has_a_say(known[name])
        }
        assert {name for name, each in self.ended.faults.items() if each.lost} <= lost
        if lost or unknown:
            assert self.ended.verdict not in {Verdict.HELD, Verdict.BROKEN}
        if lost and not unknown:
            assert self.ended.verdict is not Verdict.INCONCLUSIVE


def _has_a_say(step: PlannedStep) -> bool:
    return step.stage is not Stage.FAILURE and step.on_error is not ErrorPolicy.IGNORE


async def _stored(lab: Lab) -> ScenarioId:
    """Return a scenario that knows the probe and the inner scenario that plans here ask for."""
    scenarios = Scenarios(world=lab.world())
    inner = document(PROBE + "steps: [{id: rest, wait: 1s}]", name="inner")
    await scenarios.create(inner, file="inner.yaml", expected=DocumentKind.SCENARIO)
    text = document(PROBE + "steps: [{id: all, scenario: inner}]")
    stored = await scenarios.create(text, file="story.yaml", expected=DocumentKind.SCENARIO)
    return stored.id


def nested(planned: Plan) -> Plan:
    """Return ``planned`` with steps that run a scenario which is there."""
    return replace(planned, steps=tuple(map(_nested, planned.steps)))


def _nested(step: PlannedStep) -> PlannedStep:
    if step.scenario is None:
        return step
    work = replace(step.scenario, scenario="inner@1", plan=INNER)
    return replace(step, scenario=work)
