"""Actions on real servers and processes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Mapping
from pathlib import Path

import pytest

from support.target_pages import Page, Pages, serving
from support.target_systems import MARK, answers, free_port, server, system
from test_coordination.adapters.actions.http import HttpDelete, HttpGet, HttpPost
from test_coordination.adapters.actions.service import RestartService, StartService, StopService
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.system import ProcessSystem
from test_coordination.application.capabilities import (
    Action,
    ActionFailedError,
    ActionUnknownError,
)
from test_coordination.domain.topology import Service, Topology
from test_coordination.domain.values import ServiceName

pytestmark = pytest.mark.anyio


@pytest.fixture
def pages() -> Generator[Pages]:
    with serving() as pages:
        yield pages


@pytest.fixture
def site(pages: Pages, tmp_path: Path) -> Topology:
    service = Service(
        name=ServiceName("exchange"), mark=MARK, command=("none",), ports={"http": pages.address}
    )
    return system(tmp_path, service)


async def test_a_document_is_sent_and_the_answer_told(pages: Pages, site: Topology) -> None:
    pages.pages["/orders"] = Page(status=201, body=b'{"id": 7}')
    document = {"side": "buy", "lots": (1, 2), "note": "größer"}

    facts = await HttpPost().run(site, {"url": pages.url("/orders"), "json": document})

    ((method, path, body, kind),) = pages.received
    assert (method, path, kind) == ("POST", "/orders", "application/json")
    assert json.loads(body) == {"side": "buy", "lots": [1, 2], "note": "größer"}
    assert (facts["status"], facts["body"]) == (201, {"id": 7})
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize(
    ("action", "method"), [(HttpGet(), "GET"), (HttpPost(), "POST"), (HttpDelete(), "DELETE")]
)
async def test_each_method_works_without_a_document(
    pages: Pages, site: Topology, *, action: Action, method: str
) -> None:
    await action.run(site, {"url": pages.url("/chaos"), "headers": {"X-Reason": "test"}})

    assert [request[:3] for request in pages.received] == [(method, "/chaos", b"")]


async def test_an_unexpected_answer_is_told_with_the_start_of_its_body(
    pages: Pages, site: Topology
) -> None:
    pages.pages["/orders"] = Page(status=409, body=b"already there" + b"x" * 1000)

    with pytest.raises(ActionFailedError) as refused:
        await HttpPost().run(site, {"url": pages.url("/orders"), "json": {}})
    facts = await HttpPost().run(site, {"url": pages.url("/orders"), "expect": "400..409"})

    assert "answered 409, expected 200..299: already there" in str(refused.value)
    assert len(str(refused.value)) < 500
    assert facts["status"] == 409


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://169.254.169.254/latest/meta-data", "is no address of system 'test'"),
        ("http://127.0.0.1:1@evil.example/", "is no plain URL"),
    ],
)
async def test_no_address_outside_the_system_is_told_anything(
    site: Topology, url: str, complaint: str
) -> None:
    with pytest.raises(ActionFailedError, match=complaint):
        await HttpPost().run(site, {"url": url})


async def test_a_redirect_is_an_unexpected_answer(pages: Pages, site: Topology) -> None:
    with serving() as outside:
        pages.pages["/r"] = Page(status=307, headers=(("Location", outside.url("/x")),), body=b"")

        with pytest.raises(ActionFailedError, match="answered 307"):
            await HttpPost().run(site, {"url": pages.url("/r"), "json": {"secret": 1}})

        assert outside.received == []


async def test_what_may_have_happened_is_told_apart_from_what_did_not(
    pages: Pages, site: Topology, tmp_path: Path
) -> None:
    pages.pages["/slow"] = Page(delay_s=0.5)
    gone = system(tmp_path, server("gone", port=free_port()))
    nobody = f"http://{gone.services[ServiceName('gone')].ports['http']}/"

    slow = {"url": pages.url("/slow"), "timeout": "100ms"}
    with pytest.raises(ActionUnknownError, match="whether it took effect is not known"):
        await HttpPost().run(site, slow)
    with pytest.raises(ActionFailedError, match="did not answer") as harmless:
        await HttpGet().run(site, slow)
    with pytest.raises(ActionFailedError, match="nobody listens at") as refused:
        await HttpPost().run(gone, {"url": nobody})

    assert "not known" not in f"{refused.value} {harmless.value}"
    assert refused.value.code == harmless.value.code == "action.failed"


@pytest.mark.parametrize(
    ("parameters", "paths"),
    [
        ({}, [("url",)]),
        ({"url": "exchange/orders"}, [("url",)]),
        ({"url": "http://127.0.0.1:1/", "jsn": {}}, [("jsn",)]),
        ({"url": "http://127.0.0.1:1/", "expect": "abc", "timeout": "0s"}, None),
    ],
)
def test_mistakes_are_found_before_anything_runs(
    parameters: Mapping[str, object], paths: list[tuple[str]] | None
) -> None:
    found = [problem.path for problem in HttpPost().problems(parameters)]

    assert found == (paths or [("expect",), ("timeout",)])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[Topology]:
    topology = system(tmp_path, server("exchange"), server("ledger", protect=True))
    target = ProcessSystem(ProcessServices())
    await target.up(topology)
    yield topology
    await target.down(topology)


async def test_a_service_is_stopped_started_and_restarted(world: Topology) -> None:
    services = ProcessServices()
    address = world.services[ServiceName("exchange")].ports["http"]
    named = {"service": "exchange"}

    stopped = await StopService(services).run(world, {**named, "grace": "2s"})
    down = answers(address)
    await StopService(services).run(world, named)
    started = await StartService(services).run(world, named)
    again = await StartService(services).run(world, named)
    restarted = await RestartService(services).run(world, named)

    assert not down
    assert started["pid"] == again["pid"] != restarted["pid"]
    assert stopped.keys() == {"stopped_in_ms"}
    assert answers(address)


@pytest.mark.parametrize("action", [StopService, RestartService])
async def test_a_protected_service_is_left_alone(
    world: Topology, action: type[StopService | RestartService]
) -> None:
    with pytest.raises(ActionFailedError, match="protects 'ledger'"):
        await action(ProcessServices()).run(world, {"service": "ledger"})

    assert answers(world.services[ServiceName("ledger")].ports["http"])


async def test_an_unknown_service_is_named(world: Topology) -> None:
    with pytest.raises(ActionFailedError, match="did you mean 'exchange'"):
        await StartService(ProcessServices()).run(world, {"service": "exchang"})


async def test_a_service_that_will_not_start_fails_the_action_with_its_log(
    tmp_path: Path,
) -> None:
    topology = system(tmp_path, server("exchange", "--fail", "no disk"))
    services = ProcessServices()
    await ProcessSystem(services).declare(topology)

    with pytest.raises(ActionFailedError, match="no disk"):
        await StartService(services).run(topology, {"service": "exchange"})
