"""Several that stop the same executions at the same moment."""

from __future__ import annotations

from support.engine_lab import Lab, document
from support.virtual_time import at, virtual
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.engine.verdict import conclusion
from test_coordination.application.executions import Order
from test_coordination.application.wishes import Desire
from test_coordination.domain.events import AbortRequested, Entry, Event
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict

CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 100s}]")


async def queued(coordinator: Coordinator) -> ExecutionId:
    """Store a scenario and have it wait for a worker."""
    scenario = await coordinator.create_scenario(CUT)
    stored = await coordinator.stored_scenario(scenario)
    return await coordinator.work.executions.start(stored, {}, order=Order(detached=True))


async def end(lab: Lab, execution: ExecutionId) -> None:
    """Write how it ended as one does who stopped it in the queue."""
    record, state = await lab.log.get(execution), Execution(id=execution)
    events = [AbortRequested(reason="enough", by="ann")]
    for event in (*events, *conclusion(record.plan, state.apply(entry(state, events[0])))):
        written = entry(state, event)
        state = state.apply(written)
        await lab.log.append([written], leading_to=state, epoch=record.epoch)


def entry(state: Execution, event: Event) -> Entry:
    return Entry(position=state.position + 1, at=at(0), event=event)


@virtual
async def test_what_another_has_stopped_just_before_it_was_claimed_is_left_as_it_is() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        waiting = await queued(coordinator)
        claim = lab.workers.claim

        async def slower(execution: ExecutionId, **more: object) -> int | None:
            lab.workers.claim = claim  # type: ignore[method-assign]  # the other was faster once
            await end(lab, execution)
            return await claim(execution, **more)  # type: ignore[arg-type]  # as they came

        lab.workers.claim = slower  # type: ignore[method-assign]  # another is faster
        hearing = await lab.controls().wish(Desire.ABORT, waiting, reason="enough", by="bob")
        ended = await lab.state(waiting)

    assert hearing.ended == {waiting}
    assert (ended.verdict, ended.reason) == (Verdict.STOPPED, "ann stopped it: enough")
