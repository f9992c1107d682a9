from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.conftest import Stores
from support.stores_story import NEW, START
from support.stores_strategies import JSON, TEXT
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.evidence import Sample, Snapshot
from test_coordination.domain.values import (
    ExecutionId,
    ProbeName,
    ServiceName,
    SnapshotId,
    StepId,
)


def sample(number: int, probe: str = "orders", **fields: object) -> Sample:
    return Sample(
        probe=ProbeName(probe),
        at=START + number * timedelta(milliseconds=10),
        took=timedelta(microseconds=1234),
        fields={"ok": True, "latency_ms": 1.25, **fields},
    )


async def test_samples_come_back_in_the_order_of_time(stores: Stores) -> None:
    execution = ExecutionId(NEW.new())
    late, early = [sample(3), sample(2)], [sample(1, "prices"), sample(1, "orders"), sample(0)]
    await stores.evidence.add_samples(execution, late)
    await stores.evidence.add_samples(execution, early)

    assert await stores.evidence.samples(execution) == [
        sample(0),
        sample(1, "orders"),
        sample(1, "prices"),
        sample(2),
        sample(3),
    ]


async def test_a_missing_sample_keeps_its_reason(stores: Stores) -> None:
    execution = ExecutionId(NEW.new())
    missing = Sample(probe=ProbeName("p"), at=START, took=timedelta(days=1), error="refused")
    await stores.evidence.add_samples(execution, [missing])

    assert await stores.evidence.samples(execution) == [missing]


async def test_a_sample_is_kept_once_and_as_it_was_first(stores: Stores) -> None:
    execution = ExecutionId(NEW.new())
    await stores.evidence.add_samples(execution, [sample(0), sample(1)])
    again = [sample(1, other=1), sample(2), sample(2)]

    await stores.evidence.add_samples(execution, again)
    await stores.evidence.add_samples(execution, again)

    assert await stores.evidence.samples(execution) == [sample(0), sample(1), sample(2)]


async def test_executions_do_not_see_each_other_s_samples(stores: Stores) -> None:
    one, other = ExecutionId(NEW.new()), ExecutionId(NEW.new())
    await stores.evidence.add_samples(one, [sample(0)])
    await stores.evidence.add_samples(other, [])

    assert await stores.evidence.samples(other) == []


async def test_a_reason_with_anything_in_it_can_be_kept(stores: Stores) -> None:
    execution = ExecutionId(NEW.new())
    dirty = Sample(probe=ProbeName("p"), at=START, took=timedelta(0), error="a\0b\udc80")
    await stores.evidence.add_samples(execution, [dirty])

    (kept,) = await stores.evidence.samples(execution)

    assert kept.error == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"


async def test_a_snapshot_comes_back_as_it_was(stores: Stores) -> None:
    snapshot = Snapshot(
        id=SnapshotId(NEW.new()),
        taken_at=START,
        state={
            ServiceName("book"): {"orders": [{"id": 1, "price": 10.25}], "open": True},
            ServiceName("empty"): {},
        },
        execution=ExecutionId(NEW.new()),
        step=StepId("look"),
        problems=("prices: refused",),
    )
    await stores.evidence.add_snapshot(snapshot)
    await stores.evidence.add_snapshot(snapshot)

    assert await stores.evidence.snapshot(snapshot.id) == snapshot


async def test_a_snapshot_need_not_belong_to_an_execution(stores: Stores) -> None:
    snapshot = Snapshot(id=SnapshotId(NEW.new()), taken_at=START, state={})
    await stores.evidence.add_snapshot(snapshot)

    assert await stores.evidence.snapshot(snapshot.id) == snapshot


async def test_an_unknown_snapshot_is_not_found(stores: Stores) -> None:
    with pytest.raises(NotFoundError, match="no snapshot"):
        await stores.evidence.snapshot(SnapshotId(NEW.new()))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(TEXT, JSON, max_size=4))
async def test_any_facts_come_back_as_they_were(stores: Stores, fields: dict[str, object]) -> None:
    execution = ExecutionId(NEW.new())
    seen = Sample(probe=ProbeName("p"), at=START, took=timedelta(0), fields=fields)
    await stores.evidence.add_samples(execution, [seen])

    assert await stores.evidence.samples(execution) == [seen]
