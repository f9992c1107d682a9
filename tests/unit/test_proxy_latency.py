"""A link with latency: what its clients see of it, and what is held meanwhile."""

from __future__ import annotations

import random
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import anyio
import pytest

from support.links_net import MS, dial, echoing, eventually, read_all, read_exactly, round_trip
from test_coordination.adapters.links.pipe import Toxic
from test_coordination.adapters.links.values import Direction, Latency

LATE = Latency(delay=100 * MS)
FOREVER = Latency(delay=timedelta(minutes=1))


async def test_a_client_sees_the_latency_of_each_way() -> None:
    async with echoing() as link, await dial(link.spec.listen) as client:
        waits_ms = []
        for direction in (Direction.UP, Direction.DOWN, Direction.BOTH):
            link.add("f", Latency(delay=100 * MS, direction=direction))
            waits_ms.append(await round_trip(client))

    up_ms, down_ms, both_ms = waits_ms
    assert 95 <= up_ms < 400
    assert 95 <= down_ms < 400
    assert 195 <= both_ms < 500


async def test_latency_on_a_live_connection_begins_and_ends_at_once() -> None:
    async with echoing() as link, await dial(link.spec.listen) as client:
        before_ms = await round_trip(client)
        link.add("f", LATE)
        during_ms = await round_trip(client)
        link.remove("f")
        after_ms = await round_trip(client)

    assert before_ms < 80
    assert 195 <= during_ms < 500
    assert after_ms < 80


async def test_clearing_lets_go_at_once_of_what_is_held_and_keeps_its_order() -> None:
    body = b"".join(number.to_bytes(4) for number in range(2_000))
    async with echoing() as link, await dial(link.spec.listen) as client:
        link.add("f", FOREVER)
        for start in range(0, len(body), 400):
            await client.send(body[start : start + 400])
            await anyio.sleep(0.001)
        await eventually(lambda: link.state.bytes_delayed == len(body))
        begun = time.perf_counter()
        link.remove("f")
        await client.send(b"tail")
        received = await read_exactly(client, len(body) + 4)
        took_s = time.perf_counter() - begun

    assert received == body + b"tail"
    assert took_s < 0.3


async def test_a_half_close_waits_its_turn_behind_held_bytes() -> None:
    async with echoing() as link, await dial(link.spec.listen) as client:
        link.add("f", Latency(delay=50 * MS))
        await client.send(b"held")
        await client.send_eof()

        assert await read_all(client) == b"held"


async def test_two_faults_add_up_and_ending_one_leaves_the_other() -> None:
    async with echoing() as link, await dial(link.spec.listen) as client:
        link.add("a", Latency(delay=80 * MS, direction=Direction.UP))
        link.add("b", Latency(delay=120 * MS, direction=Direction.UP))
        both_ms = await round_trip(client)
        link.remove("b")
        one_ms = await round_trip(client)

    assert 195 <= both_ms < 500
    assert 75 <= one_ms < 190


async def test_bytes_held_for_two_faults_still_wait_for_the_one_that_is_left() -> None:
    async with echoing() as link, await dial(link.spec.listen) as client:
        link.add("a", Latency(delay=150 * MS, direction=Direction.UP))
        link.add("b", Latency(delay=timedelta(minutes=1), direction=Direction.UP))
        async with anyio.create_task_group() as tasks:
            waits_ms: list[float] = []

            async def ask() -> None:
                waits_ms.append(await round_trip(client))

            tasks.start_soon(ask)
            await eventually(lambda: link.state.bytes_delayed == 4)
            link.remove("b")

    assert 145 <= waits_ms[0] < 450


def test_jitter_stays_within_its_bounds_and_uses_them() -> None:
    toxic = Toxic(Latency(delay=50 * MS, jitter=20 * MS), chance=random.Random(3))

    draws_ms = [toxic.draw_s() * 1000 for _ in range(2_000)]

    assert 30 <= min(draws_ms) < 31
    assert 69 < max(draws_ms) <= 70


def test_the_same_seed_draws_the_same_jitter() -> None:
    latency = Latency(delay=50 * MS, jitter=20 * MS)
    first, second = (Toxic(latency, chance=random.Random(3)) for _ in range(2))

    assert [first.draw_s() for _ in range(9)] == [second.draw_s() for _ in range(9)]


def test_jitter_never_makes_a_delay_negative() -> None:
    toxic = Toxic(Latency(delay=1 * MS, jitter=20 * MS), chance=random.Random(3))

    assert min(toxic.draw_s() for _ in range(500)) == 0


async def test_a_client_sees_jitter_within_its_bounds() -> None:
    async with echoing(seed=5) as link, await dial(link.spec.listen) as client:
        link.add("f", Latency(delay=40 * MS, jitter=30 * MS, direction=Direction.UP))
        waits_ms = [await round_trip(client) for _ in range(12)]

    assert min(waits_ms) >= 10
    assert max(waits_ms) < 250
    assert max(waits_ms) - min(waits_ms) > 15


@pytest.mark.parametrize(("toxicity", "hit"), [(0.0, 0), (1.0, 6)])
async def test_toxicity_0_hits_no_connection_and_1_hits_all(toxicity: float, hit: int) -> None:
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(echoing())
        old = [await stack.enter_async_context(await dial(link.spec.listen)) for _ in range(3)]
        for client in old:
            await round_trip(client)
        link.add("f", Latency(delay=40 * MS, toxicity=toxicity))
        new = [await stack.enter_async_context(await dial(link.spec.listen)) for _ in range(3)]

        waits_ms = [await round_trip(client) for client in old + new]

        assert sum(wait_ms >= 75 for wait_ms in waits_ms) == hit
        assert link.state.faults[0].connections == hit


async def test_a_toxicity_between_hits_a_part_of_the_connections_for_good() -> None:
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(echoing(seed=11))
        latency = Latency(delay=40 * MS, toxicity=0.5)
        link.add("f", latency)
        clients = [await stack.enter_async_context(await dial(link.spec.listen)) for _ in range(8)]

        first = [await round_trip(client) >= 75 for client in clients]
        link.add("f", latency)  # a renewal must not draw anew
        second = [await round_trip(client) >= 75 for client in clients]

        assert first == second
        assert 0 < sum(first) < 8


async def test_the_effect_of_each_fault_can_be_proven_by_its_counts() -> None:
    async with echoing() as link, await dial(link.spec.listen) as client:
        link.add("up", Latency(delay=1 * MS, direction=Direction.UP))
        await round_trip(client, b"12345")
        link.add("both", Latency(delay=1 * MS))
        await round_trip(client, b"123")

        delayed = {fault.fault: fault.bytes_delayed for fault in link.state.faults}

    assert delayed == {"up": 8, "both": 6}
    assert link.state.bytes_delayed == 5 + 6
