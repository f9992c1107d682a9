"""How far executions have come, asked of a coordinator."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.engine_lab import Lab, document, start, until
from support.virtual_time import virtual
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.values import ExecutionId, WorkerId

SLOW = document(
    "parameters: {work_s: {type: number, default: 10}}\n"
    "steps:\n"
    '  - {id: a, action: note, with: {seconds: "${{ parameters.work_s }}"}}\n'
    "  - {id: b, wait: 30s}"
)
NOBODY = ExecutionId(WorkerId(Lab().identities.new()))


@virtual
async def test_how_far_an_execution_has_come_is_told_by_its_log_and_by_those_before() -> None:
    async with Lab().coordinator() as coordinator:
        first = await start(coordinator, SLOW)
        unknown = await coordinator.execution_progress(first)
        await coordinator.execution_result(first)
        second = await start(coordinator, SLOW, {"work_s": 20.0})
        await until(45)
        known = await coordinator.execution_progress(second)
        await coordinator.execution_result(second)
        over = await coordinator.execution_progress(second)
        third = await start(coordinator, SLOW, {"work_s": 1.0})
        usual = (await coordinator.execution_progress(third)).remaining.usual

    assert unknown.remaining.usual is None
    assert unknown.remaining.least == timedelta(seconds=30)
    assert known.percent == 12
    assert [step.id for step in known.running] == ["a"]
    assert known.remaining.expected == timedelta(seconds=35)
    assert (over.percent, over.ended) == (100, 2)
    assert usual is not None
    assert (usual.fastest, usual.slowest) == (timedelta(seconds=40), timedelta(seconds=50))


@virtual
async def test_what_ends_meanwhile_changes_nothing_for_those_that_run() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        long = await start(coordinator, SLOW, {"work_s": 500.0})
        await until(5)
        before = await coordinator.execution_forecast(long)
        await coordinator.execution_result(await start(coordinator, SLOW))
        after = await coordinator.execution_forecast(long)
        state = await lab.state(long)

        assert before(state) == after(state)
        assert after(state).remaining.usual is None


@virtual
async def test_of_what_is_not_there_nothing_is_told() -> None:
    async with Lab().coordinator() as coordinator:
        with pytest.raises(NotFoundError):
            await coordinator.execution_progress(NOBODY)
