"""Workers that are killed whenever it hurts: what was left to the fleet is carried to its end."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from time import monotonic, sleep

import anyio
import pytest

from support.e2e_fleet import (
    MIX,
    Fleet,
    assert_settled,
    fleet,
    found,
    is_at_work,
    leave,
    posted,
    takeovers,
)
from support.e2e_ordeal import Market, market
from test_coordination.adapters.servers.embedded import embedded_servers
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.events import Entry
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId

KILLS = int(os.environ.get("TCOORD_TEST_KILLS", "5"))
SEED = int(os.environ.get("TCOORD_TEST_SEED", "0")) or secrets.randbits(32)
WORKERS = 3
# What there is to do while workers die, and no more than is done soon after the last one did.
LEFT_AT_A_TIME = 9
PATIENCE_S = 120.0
# A machine that is busy with other tests needs more than the five seconds of a quiet one.
TAKEOVER_S_MAX = 30.0


@pytest.fixture(scope="module")
def open_market() -> Iterator[Market]:
    with market() as opened:
        yield opened


@pytest.mark.timeout(3600)
def test_whichever_worker_is_killed_every_execution_comes_to_an_end_that_is_true(
    open_market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)
    ordered, workers, records, logs = anyio.run(_ordeal, open_market, chance)
    took_s = sorted(takeovers(workers.deaths, logs))
    with capsys.disabled():
        print(
            f"\n{len(workers.deaths)} workers killed (TCOORD_TEST_SEED={SEED}), "
            f"{len(records)} executions, {len(took_s)} of them taken over: "
            f"median {median(took_s):.1f} s, at most {max(took_s):.1f} s"
        )

    assert open_market.trouble() == []
    wholes = [record for record in records if record.parent is None]
    assert sorted(record.id for record in wholes) == sorted(ordered), "none lost, none doubled"
    for record in records:
        assert_settled(record, logs[record.id])
    assert max(posted(open_market).values()) == 1, "what may be done once was done twice"
    assert took_s
    assert max(took_s) < TAKEOVER_S_MAX


async def _ordeal(
    shop: Market, chance: random.Random
) -> tuple[
    Sequence[ExecutionId],
    Fleet,
    Sequence[ExecutionRecord],
    Mapping[ExecutionId, Sequence[Entry]],
]:
    ordered: list[ExecutionId] = []
    async with embedded_servers(shop.terminal.home / "servers"):
        with fleet(shop, WORKERS) as workers:
            while len(workers.deaths) < KILLS:
                names = [chance.choice(sorted(MIX)) for _ in range(LEFT_AT_A_TIME)]
                ordered += await leave(shop, names)
                for _ in range(min(LEFT_AT_A_TIME // 3, KILLS - len(workers.deaths))):
                    await anyio.sleep(chance.uniform(0.1, 1.5))
                    _one_dies(workers, chance)
            await _settled(shop)
        records, logs = await found(shop, logs=True)
    return ordered, workers, records, logs


def _one_dies(workers: Fleet, chance: random.Random) -> None:
    """Kill one of the workers, that has something in hand if any has, and start another."""
    while len(ready := [one for one in workers.living if "offers" in one.out()]) < WORKERS - 1:
        sleep(0.05)
    workers.lose(chance.choice([one for one in ready if is_at_work(one)] or ready))
    workers.grow()


async def _settled(shop: Market) -> None:
    limit = monotonic() + PATIENCE_S
    while True:
        records, _ = await found(shop)
        left = [record for record in records if record.status is not Status.FINISHED]
        if not left:
            return
        assert monotonic() < limit, f"TCOORD_TEST_SEED={SEED}: these do not end: {left}"
        await anyio.sleep(0.5)
