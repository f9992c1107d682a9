"""What keeps an execution from being shown live is noted once, however many workers it has."""

from __future__ import annotations

from support.engine_handing import DETACHED, hand, left
from support.engine_lab import Lab, document
from support.virtual_time import virtual
from test_coordination.domain.events import Noted, StepStarted
from test_coordination.domain.values import StepId

WAIT = document("steps: [{id: w, wait: 10s}]")
AWAY = "Redis cannot be used"


@virtual
async def test_trouble_that_the_worker_before_has_noted_is_not_noted_again() -> None:
    lab = Lab()
    lab.live.said = AWAY
    async with hand(lab) as worker:
        execution = await worker.order(WAIT, DETACHED)
        await left(lab, execution, StepStarted(step=StepId("w")), Noted(text=AWAY))
        carried_on = await worker.executions.take(execution)
        begun = await worker.executions.take(await worker.order(WAIT, DETACHED))

    assert carried_on.handovers == 1
    assert carried_on.notes.count(AWAY) == 1
    assert begun.notes == (AWAY,)
