from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from contract.conftest import Stores
from support.stores_story import new_scenario
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.ports import NotFoundError


async def test_the_first_version_is_one_and_comes_back_by_identity_and_by_name(
    stores: Stores,
) -> None:
    scenario = new_scenario(text="title: Ünïcödé ✓\n")

    kept = await stores.scenarios.store(scenario)

    assert kept == replace(scenario, version=1)
    assert await stores.scenarios.get(scenario.id) == kept
    assert await stores.scenarios.newest(scenario.name) == kept


async def test_another_text_is_the_next_version_and_the_first_stays(stores: Stores) -> None:
    first = await stores.scenarios.store(new_scenario(text="a"))
    second = await stores.scenarios.store(new_scenario(first.name, "b"))

    assert second.version == 2
    assert await stores.scenarios.newest(first.name) == second
    assert await stores.scenarios.get(first.id) == first


async def test_the_newest_text_again_is_no_new_version(stores: Stores) -> None:
    first = await stores.scenarios.store(new_scenario(text="a"))

    again = await stores.scenarios.store(new_scenario(first.name, "a"))

    assert again == first


async def test_an_older_text_again_is_a_new_version(stores: Stores) -> None:
    first = await stores.scenarios.store(new_scenario(text="a"))
    await stores.scenarios.store(new_scenario(first.name, "b"))

    third = await stores.scenarios.store(new_scenario(first.name, "a"))

    assert third.version == 3
    assert third.id != first.id


async def test_repeating_the_call_later_changes_nothing(stores: Stores) -> None:
    scenario = new_scenario(text="a")
    first = await stores.scenarios.store(scenario)
    second = await stores.scenarios.store(new_scenario(first.name, "b"))

    assert await stores.scenarios.store(scenario) == first
    assert await stores.scenarios.newest(first.name) == second


async def test_what_is_not_stored_is_not_found(stores: Stores) -> None:
    unknown = new_scenario()

    with pytest.raises(NotFoundError, match=str(unknown.id)):
        await stores.scenarios.get(unknown.id)
    with pytest.raises(NotFoundError, match=unknown.name):
        await stores.scenarios.newest(unknown.name)


async def test_many_who_store_at_once_get_each_version_once(stores: Stores) -> None:
    name, kept = new_scenario().name, list[StoredScenario]()

    async def store(text: str) -> None:
        kept.append(await stores.scenarios.store(new_scenario(name, text)))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(store, f"text {number}")

    assert sorted(scenario.version for scenario in kept) == list(range(1, 21))
    assert (await stores.scenarios.newest(name)).version == 20
