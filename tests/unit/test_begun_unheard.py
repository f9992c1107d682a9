"""An execution whose begin the store did not confirm is begun once, when the store is back."""

from __future__ import annotations

import anyio

from support.engine_lab import Lab, document, start
from support.virtual_time import virtual
from test_coordination.domain.verdicts import Verdict

INNER = document("steps: [{id: w, wait: 1s}, {id: e, expect: '1 < 2'}]", name="inner")
OUTER = document("steps: [{id: inner, scenario: inner}]")


@virtual
async def test_a_scenario_that_runs_as_a_step_is_begun_once_the_store_is_back() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        await coordinator.create_scenario(INNER)
        lab.log.create_s = 2
        execution = await start(coordinator, OUTER)
        lab.log.mute_creations = 3
        ended = await coordinator.execution_result(execution)
        children = await lab.log.children(execution)

    assert ended.verdict is Verdict.HELD, ended.reason
    assert len(children) == 1


@virtual
async def test_what_is_ordered_is_begun_once_the_store_is_back() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        lab.log.mute_creations = 3
        execution = await start(coordinator, INNER)
        ended = await coordinator.execution_result(execution)
        records = await coordinator.list_executions(limit=9)

    assert ended.verdict is Verdict.HELD, ended.reason
    assert [record.id for record in records] == [execution]


@virtual
async def test_a_try_to_begin_is_whole_also_for_who_is_cancelled() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        lab.log.create_s = 2
        with anyio.move_on_after(1):
            await start(coordinator, INNER)
        cancelled_s = anyio.current_time()
        await anyio.sleep(5)
        (record,) = await coordinator.list_executions(limit=9)

    assert cancelled_s == 2
    assert record.verdict is Verdict.HELD
