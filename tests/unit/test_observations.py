"""What was seen, under the names that expressions use; and names that are settled before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import anyio
import pytest

from support.engine_bench import P, Q, Story, plan, probe, step
from support.engine_lab import MARK, service, topology
from support.stores_story import NEW
from support.virtual_time import DeadlockError, at, virtual
from test_coordination.application.engine.observations import Gap, as_fact
from test_coordination.domain.events import Outcome, StepEnded, StepStarted
from test_coordination.domain.evidence import Snapshot
from test_coordination.domain.expressions import Kind
from test_coordination.domain.names import settled_names, settled_values
from test_coordination.domain.topology import Address, Link, Topology
from test_coordination.domain.values import ServiceName, SnapshotId, StepId

LOAD: Final = StepId("load")
STATE: Final = {ServiceName("shop-front"): {"order-book": {"total": 3}}}


def snapshot() -> Snapshot:
    return Snapshot(id=SnapshotId(NEW.new()), taken_at=at(2), state=STATE)


@virtual
async def test_only_a_look_at_every_probe_since_the_origin_counts() -> None:
    story = Story()
    seen = story.observations
    both = ["probes.p.last.ok", "probes.q.last.ok", "parameters.n"]
    story.see(1, 1)
    story.see(3, 1, probe=Q)

    assert seen.seen_at(both, at(0), now=at(9)) == at(3)
    assert seen.seen_at(both, at(1), now=at(9)) == at(3)
    assert seen.seen_at(both, at(2), now=at(9)) is None
    assert seen.seen_at(both, at(0), now=at(9), end=at(3)) is None
    assert seen.seen_at(["parameters.n"], at(2), now=at(9)) == at(9)


@virtual
async def test_beside_a_probe_what_the_log_says_counts_from_when_it_changed() -> None:
    story = Story(plan=plan(step("load")))
    story.see(1, 1)
    story.log(2, StepStarted(step=LOAD))
    names = ["probes.p.last.ok", "steps.load.outcome"]

    async def seen(*more: str) -> datetime | None:
        return story.observations.seen_at([*names, *more], at(0), now=at(9))

    assert await seen() == at(2)
    await anyio.sleep(5)
    assert await seen("snapshots.take") == at(2)
    story.observations.add_snapshot(StepId("take"), snapshot())
    assert await seen("snapshots.take") == at(5)
    assert await seen("execution.elapsed") == at(5)


@virtual
async def test_values_are_those_that_are_known_and_what_is_missing_is_left_out() -> None:
    story = Story(plan=plan(step("step-one")), fixed={"parameters.n": 3})
    story.see(1, 5)
    story.see(2, 7)
    story.log(2, StepEnded(step=StepId("step-one"), outcome=Outcome.DONE))
    story.observations.add_snapshot(StepId("take"), snapshot())
    names = [
        "parameters.n", "parameters.m", "probes.p.last.ok", "probes.p.last.none", "probes.p.mean",
        "steps.step_one.outcome", "snapshots.take", "snapshots.other", "execution.scenario",
        "execution.seed",
    ]  # fmt: skip

    assert story.observations.values(names) == {
        "parameters.n": 3, "probes.p.last.ok": False, "probes.p.mean": 6.0,
        "steps.step_one.outcome": "done",
        "snapshots.take": {"shop_front": {"order_book": {"total": 3}}},
        "execution.scenario": "story", "execution.seed": 7,
    }  # fmt: skip
    values = story.observations.values
    assert values(["probes.p.mean"], start=at(2)) == {"probes.p.mean": 7.0}
    assert values(["probes.p.mean"], end=at(2)) == {"probes.p.mean": 5.0}


@virtual
async def test_figures_are_taken_of_a_window_as_it_opens_and_closes() -> None:
    story = Story(plan=plan(step("load")))
    names = [f"probes.p.{window}(load).max" for window in ("before", "during", "after")]

    def figures(**sides: datetime) -> list[object]:
        found = story.observations.values(names, **sides)
        return [found.get(name) for name in names]

    story.see(1, 1)
    assert figures() == [None, None, None]
    story.log(2, StepStarted(step=LOAD))
    story.see(3, 3)
    story.see(4, 4)
    assert figures() == [1, 4, None]
    assert figures(end=at(4)) == [1, 3, None]
    story.log(5, StepEnded(step=LOAD, outcome=Outcome.DONE))
    assert figures() == [1, 4, None]
    story.see(5, 7)
    assert figures(start=at(5)) == [1, 4, 7]


@virtual
async def test_a_window_that_is_over_is_seen_once_no_look_of_its_time_can_be_under_way() -> None:
    story = Story(plan=plan(step("load"), probes=[probe(P, every_s=60, timeout_s=2)]))
    story.log(2, StepStarted(step=LOAD))
    story.see(3, 1)

    def seen(now: float, window: str = "during(load)") -> datetime | None:
        names = [f"probes.p.{window}.max"]
        return story.observations.seen_at(names, at(9), now=at(now))

    assert seen(9) is None
    story.log(8, StepEnded(step=LOAD, outcome=Outcome.DONE))
    assert seen(9) is None
    assert seen(10) is None
    assert seen(10.1) == at(10.1)
    assert seen(10.1, "after(load)") is None
    story.see(8, 1)
    assert seen(9) == at(9)


@pytest.mark.parametrize(
    ("looks", "gap"),
    [
        ([], (0, 10)),
        ([(0, 0), (3, 0), (6, 0), (9, 0)], None),
        ([(0, 0), (3, 0), (6.1, 0), (9, 0)], (3, 3.1)),
        ([(0, 0), (3, 3), (9, 0)], None),
        ([(0, 0), (3, 2.9), (9, 0)], (5.9, 3.1)),
        ([(-2, 5), (6, 0), (9, 0)], None),
        ([(-2, 1), (3.5, 0), (6, 0), (9, 0)], (0, 3.5)),
        ([(0, 0), (3, 0), (6, 0)], (6, 4)),
        ([(0, 0), (3, 0), (6, 4)], None),
        ([(0, 9), (3, 0), (10, 0)], None),
    ],
)
def test_a_probe_that_did_not_look_for_more_than_three_of_its_intervals_leaves_a_gap(
    looks: list[tuple[float, float]], gap: tuple[float, float] | None
) -> None:
    @virtual
    async def story() -> None:
        story = Story()
        for second, took_s in looks:
            story.see(second, 1, took_s=took_s)
        for second in range(10):
            story.see(second, 1, probe=Q)

        names = ["parameters.n", "probes.q.max", "probes.p.max", "probes.p.last.ok"]
        found = story.observations.gap(names, at(0), at(10))

        expected = gap and Gap(probe=P, start=at(gap[0]), length=timedelta(seconds=gap[1]))
        assert found == expected

    story()


@virtual
async def test_each_news_wakes_those_who_wait() -> None:
    story, woken = Story(plan=plan(step("load"))), list[int]()

    async def wait(number: int) -> None:
        await story.observations.change()
        woken.append(number)

    async def all_woken(news: Callable[[], None]) -> list[int]:
        woken.clear()
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(wait, number)
            await anyio.sleep(1)
            news()
        return sorted(woken)

    assert await all_woken(lambda: story.see(1, 1)) == [0, 1, 2]
    assert await all_woken(lambda: story.log(2, StepStarted(step=LOAD))) == [0, 1, 2]
    take = partial(story.observations.add_snapshot, StepId("take"), snapshot())
    assert await all_woken(take) == [0, 1, 2]


def test_what_no_expression_knows_is_told_as_text() -> None:
    assert as_fact([1, (None, Decimal("1.50")), {"a-b": at(0)}, timedelta(seconds=2)]) == (
        1, (None, "1.50"), {"a_b": at(0)}, timedelta(seconds=2),
    )  # fmt: skip


def linked() -> Topology:
    link = Link(
        name="shop-to-bank",
        mark=MARK,
        source=ServiceName("shop"),
        target=ServiceName("bank"),
        listen=Address(host="127.0.0.1", port=90),
        upstream=Address(host="127.0.0.1", port=81),
    )
    shop = service("shop-front", port=80)
    return Topology(
        name="t", file="t", directory="", services={shop.name: shop}, links={link.name: link}
    )


def test_addresses_are_named_with_underscores_before_anything_starts() -> None:
    values = settled_values((), {"n": 1}, linked(), {})

    assert values == {
        "parameters.n": 1,
        "services.shop_front.instances": 1,
        "services.shop_front.criticality": "normal",
        "services.shop_front.protected": False,
        "services.shop_front.http": 80,
        "services.shop_front.address": "127.0.0.1:80",
        "links.shop_to_bank": "127.0.0.1:90",
    }
    assert settled_names([], linked()) == {
        "execution.scenario": Kind.STRING,
        "execution.seed": Kind.INTEGER,
        "services.shop_front.instances": Kind.INTEGER,
        "services.shop_front.criticality": Kind.STRING,
        "services.shop_front.protected": Kind.BOOLEAN,
        "services.shop_front.http": Kind.INTEGER,
        "services.shop_front.address": Kind.STRING,
        "links.shop_to_bank": Kind.STRING,
    }
    assert linked().addresses() == {"127.0.0.1:80", "127.0.0.1:90"}
    assert topology().addresses() == {"127.0.0.1:80", "127.0.0.1:81"}


def test_in_these_tests_time_passes_by_itself_and_a_deadlock_is_an_error() -> None:
    @virtual
    async def sleep() -> None:
        await anyio.sleep(3600)
        assert anyio.current_time() == 3600

    @virtual
    async def wait() -> None:
        await anyio.Event().wait()

    sleep()
    with pytest.raises(DeadlockError):
        wait()
