"""Whole executions of scenarios that run others, from documents to verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import anyio
import pytest

from support.engine_fakes import Hang, failed, shows
from support.engine_lab import PROBE, Lab, document, start, until
from support.virtual_time import since, virtual
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.events import Outcome
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId, StepId
from test_coordination.domain.verdicts import Finding, Verdict

INNER = """
scenario: inner
version: 1
parameters: {outage: {type: duration, default: 5s}}
steps:
  - {id: cut, fault: switch.off, target: shop, hold: "${{ parameters.outage }}"}
  - {id: sound, expect: 1 < 2}
"""
OUTER = """
scenario: outer
version: 1
steps:
  - {id: before, wait: 1s}
  - {id: inside, scenario: inner, with: {outage: 3s}}
  - {id: then, wait: 1s}
"""


async def run(lab: Lab, inner: str = INNER, outer: str = OUTER) -> tuple[Execution, Execution]:
    """Return how the outer scenario ended, and the inner one that it ran."""
    async with lab.coordinator() as coordinator:
        await coordinator.create_scenario(inner)
        execution = await start(coordinator, outer)
        ended = await coordinator.execution_result(execution)
    return ended, await lab.state((await child_of(lab, execution)).id)


async def child_of(lab: Lab, execution: ExecutionId) -> ExecutionRecord:
    records = await lab.log.recent(limit=9)
    return next(record for record in records if record.parent == execution)


@virtual
async def test_a_scenario_runs_another_one_as_an_execution_of_its_own() -> None:
    lab = Lab()

    ended, inner = await run(lab)

    record = await lab.log.get(inner.id)
    assert (ended.verdict, inner.verdict) == (Verdict.HELD, Verdict.HELD)
    assert (record.scenario_name, record.requested_by) == ("inner", f"execution {ended.id}")
    assert record.plan.parameters == {"outage": "3s"}
    assert lab.kit.board.times("revert") == [4.0]
    (judged,) = ended.validations
    assert (judged.check, judged.expression) == ("inside", 'verdict of "inner@1" is held')
    assert ended.steps[StepId("inside")].facts == {"execution": str(inner.id), "verdict": "held"}
    outer = await lab.log.get(ended.id)
    assert outer.parent is None
    (work,) = [step.scenario for step in outer.plan.steps if step.scenario]
    assert record.plan == work.plan


@virtual
async def test_an_inner_scenario_that_breaks_breaks_the_outer_one() -> None:
    ended, inner = await run(Lab(), inner=INNER.replace("1 < 2", "1 > 2"))

    assert (ended.verdict, inner.verdict) == (Verdict.BROKEN, Verdict.BROKEN)
    assert ended.validations[0].finding is Finding.BROKEN


@virtual
async def test_an_inner_scenario_that_could_not_run_is_named_by_the_outer_one() -> None:
    lab = Lab()
    lab.kit.off.always("arm", failed("arming"))

    ended, inner = await run(lab)

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert str(inner.id) in ended.reason
    assert "ended as could not run" in ended.reason


@virtual
async def test_stopping_the_outer_one_undoes_the_inner_one_first() -> None:
    lab = Lab()
    lab.kit.off.trouble("revert", Hang(seconds=4))
    async with lab.coordinator() as coordinator:
        await coordinator.create_scenario(INNER.replace("default: 5s", "default: 60s"))
        execution = await start(coordinator, OUTER.replace("outage: 3s", "outage: 60s"))
        await until(3)
        await coordinator.abort_execution(execution, reason="enough", by="ann")
        ended = await coordinator.execution_result(execution)
        inner = await lab.state((await child_of(lab, execution)).id)

    assert (ended.verdict, inner.verdict) == (Verdict.STOPPED, Verdict.STOPPED)
    assert inner.abort is not None
    assert inner.abort.by == "the execution that began it"
    assert f"step 'inside' of execution {ended.id}" in inner.reason
    assert lab.kit.board.times("revert") == [7.0]
    assert ended.ended_at is not None
    assert since(ended.ended_at) == 7.0


@virtual
async def test_closing_the_coordinator_ends_both() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        await coordinator.create_scenario(INNER)
        execution = await start(coordinator, OUTER)
        await until(2)

    inner = await lab.state((await child_of(lab, execution)).id)
    ended = await lab.state(execution)
    assert (ended.verdict, inner.verdict) == (Verdict.STOPPED, Verdict.STOPPED)
    assert lab.kit.board.in_force == []


@virtual
async def test_a_log_that_goes_away_ends_both_and_leaves_no_fault() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        await coordinator.create_scenario(INNER)
        execution = await start(coordinator, OUTER)
        await until(2)
        lab.log.away = True
        await until(300)
        in_force = list(lab.kit.board.in_force)
        lab.log.away = False
        await anyio.sleep(10)

    inner = await lab.state((await child_of(lab, execution)).id)
    ended = await lab.state(execution)
    assert in_force == []
    assert {ended.verdict, inner.verdict} <= {Verdict.COULD_NOT_RUN}


@dataclass(frozen=True, kw_only=True)
class Story:
    """A document whose every step does what it says."""

    text: str
    outcomes: Mapping[str, Outcome]
    verdict: Verdict = Verdict.HELD


STORIES = [
    Story(
        text=document(
            PROBE
            + """
