"""Checks that must be true throughout a time, or never in it, as samples come in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import anyio
import pytest

from support.engine_bench import RECEIPT, Q, Story, check, plan, step
from support.virtual_time import at, since, virtual
from test_coordination.domain.events import (
    FaultArmed,
    FaultInjected,
    FaultReverted,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.plan import PlannedCheck
from test_coordination.domain.steps import Mode
from test_coordination.domain.values import ServiceName, StepId
from test_coordination.domain.verdicts import Finding

HELD, BROKEN, INCONCLUSIVE = Finding.HELD, Finding.BROKEN, Finding.INCONCLUSIVE
LOAD: Final = StepId("load")
BELOW: Final = check("probes.p.last.value < 5.0", span=5)


@asynccontextmanager
async def sampled(
    values: Sequence[float | None], story: Story | None = None
) -> AsyncGenerator[Story]:
    """Lend a story in which ``p`` gives one of ``values`` each second."""
    story = story or Story()
    async with anyio.create_task_group() as group:
        group.start_soon(story.sample, values)
        yield story
        group.cancel_scope.cancel()


async def throughout(asked: PlannedCheck, *values: float | None) -> tuple[Validation, float]:
    """Return how a check is judged whose probe sees ``values``, and when."""
    async with sampled(values) as story:
        found = await story.judged(asked)
        return found, anyio.current_time()


@pytest.mark.parametrize(
    ("values", "finding", "ended_s"),
    [
        ([1] * 9, HELD, 5),
        ([1, 1, 1, 1, 1, 9], HELD, 5),
        ([1, 1, 1, 1, 9, 1], BROKEN, 4),
        ([9, 1], BROKEN, 0),
        ([1, None, 1, 1, 1, 1], INCONCLUSIVE, 5),
        ([1, None, 1, 9], BROKEN, 3),
        ([1, 1, 1, 1, 1], HELD, 8),
        ([1, 1], INCONCLUSIVE, 8),
        ([], INCONCLUSIVE, 8),
    ],
)
def test_always_is_judged_by_every_look_in_its_time(
    values: list[float | None], finding: Finding, ended_s: float
) -> None:
    @virtual
    async def story() -> None:
        found, ended = await throughout(BELOW, *values)

        assert (found.finding, ended) == (finding, ended_s)
        assert found.ended_at is not None
        assert since(found.ended_at) == ended_s

    story()


@virtual
async def test_never_is_broken_by_the_first_look_at_which_it_is_true() -> None:
    never = check("probes.p.last.value > 5.0", Mode.NEVER, span=5)

    held, _ = await throughout(never, 1, 4, 2, 3, 1, 9)
    broken, ended = await throughout(never, 1, 4, 8, 9)

    assert (held.finding, held.observed, held.relation, held.margin) == (HELD, 4, "<=", 1)
    assert (broken.finding, broken.observed, broken.margin) == (BROKEN, 8, -3)
    assert ended == 5 + 2


@virtual
async def test_the_weight_of_a_check_goes_into_its_validation() -> None:
    found, _ = await throughout(replace(BELOW, weight=2.5), *[1] * 9)
    tried, _ = await throughout(replace(BELOW, weight=1.5, mode=Mode.EVENTUALLY), 1)

    assert (found.weight, tried.weight) == (2.5, 1.5)


@virtual
async def test_figures_count_only_what_was_sampled_from_the_origin_on() -> None:
    story = Story()
    story.see(-1, 99)

    async with sampled([1] * 9, story):
        found = await story.judged(check("probes.p.max < 5.0", span=5))

    assert (found.finding, found.observed) == (HELD, 1)


@virtual
async def test_a_look_that_was_begun_in_time_counts_though_another_probe_is_quicker() -> None:
    story = Story()
    asked = check("probes.p.last.value + probes.q.last.value < 5.0", span=3)

    async def slowly() -> None:
        for begun, value in enumerate([1, 1, 9, 1]):
            await anyio.sleep(1.5 if begun == 0 else 1)
            story.see(begun, value, probe=Q, took_s=1.5)

    async with sampled([1] * 9, story), anyio.create_task_group() as group:
        group.start_soon(slowly)
        found = await story.judged(asked)
        group.cancel_scope.cancel()

    assert (found.finding, found.observed) == (BROKEN, 10)
    assert anyio.current_time() == 3.5


@virtual
async def test_a_figure_at_the_end_leaves_out_what_was_sampled_after_it() -> None:
    story = Story()
    asked = check("probes.p.max + probes.q.max < 5.0", span=3)

    async with sampled([1, 1, 1, 9, 9], story):
        story.see(0, 1, probe=Q, took_s=3.5)
        found = await story.judged(asked)

    assert (found.finding, found.observed) == (HELD, 2)


async def beside(
    values: Sequence[float | None], *, fault: bool = False, expression: str = BELOW.expression
) -> Validation:
    """Return how a check is judged beside a step that is under way from 0 to 3.5."""
    story = Story(plan=plan(step("load", fault=fault)))
    story.log(0, StepStarted(step=LOAD))
    async with sampled(values, story), anyio.create_task_group() as group:

        async def live() -> None:
            if fault:
                service = ServiceName("shop")
                story.log(0, FaultArmed(step=LOAD, fault="off", service=service, receipt=RECEIPT))
                story.log(0, FaultInjected(step=LOAD, evidence={}))
            await anyio.sleep(3.5)
            if fault:
                story.log(3.5, FaultReverted(step=LOAD, evidence={}))
                await anyio.sleep(2)
            story.log(anyio.current_time(), StepEnded(step=LOAD, outcome=Outcome.DONE))

        group.start_soon(live)
        validations = [await story.judged(check(expression, during="load"))]
    return validations[0]


@pytest.mark.parametrize("fault", [False, True])
@pytest.mark.parametrize(
    ("values", "finding", "ended_s"),
    [
        ([1, 1, 1, 1, 9], HELD, 4),
        ([1, 1, 1, 9, 1], BROKEN, 3),
        ([1, 1, 1, 1], HELD, 6.5),
        ([1, 1, None, 1, 1], INCONCLUSIVE, 4),
    ],
)
def test_a_check_beside_a_step_ends_with_it_and_beside_a_fault_with_its_undo(
    values: list[float | None], *, finding: Finding, ended_s: float, fault: bool
) -> None:
    @virtual
    async def story() -> None:
        found = await beside(values, fault=fault)

        assert found.finding is finding
        assert found.ended_at == at(ended_s)

    story()


@virtual
async def test_a_figure_over_a_step_is_looked_at_while_the_step_is_under_way() -> None:
    found = await beside([1, 2, 3, 4, 9], expression="probes.p.during('load').max < 5.0")

    assert (found.finding, found.observed, found.margin) == (HELD, 4, 1)


@pytest.mark.parametrize(
    ("values", "finding", "ended_s"),
    [
        ([1] * 4 + [9], HELD, 4),
        ([1, 1, 1, 9], BROKEN, 3),
        ([1, 1, 1, 1], HELD, 6.5),
    ],
)
def test_a_check_without_an_end_is_judged_when_it_is_told_to_end(
    values: list[float | None], finding: Finding, ended_s: float
) -> None:
    @virtual
    async def story() -> None:
        over = anyio.Event()
        async with sampled(values) as story, anyio.create_task_group() as group:

            async def tell() -> None:
                await anyio.sleep(3.5)
                over.set()

            group.start_soon(tell)
            found = await story.judged(check(BELOW.expression), over=over)
            group.cancel_scope.cancel()

        assert found.finding is finding
        assert found.ended_at == at(ended_s)

    story()


@pytest.mark.parametrize(
    ("asked", "value", "finding"),
    [
        (check(BELOW.expression, span=60), 1, INCONCLUSIVE),
        (check(BELOW.expression, during="load"), 1, INCONCLUSIVE),
        (check(BELOW.expression, Mode.EVENTUALLY, within=60), 9, INCONCLUSIVE),
        (check(BELOW.expression, Mode.EVENTUALLY, within=60, hold=20), 1, INCONCLUSIVE),
        (check(BELOW.expression, Mode.EVENTUALLY, within=60, hold=2), 1, HELD),
        (check(BELOW.expression, span=2), 1, HELD),
    ],
)
def test_a_check_that_is_told_to_end_before_its_time_is_left_open(
    asked: PlannedCheck, value: float, finding: Finding
) -> None:
    @virtual
    async def story() -> None:
        over = anyio.Event()
        story = Story(plan=plan(step("load")))
        async with sampled([value] * 9, story), anyio.create_task_group() as group:

            async def tell() -> None:
                await anyio.sleep(3.5)
                over.set()

            group.start_soon(tell)
            found = await story.judged(asked, over=over)
            group.cancel_scope.cancel()

        assert found.finding is finding
        assert anyio.current_time() <= 4
        assert ("told to end" in found.reason) is (finding is INCONCLUSIVE)

    story()


@virtual
async def test_what_the_log_says_is_noticed_as_it_is_written() -> None:
    story = Story(plan=plan(step("load")))
    asked = check("steps.load.outcome == 'done'", Mode.EVENTUALLY, within=60)

    async with anyio.create_task_group() as group:

        async def live() -> None:
            await anyio.sleep(3.25)
            story.log(3.25, StepStarted(step=LOAD), StepEnded(step=LOAD, outcome=Outcome.DONE))

        group.start_soon(live)
        found = await story.judged(asked)

    assert (found.finding, found.ended_at) == (HELD, at(3.25))
