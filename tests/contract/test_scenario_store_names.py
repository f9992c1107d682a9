"""What is known of the names of definitions: kinds, versions, pages, and what is deprecated."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from contract.conftest import Stores
from support.stores_story import NEW, START, new_scenario
from test_coordination.application.definitions import (
    DefinitionFilter,
    DefinitionKindError,
    StoredScenario,
)
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.scenario import DocumentKind, Part

LATER = datetime(2026, 4, 5, 6, 7, 8, 9, tzinfo=UTC)
UNKNOWN = "no-such-name"


def template(name: str = "", text: str = "steps: []") -> StoredScenario:
    return replace(new_scenario(name, text), kind=DocumentKind.TEMPLATE)


async def test_all_that_is_known_of_a_definition_comes_back(stores: Stores) -> None:
    parts = (
        Part(name="base", file="lib/base.yaml", text="template: base\n# Ünïcödé ✓\n"),
        Part(name="other", file="", text="template: other", version=3),
    )
    given = replace(
        template(),
        title="Ä title",
        owner="team-a",
        tags=("b", "a"),
        services=("till", "shop"),
        parts=parts,
    )

    kept = await stores.scenarios.store(given)

    assert kept == replace(given, version=1)
    assert await stores.scenarios.get(given.id) == kept


async def test_a_template_under_the_name_of_a_scenario_is_refused_and_changes_nothing(
    stores: Stores,
) -> None:
    first = await stores.scenarios.store(new_scenario())

    with pytest.raises(DefinitionKindError, match="is a scenario, and a template was expected"):
        await stores.scenarios.store(template(first.name, "other"))

    assert await stores.scenarios.versions(first.name) == [first]


async def test_of_two_kinds_that_are_stored_at_once_under_one_name_one_gets_it(
    stores: Stores,
) -> None:
    name = new_scenario().name
    kept, refused = list[StoredScenario](), list[DefinitionKindError]()

    async def store(given: StoredScenario) -> None:
        try:
            kept.append(await stores.scenarios.store(given))
        except DefinitionKindError as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(store, new_scenario(name, f"text {number}"))
            group.start_soon(store, template(name, f"text {number}"))

    assert len({each.kind for each in kept}) == 1
    assert sorted(each.version for each in kept) == list(range(1, 11))
    assert {(each.kind, each.expected) for each in refused} == {
        (kept[0].kind, ({DocumentKind.SCENARIO, DocumentKind.TEMPLATE} - {kept[0].kind}).pop())
    }


async def test_two_who_store_the_same_at_once_get_the_same_version(stores: Stores) -> None:
    name, kept = new_scenario().name, list[StoredScenario]()

    async def store() -> None:
        kept.append(await stores.scenarios.store(new_scenario(name, "the same")))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(store)

    assert len(kept) == 8
    assert len({each.id for each in kept}) == 1
    assert await stores.scenarios.versions(name) == kept[:1]


async def test_the_versions_of_a_name_come_newest_first_and_one_by_its_number(
    stores: Stores,
) -> None:
    name = new_scenario().name
    kept = [await stores.scenarios.store(new_scenario(name, f"text {n}")) for n in range(3)]
    await stores.scenarios.store(new_scenario())

    assert await stores.scenarios.versions(name) == kept[::-1]
    assert await stores.scenarios.version(name, 2) == kept[1]


async def test_a_version_or_name_that_is_not_there_is_not_found(stores: Stores) -> None:
    kept = await stores.scenarios.store(new_scenario())

    for version in (0, 2):
        with pytest.raises(NotFoundError, match=f"{kept.name}@{version}"):
            await stores.scenarios.version(kept.name, version)
    with pytest.raises(NotFoundError, match=UNKNOWN):
        await stores.scenarios.versions(UNKNOWN)
    with pytest.raises(NotFoundError, match=UNKNOWN):
        await stores.scenarios.deprecate(UNKNOWN, because="it is not there", at=LATER)
    with pytest.raises(NotFoundError, match=UNKNOWN):
        await stores.scenarios.restore(UNKNOWN)


async def test_a_deprecated_name_tells_since_when_and_why_in_every_version_until_it_is_restored(
    stores: Stores,
) -> None:
    first = await stores.scenarios.store(new_scenario(text="a"))
    second = await stores.scenarios.store(new_scenario(first.name, "b"))

    await stores.scenarios.deprecate(first.name, because="too slow", at=START)
    await stores.scenarios.deprecate(first.name, because="replaced", at=LATER)
    during = [await stores.scenarios.get(each.id) for each in (first, second)]
    again = await stores.scenarios.store(new_scenario(first.name, "b"))
    await stores.scenarios.restore(first.name)
    await stores.scenarios.restore(first.name)

    assert during == [
        replace(each, deprecated_at=LATER, deprecated_because="replaced")
        for each in (first, second)
    ]
    assert again == during[1], "the same text is no new version and changes nothing"
    assert await stores.scenarios.versions(first.name) == [second, first]


async def test_a_new_version_of_a_deprecated_name_revives_it(stores: Stores) -> None:
    first = await stores.scenarios.store(new_scenario(text="a"))
    await stores.scenarios.deprecate(first.name, because="broken", at=LATER)
    stale = replace(
        new_scenario(first.name, "b"), deprecated_at=LATER, deprecated_because="as it was read"
    )

    second = await stores.scenarios.store(stale)

    assert (second.deprecated_at, second.deprecated_because) == (None, "")
    assert await stores.scenarios.versions(first.name) == [second, first]


@pytest.fixture
async def shelf(stores: Stores) -> tuple[str, list[StoredScenario]]:
    """Definitions of an owner whom nobody else has, in the order of their names."""
    owner = f"team-{NEW.new()}"
    made = [
        replace(new_scenario(), tags=("slow", "till"), services=("shop",)),
        replace(new_scenario(), tags=("till",), services=("shop", "till")),
        replace(template(), tags=("slow",)),
        replace(new_scenario(), kind=DocumentKind.SUITE),
    ]
    names = [f"{owner}-y", f"{owner}-x-1", f"{owner}-x2", f"{owner}-x1"]
    kept = [
        await stores.scenarios.store(replace(each, name=name, owner=owner))
        for each, name in zip(made, names, strict=True)
    ]
    return owner, sorted(kept, key=lambda each: each.name)


async def test_what_is_wanted_is_listed_in_the_order_of_names(
    stores: Stores, shelf: tuple[str, list[StoredScenario]]
) -> None:
    owner, (one, suite, other, last) = shelf

    async def listed(**wanted: object) -> list[StoredScenario]:
        asked = DefinitionFilter(owner=owner, **wanted)  # type: ignore[arg-type]  # as they come
        return list(await stores.scenarios.list(asked, limit=9))

    assert [one.name[-4:], suite.name[-3:]] == ["-x-1", "-x1"]
    assert await listed() == [one, suite, other, last]
    assert await listed(kind=DocumentKind.SCENARIO) == [one, last]
    assert await listed(kind=DocumentKind.TEMPLATE) == [other]
    assert await listed(tag="slow") == [other, last]
    assert await listed(tag="slo") == []
    assert await listed(service="till") == [one]
    assert await listed(name_part="-x") == [one, suite, other]
    assert await listed(name_part="_x") == []
    assert await listed(tag="slow", service="shop") == [last]


async def test_pages_follow_each_other_without_gap_or_double(
    stores: Stores, shelf: tuple[str, list[StoredScenario]]
) -> None:
    owner, kept = shelf
    pages, after = list[list[StoredScenario]](), ""

    while not pages or pages[-1]:
        page = await stores.scenarios.list(DefinitionFilter(owner=owner), limit=3, after=after)
        pages.append(list(page))
        after = page[-1].name if page else after

    assert pages == [kept[:3], kept[3:], []]


async def test_only_the_newest_version_counts_in_a_list(stores: Stores) -> None:
    owner = f"team-{NEW.new()}"
    first = await stores.scenarios.store(
        replace(new_scenario(text="a"), owner=owner, tags=("old",))
    )
    second = await stores.scenarios.store(replace(new_scenario(first.name, "b"), owner=owner))

    assert await stores.scenarios.list(DefinitionFilter(owner=owner), limit=9) == [second]
    assert await stores.scenarios.list(DefinitionFilter(owner=owner, tag="old"), limit=9) == []


async def test_what_is_deprecated_is_listed_only_where_it_is_asked_for(
    stores: Stores, shelf: tuple[str, list[StoredScenario]]
) -> None:
    owner, (one, *rest) = shelf
    await stores.scenarios.deprecate(one.name, because="old", at=START + timedelta(days=1))
    gone = await stores.scenarios.get(one.id)

    def wanted(*, deprecated: bool | None) -> DefinitionFilter:
        return DefinitionFilter(owner=owner, deprecated=deprecated)

    assert await stores.scenarios.list(DefinitionFilter(owner=owner), limit=9) == rest
    assert await stores.scenarios.list(wanted(deprecated=True), limit=9) == [gone]
    assert await stores.scenarios.list(wanted(deprecated=None), limit=9) == [gone, *rest]


async def test_every_name_is_known_in_order(
    stores: Stores, shelf: tuple[str, list[StoredScenario]]
) -> None:
    owner, kept = shelf
    await stores.scenarios.deprecate(kept[0].name, because="old", at=LATER)

    names = await stores.scenarios.names()

    assert [name for name in names if name.startswith(owner)] == [each.name for each in kept]
