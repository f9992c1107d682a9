"""Somebody answers for a fault that can never be proven undone, and what it held is free."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from support.engine_fakes import NumberedIdentities, failed
from support.engine_handing import hand, left
from support.engine_lab import Lab, document, start
from support.virtual_time import virtual
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.fleet import NOBODY
from test_coordination.application.holders import NotEndedError
from test_coordination.application.ports import LogConflictError, NotFoundError
from test_coordination.domain.events import (
    FaultArmed,
    FaultInjected,
    Noted,
    ResidueAccepted,
    StepStarted,
)
from test_coordination.domain.execution import IllegalTransitionError, Status
from test_coordination.domain.values import ExecutionId, Receipt, ServiceName, StepId
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.narration import narrate

CUT = StepId("cut")
TEXT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 10s}]")
STORY = (
    StepStarted(step=CUT),
    FaultArmed(step=CUT, fault="switch.off", service=ServiceName("shop"), receipt=Receipt("shop")),
    FaultInjected(step=CUT, evidence={}),
)


async def stuck(lab: Lab, coordinator: Coordinator) -> ExecutionId:
    """Return an execution that has ended with a fault that cannot be undone."""
    lab.kit.off.always("revert", failed("undoing", "its machine is gone"))
    execution = await start(coordinator, TEXT)
    await coordinator.execution_result(execution)
    return execution


@virtual
async def test_what_is_accepted_frees_what_it_held_and_stays_residue() -> None:
    lab = Lab()

    async with lab.coordinator() as coordinator:
        first = await stuck(lab, coordinator)
        second = await start(coordinator, TEXT.replace("story", "other"))
        accepted = await coordinator.accept_residue(first, reason="it was scrapped", by="ann")
        tries = lab.kit.off.tries["revert"]
        lab.kit.off.always("revert", None)
        ended = await coordinator.execution_result(second)
        swept = await coordinator.undo_faults()
        report = await coordinator.generate_test_report(first)

    state = await lab.state(first)
    last = (await lab.logged(first))[-1]
    assert [fault.step for fault in accepted] == [CUT]
    assert last == ResidueAccepted(step=CUT, reason="it was scrapped", by="ann")
    assert (state.verdict, state.outstanding) == (Verdict.RESIDUE, ())
    assert state.faults[CUT].accepted
    line = narrate(last, (await lab.log.get(first)).plan)
    assert line is not None
    assert line.text == (
        "cut: switch.off on shop is answered for by ann, though not proven undone: it was scrapped"
    )
    assert [fault.step for fault in report.residue] == [CUT], "it may be in force all the same"
    assert (ended.verdict, swept) == (Verdict.INCONCLUSIVE, [])
    assert lab.kit.off.tries["revert"] == tries + 1, "nobody tries the first one any more"


@virtual
async def test_what_its_steps_left_is_accepted_with_it() -> None:
    lab = Lab()

    async with lab.coordinator() as coordinator:
        above = await stuck(lab, coordinator)
        record = await lab.log.get(above)
        step = ExecutionId(NumberedIdentities(990).new())
        new = replace(record, status=Status.PENDING, verdict=None, end=0, outstanding=0, epoch=1)
        await lab.log.create(replace(new, id=step, parent=above, worker=NOBODY))
        await left(lab, step, *STORY)
        await coordinator.undo_faults()
        accepted = await coordinator.accept_residue(above, reason="it was scrapped", by="ann")
        again = await coordinator.accept_residue(above, reason="it was scrapped", by="ann")

    assert len(accepted) == 2
    assert (await lab.log.get(step)).outstanding == 0
    assert again == []


@virtual
async def test_only_what_has_ended_and_nobody_is_at_is_accepted() -> None:
    lab = Lab()

    async with hand(lab) as worker:
        waits = await worker.order(TEXT)
    async with lab.coordinator() as coordinator:
        with pytest.raises(NotEndedError, match="has not ended"):
            await coordinator.accept_residue(waits, reason="so", by="ann")
        with pytest.raises(NotFoundError):
            await coordinator.accept_residue(ExecutionId(UUID(int=9)), reason="so", by="ann")

        first = await stuck(lab, coordinator)
        record = await lab.log.get(first)
        get = lab.log.get

        async def older(execution: ExecutionId) -> object:
            found = await get(execution)
            return replace(found, epoch=record.epoch - 1)

        lab.log.get = older  # type: ignore[method-assign, assignment]  # another was faster
        with pytest.raises(LogConflictError):
            await coordinator.accept_residue(first, reason="so", by="ann")
        lab.log.get = get  # type: ignore[method-assign]

    assert (await lab.log.get(first)).outstanding == 1


@virtual
async def test_nobody_answers_for_what_is_under_way_or_undone() -> None:
    lab = Lab()
    ended = await lab.run(TEXT)
    execution = (await lab.log.recent(limit=1))[0].id
    entries = await lab.log.read(execution)
    word = ResidueAccepted(step=CUT, reason="so", by="ann")
    begun = replace(ended, status=Status.RUNNING)
    following = replace(entries[-1], position=ended.position + 1, event=word)

    with pytest.raises(IllegalTransitionError):
        ended.apply(following)
    with pytest.raises(IllegalTransitionError):
        begun.apply(following)
    assert ended.apply(replace(following, event=Noted(text="so"))).notes[-1] == "so"
