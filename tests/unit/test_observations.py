"""What was seen, under the names that expressions use; and names that are settled before."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import anyio
import pytest

from support.engine_lab import MARK, service, topology
from support.stores_story import NEW
from support.virtual_time import DeadlockError, at, virtual
from test_coordination.application.engine.observations import Observations, as_fact
from test_coordination.domain.evidence import Sample, Snapshot
from test_coordination.domain.expressions import Kind
from test_coordination.domain.names import ProbeShape, settled_names, settled_values
from test_coordination.domain.topology import Address, Link, Topology
from test_coordination.domain.values import ProbeName, ServiceName, SnapshotId, StepId

P, Q = ProbeName("p"), ProbeName("q")
SHAPE = ProbeShape(fields={"ok": Kind.BOOLEAN}, measured="value")


def look(probe: ProbeName, second: float, **fields: object) -> Sample:
    return Sample(probe=probe, at=at(second), took=timedelta(0), fields=fields)


@virtual
async def test_only_a_look_at_every_probe_since_the_origin_counts() -> None:
    seen = Observations({}, {P: SHAPE, Q: SHAPE})
    both = ["probes.p.last.ok", "probes.q.last.ok", "parameters.n"]
    seen.add(look(P, 1))
    seen.add(look(Q, 3))

    assert seen.seen_at(both, at(0), now=at(9)) == at(3)
    assert seen.seen_at(both, at(1), now=at(9)) == at(3)
    assert seen.seen_at(both, at(2), now=at(9)) is None
    assert seen.seen_at(["parameters.n"], at(2), now=at(9)) == at(9)


@virtual
async def test_values_are_those_that_are_known_and_what_is_missing_is_left_out() -> None:
    seen = Observations({"parameters.n": 3}, {P: SHAPE})
    seen.add(look(P, 1, ok=True, value=5))
    seen.add(look(P, 2, ok=False, value=7))
    seen.add_outcome(StepId("step-one"), "done")
    state = {ServiceName("shop-front"): {"order-book": {"total": 3}}}
    seen.add_snapshot(
        StepId("take"), Snapshot(id=SnapshotId(NEW.new()), taken_at=at(2), state=state)
    )
    names = [
        "parameters.n", "parameters.m", "probes.p.last.ok", "probes.p.last.none", "probes.p.mean",
        "steps.step_one.outcome", "snapshots.take", "snapshots.other",
    ]  # fmt: skip

    assert seen.values(names, start=None) == {
        "parameters.n": 3, "probes.p.last.ok": False, "probes.p.mean": 6.0,
        "steps.step_one.outcome": "done",
        "snapshots.take": {"shop_front": {"order_book": {"total": 3}}},
    }  # fmt: skip
    assert seen.values(["probes.p.mean"], start=at(2)) == {"probes.p.mean": 7.0}


@virtual
async def test_each_news_wakes_those_who_wait() -> None:
    seen, woken = Observations({}, {P: SHAPE}), list[int]()

    async def wait(number: int) -> None:
        await seen.change()
        woken.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(wait, number)
        await anyio.sleep(1)
        seen.add(look(P, 1))

    assert sorted(woken) == [0, 1, 2]


def test_what_no_expression_knows_is_told_as_text() -> None:
    assert as_fact([1, (None, Decimal("1.50")), {"a-b": at(0)}]) == (
        1, (None, "1.50"), {"a_b": at(0)},
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
