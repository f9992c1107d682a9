from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import anyio
import pytest

from support.stores_servers import Urls
from support.stores_story import START, Story, new_record, new_scenario, show
from test_coordination.adapters.codec import live_state
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.memory.live import MemoryLiveView
from test_coordination.adapters.redis.live import open_live_view
from test_coordination.application.ports import Heard, LiveState, LiveView
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ProbeName

SOON = timedelta(seconds=5)
NOW = timedelta(milliseconds=100)


@pytest.fixture(params=["memory", "redis", "least-privilege"])
def cache(request: pytest.FixtureRequest) -> str | None:
    """The URL of the Redis to be used; None for memory."""
    names = {"redis": "servers", "least-privilege": "least_privilege"}
    if (name := names.get(request.param)) is None:
        return None
    urls: Urls = request.getfixturevalue(name)
    return urls.redis


@pytest.fixture
async def view(cache: str | None) -> AsyncIterator[LiveView]:
    if cache is None:
        yield MemoryLiveView()
        return
    async with open_live_view(cache, SystemClock()) as view:
        yield view


@pytest.fixture
def story() -> Story:
    return Story(new_record(new_scenario()))


async def seen(look: Callable[[], Awaitable[LiveState | None]], position: int) -> LiveState:
    """Return the state once it has come to ``position``."""
    with anyio.fail_after(SOON.total_seconds()):
        while (state := await look()) is None or state.position < position:  # noqa: ASYNC110  another process's
            await anyio.sleep(0.01)
    return state


async def test_nothing_is_shown_of_what_was_never_published(view: LiveView, story: Story) -> None:
    assert await view.state(story.record.id) is None


async def test_what_is_published_is_shown(view: LiveView, story: Story) -> None:
    entries = [*story.begin(), *story.fault()]

    show(view, story, entries)

    state = await seen(lambda: view.state(story.record.id), 3)
    assert state == live_state(story.record, story.state)
    assert state.status is Status.RUNNING
    assert state.facts["faults_outstanding"] == "slow"
    assert view.trouble() == ""


async def test_a_finished_execution_is_shown_as_finished(view: LiveView, story: Story) -> None:
    show(view, story, story.begin())
    show(view, story, story.end())

    state = await seen(lambda: view.state(story.record.id), 2)

    assert state.status is Status.FINISHED
    assert state.facts["verdict"] == "held"


async def test_samples_trouble_nobody(view: LiveView, story: Story) -> None:
    sample = Sample(probe=ProbeName("p"), at=START, took=NOW, fields={"ok": True})
    view.publish_samples(story.record.id, [sample])
    show(view, story, story.begin())
    view.publish_samples(story.record.id, [sample, sample])

    await seen(lambda: view.state(story.record.id), 1)
    assert view.trouble() == ""


async def test_who_waits_is_woken_by_the_next_entry(view: LiveView, story: Story) -> None:
    show(view, story, story.begin())
    await seen(lambda: view.state(story.record.id), 1)
    woken = anyio.Event()

    other = Story(new_record(new_scenario()))
    found = list[Heard]()

    async def wait() -> None:
        positions = {other.record.id: 0, story.record.id: 1}
        found.append(await view.news(positions, limit=timedelta(seconds=60)))
        woken.set()

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.sleep(0.1)
        early = woken.is_set()
        entries = story.fault()
        show(view, story, entries)
        with anyio.fail_after(SOON.total_seconds()):
            await woken.wait()

    assert not early
    assert found == [Heard.NEWS]


async def test_who_waits_for_what_is_there_already_waits_not_at_all(
    view: LiveView, story: Story
) -> None:
    show(view, story, story.begin())
    await seen(lambda: view.state(story.record.id), 1)

    with anyio.fail_after(SOON.total_seconds()):
        heard = await view.news({story.record.id: 0}, limit=timedelta(seconds=60))

    assert heard is Heard.NEWS


async def test_waiting_ends_at_its_limit_and_can_be_repeated(view: LiveView, story: Story) -> None:
    start = anyio.current_time()
    heard = [await view.news({story.record.id: 0}, limit=NOW) for _ in range(2)]

    assert heard == [Heard.NOTHING, Heard.NOTHING]
    assert 0.18 < anyio.current_time() - start < SOON.total_seconds()