start: {when: probes.p.last.ok, within: 10s}
preconditions: [{id: ready, expect: 1 < 2}]
steady_state: [{id: well, expect: probes.p.last.ok}]
stop_when: [{id: late, when: "execution.elapsed > duration('60s')"}]
steps:
  - {id: load, background: {action: note, with: {name: load}, repeat: {every: 1s}}}
  - {id: see, probe: {dial: {dial: q}}}
  - {id: cut, fault: switch.off, target: shop, hold: 5s, if: steps.see.result.value == 1.0}
  - {id: well2, expect: probes.p.last.ok, during: cut}
  - {id: back, expect: probes.p.last.ok, within: 5s, after_fault: cut}
  - {id: open, wait: {until: steps.cut.outcome == 'done', within: 5s}}
  - {id: halt, stop: load}
postconditions: [{id: sound, expect: probes.p.last.ok}]
on_failure: [{id: mend, action: note, with: {name: mend}}]
"""
        ),
        outcomes=dict.fromkeys(
            ["start", "pre.ready", "before.well", "load", "see", "cut", "well2", "back", "open",
             "halt", "after.well", "post.sound"], Outcome.DONE),
    ),
    Story(
        text=document("""
steps:
  - {id: gate, wait: {until: 1 > 2, within: 3s, otherwise: skip}}
  - {id: cut, fault: switch.off, target: shop, hold: 5s}
  - {id: sound, expect: 1 < 2, needs: []}
"""),
        outcomes={"gate": Outcome.SKIPPED, "cut": Outcome.SKIPPED, "sound": Outcome.DONE},
    ),
    Story(
        text=document("""
start: {when: 1 > 2, within: 3s, otherwise: skip}
steps: [{id: cut, fault: switch.off, target: shop, hold: 5s}]
"""),
        outcomes={"start": Outcome.SKIPPED},
        verdict=Verdict.STOPPED,
    ),
    Story(
        text=document("""
steps:
  - {id: cuts, fault: switch.off, target: "${{ each.value }}", hold: 2s, for_each: [shop, bank],
     concurrency: 2, retry: {attempts: 2, delay: 1s}}
  - {id: broken, expect: 1 > 2}
on_failure: [{id: mend, action: note, with: {name: mend}}]
"""),
        outcomes=dict.fromkeys(["cuts.1", "cuts.2", "broken", "mend"], Outcome.DONE),
        verdict=Verdict.BROKEN,
    ),
]  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=["all", "gate", "start", "copies"])
def test_a_document_is_carried_out_as_it_says(story: Story) -> None:
    @virtual
    async def told() -> None:
        lab = Lab()
        lab.kit.dial.scripts["q"] = [(0, shows(1))]

        ended = await lab.run(story.text)

        outcomes = {name: state.outcome for name, state in ended.steps.items()}
        assert (outcomes, ended.verdict) == (story.outcomes, story.verdict), ended.reason
        assert lab.kit.board.in_force == []

    told()


@virtual
async def test_a_seed_is_drawn_unless_it_is_given_and_stands_in_the_plan() -> None:
    lab = Lab()

    async def seed_of(coordinator: Coordinator, given: int | None) -> int:
        scenario = await coordinator.create_scenario(document("steps: [{id: w, wait: 1s}]"))
        execution = await coordinator.execute_scenario(scenario, seed=given)
        return (await lab.log.get(execution)).plan.seed

    async with lab.coordinator() as coordinator:
        drawn = [await seed_of(coordinator, None) for _ in range(3)]
        given = await seed_of(coordinator, 7)

    assert len(set(drawn)) == 3
    assert all(0 < seed < 2**53 for seed in drawn)
    assert given == 7
