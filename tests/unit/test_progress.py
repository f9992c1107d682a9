"""How far an execution has come, under the names that expressions use."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import anyio
import pytest

from support.engine_bench import RECEIPT, Story, plan, step
from support.virtual_time import at, virtual
from test_coordination.application.engine.progress import Progress
from test_coordination.domain.events import (
    Event,
    FaultArmed,
    FaultInjected,
    FaultNotInjected,
    FaultReverted,
    FaultRevertFailed,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.execution import Execution
from test_coordination.domain.series import MISSING
from test_coordination.domain.values import ExecutionId, ServiceName, StepId

DONE, FAILED, SKIPPED = Outcome.DONE, Outcome.FAILED, Outcome.SKIPPED
GROUPS: Final = {"both": ["load-a", "load-b"], "hit": ["cut", "stop"], "none": []}


def new_story() -> Story:
    steps = [step("load-a"), step("load-b"), step("cut", fault=True), step("stop", fault=True)]
    return Story(plan=plan(*steps, groups=GROUPS))


def progress(story: Story) -> Progress:
    return Progress(story.plan, lambda: story.state, story.clock)


def started(name: str) -> Event:
    return StepStarted(step=StepId(name))


def ended(
    name: str, outcome: Outcome = DONE, error: str = "", *, facts: Facts | None = None
) -> Event:
    return StepEnded(step=StepId(name), outcome=outcome, error=error, facts=facts or {})


def armed(name: str) -> Event:
    service = ServiceName("shop")
    return FaultArmed(step=StepId(name), fault="off", service=service, receipt=RECEIPT)


def injected(name: str) -> Event:
    return FaultInjected(step=StepId(name), evidence={})


def refused(name: str) -> Event:
    return FaultNotInjected(step=StepId(name), reason="no", code="fault.failed")


def reverted(name: str) -> Event:
    return FaultReverted(step=StepId(name), evidence={})


def values(story: Story, root: str, *facts: str) -> list[object]:
    seen = progress(story)
    return [seen.value(f"{root}.{fact}") for fact in facts]


FACTS: Final = ("outcome", "error", "started_at", "ended_at", "took")
FAULT: Final = ("status", "injected_at", "reverted_at", "held")


@virtual
async def test_a_step_is_told_by_its_start_and_once_it_is_over_by_its_end() -> None:
    story = new_story()
    assert values(story, "steps.load_a", *FACTS) == [MISSING] * 5

    story.log(1, started("load-a"))
    assert values(story, "steps.load_a", *FACTS) == [MISSING, MISSING, at(1), MISSING, MISSING]

    story.log(4, ended("load-a", FAILED, "it broke"))
    took = timedelta(seconds=3)
    assert values(story, "steps.load_a", *FACTS) == ["failed", "it broke", at(1), at(4), took]


@virtual
async def test_a_step_that_was_skipped_has_never_begun() -> None:
    story = new_story()
    story.log(2, ended("load-a", SKIPPED, "its condition is false"))

    assert values(story, "steps.load_a", *FACTS) == [
        "skipped", "its condition is false", MISSING, at(2), MISSING,
    ]  # fmt: skip
    assert progress(story).window("during", "load_a") is None
    assert progress(story).ended_at(StepId("load-a")) == at(2)


@virtual
async def test_several_steps_are_told_as_one_by_the_worst_of_them() -> None:
    story = new_story()
    story.log(1, started("load-a"))
    story.log(2, started("load-b"))
    story.log(3, ended("load-a", FAILED, "it broke"))
    assert values(story, "steps.both", *FACTS) == [MISSING, MISSING, at(1), MISSING, MISSING]

    story.log(5, ended("load-b", SKIPPED, "too late"))
    assert values(story, "steps.both", *FACTS) == [
        "failed", "it broke", at(1), at(5), timedelta(seconds=4),
    ]  # fmt: skip


@virtual
async def test_one_of_several_that_has_not_begun_keeps_the_others_from_being_over() -> None:
    story = new_story()
    story.log(1, started("load-a"))
    story.log(2, ended("load-a"))

    assert values(story, "steps.both", "outcome", "started_at") == [MISSING, at(1)]
    assert progress(story).ended_at(StepId("both")) is None


@pytest.mark.parametrize(
    ("outcome", "facts", "fact", "found"),
    [
        (DONE, {"status": 200}, "result.status", 200),
        (DONE, {"status": 200}, "result.size", MISSING),
        (DONE, {"status": 200}, "result", {"status": 200}),
        (FAILED, {"status": 200}, "result.status", MISSING),
    ],
)
def test_what_came_of_a_step_is_known_if_it_was_done(
    *, outcome: Outcome, facts: Facts, fact: str, found: object
) -> None:
    @virtual
    async def story() -> None:
        story = new_story()
        story.log(1, started("load-a"))
        assert values(story, "steps.load_a", fact) == [MISSING]
        ends = [ended(name, outcome, facts=facts) for name in ("load-a", "load-b")]
        story.log(2, *ends)

        assert values(story, "steps.load_a", fact) == [found]
        assert values(story, "steps.both", fact) == [MISSING]

    story()


@virtual
async def test_a_fault_is_told_from_its_injection_to_its_undo() -> None:
    story = new_story()
    assert values(story, "faults.cut", *FAULT) == [MISSING] * 4
    story.log(1, started("cut"), armed("cut"))
    assert values(story, "faults.cut", *FAULT) == ["armed", MISSING, MISSING, MISSING]
    story.log(2, injected("cut"))
    assert values(story, "faults.cut", *FAULT) == ["injected", at(2), MISSING, MISSING]
    story.log(5, reverted("cut"))
    held = ["reverted", at(2), at(5), timedelta(seconds=3)]
    assert values(story, "faults.cut", *FAULT) == held
    story.log(6, ended("cut"))
    assert values(story, "faults.cut", *FAULT) == held


@virtual
async def test_a_fault_that_never_bit_was_not_held() -> None:
    story = new_story()
    story.log(1, started("cut"), armed("cut"), refused("cut"))
    assert values(story, "faults.cut", "status") == ["not_injected"]
    story.log(2, reverted("cut"))
    assert values(story, "faults.cut", *FAULT) == [MISSING] * 4
    story.log(3, ended("cut", FAILED))

    assert values(story, "faults.cut", *FAULT) == ["reverted", MISSING, at(2), MISSING]
    assert progress(story).window("during", "cut") is None


@virtual
async def test_of_several_faults_the_least_settled_is_told() -> None:
    story = new_story()
    story.log(1, started("cut"), armed("cut"))
    story.log(2, injected("cut"))
    story.log(3, reverted("cut"), ended("cut"))
    assert values(story, "faults.hit", *FAULT) == [MISSING, at(2), MISSING, MISSING]

    story.log(4, started("stop"), armed("stop"))
    story.log(5, injected("stop"))
    assert values(story, "faults.hit", *FAULT) == ["injected", at(2), MISSING, MISSING]

    story.log(6, FaultRevertFailed(step=StepId("stop"), reason="no", code="fault.failed"))
    assert values(story, "faults.hit", "status") == ["revert_failed"]
    story.log(9, reverted("stop"))
    assert values(story, "faults.hit", *FAULT) == [
        "reverted", at(2), at(9), timedelta(seconds=7),
    ]  # fmt: skip


@virtual
async def test_a_window_is_that_of_the_step_or_of_the_fault_in_force() -> None:
    story = new_story()

    def windows(name: str) -> list[object]:
        return [progress(story).window(window, name) for window in ("before", "during", "after")]

    story.log(1, started("load-a"), started("cut"), armed("cut"))
    assert windows("load_a") == [(None, at(1)), (at(1), None), None]
    assert windows("cut") == [None, None, None]
    story.log(2, injected("cut"))
    assert windows("cut") == [(None, at(2)), (at(2), None), None]
    story.log(5, reverted("cut"), ended("load-a"))
    assert windows("cut") == [(None, at(2)), (at(2), at(5)), (at(5), None)]
    assert windows("both") == [(None, at(1)), (at(1), None), None]
    story.log(6, started("load-b"), ended("cut"))
    story.log(8, ended("load-b"))
    assert windows("cut") == [(None, at(2)), (at(2), at(5)), (at(5), None)]
    assert windows("both") == [(None, at(1)), (at(1), at(8)), (at(8), None)]


@virtual
async def test_a_fault_that_could_not_be_undone_is_over_when_its_step_is() -> None:
    story = new_story()
    story.log(1, started("cut"), armed("cut"), injected("cut"))
    story.log(3, FaultRevertFailed(step=StepId("cut"), reason="no", code="fault.failed"))
    assert progress(story).ended_at(StepId("cut")) is None
    story.log(4, ended("cut", FAILED))

    assert progress(story).ended_at(StepId("cut")) == at(4)
    assert values(story, "faults.cut", *FAULT) == ["revert_failed", at(1), MISSING, MISSING]


@virtual
async def test_what_stands_for_no_step_at_all_is_never_known() -> None:
    story = new_story()

    assert values(story, "steps.none", *FACTS) == [MISSING] * 5
    assert values(story, "faults.none", *FAULT) == [MISSING] * 4
    assert progress(story).ended_at(StepId("none")) is None
    assert progress(story).window("before", "none") is None
    assert progress(story).value("parameters.n") is MISSING


@virtual
async def test_the_execution_tells_its_name_its_start_and_how_long_it_has_lasted() -> None:
    story = new_story()
    await anyio.sleep(4)

    facts = ("id", "started_at", "elapsed")
    expected = [str(story.state.id), at(0), timedelta(seconds=4)]
    assert values(story, "execution", *facts) == expected
    story.state = Execution(id=ExecutionId(story.state.id))
    assert values(story, "execution", *facts) == [expected[0], MISSING, MISSING]


@virtual
async def test_what_the_log_says_changed_when_it_was_written() -> None:
    story = new_story()
    await anyio.sleep(9)
    changed = progress(story).changed_at
    assert changed("steps.both.outcome") is None

    story.log(1, started("load-a"), started("cut"))
    story.log(2, armed("cut"))
    assert changed("steps.both.outcome") == at(1)
    assert changed("faults.cut.status") == at(2)
    story.log(3, injected("cut"))
    story.log(4, reverted("cut"), ended("load-a"))
    assert changed("steps.both.outcome") == at(4)
    assert changed("faults.cut.status") == at(4)
    assert changed("execution.elapsed") == at(9)
    assert changed("execution.id") is None
