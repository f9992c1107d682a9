"""What every way of looking promises, on real servers, databases and processes."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from support.probes_scene import SOON, read
from support.target_pages import Page, Pages, serving
from support.target_systems import MARK, free_port, server, system
from test_coordination.adapters.isolation.calls import PythonCalls
from test_coordination.adapters.probes.http import HttpProbe
from test_coordination.adapters.probes.pages import BODY_BYTES_MAX
from test_coordination.adapters.probes.process import ProcessProbe
from test_coordination.adapters.probes.python import READING_BYTES_MAX, PythonProbe
from test_coordination.adapters.probes.sql import SqlProbe
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.system import ProcessSystem
from test_coordination.application.capabilities import ProbeFailedError, ProbeKind
from test_coordination.domain.topology import Address, Service, Topology
from test_coordination.domain.values import ServiceName

pytestmark = pytest.mark.anyio
STRANGER = "http://127.0.0.1:1/"


@pytest.fixture
def pages() -> Generator[Pages]:
    with serving() as pages:
        yield pages


def around(pages: Pages, directory: Path) -> Topology:
    service = Service(
        name=ServiceName("exchange"),
        mark=MARK,
        command=("none",),
        ports={"http": pages.address},
    )
    return system(directory, service)


@pytest.fixture
def site(pages: Pages, tmp_path: Path) -> Topology:
    return around(pages, tmp_path)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[Topology]:
    topology = system(tmp_path, server("exchange", "--children", "1"))
    target = ProcessSystem(ProcessServices())
    await target.up(topology)
    yield topology
    await target.down(topology)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A kind of probe, and what it is used on: something there, and something not."""

    kind: ProbeKind
    topology: Topology
    parameters: Mapping[str, object]
    elsewhere: Mapping[str, object]


@pytest.fixture(params=["http", "sql", "process", "python"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "http":
        site: Topology = request.getfixturevalue("site")
        pages: Pages = request.getfixturevalue("pages")
        return Bench(
            kind=HttpProbe(),
            topology=site,
            parameters={"request": f"GET {pages.url('/health')}"},
            elsewhere={"request": f"GET {STRANGER}"},
        )
    if request.param == "sql":
        return Bench(
            kind=SqlProbe(),
            topology=request.getfixturevalue("audited"),
            parameters={"target": "auditor-db", "query": "SELECT 7 AS lost"},
            elsewhere={"target": "auditr-db", "query": "SELECT 1"},
        )
    if request.param == "python":
        return Bench(
            kind=PythonProbe(PythonCalls()),
            topology=request.getfixturevalue("site"),
            parameters={"call": "support.python_victims:Orders.lost"},
            elsewhere={"call": "support.python_victims:strange"},
        )
    return Bench(
        kind=ProcessProbe(ProcessServices()),
        topology=request.getfixturevalue("world"),
        parameters={"service": "exchange"},
        elsewhere={"service": "exchnge"},
    )


async def test_a_reading_holds_what_was_promised_and_json_can_carry_it(bench: Bench) -> None:
    async with bench.kind.open(bench.topology, bench.parameters, timeout=SOON) as probe:
        await probe.read()
        reading = await probe.read()

    assert reading.keys() == bench.kind.fields.keys()
    assert json.loads(json.dumps(reading)) == reading
    assert isinstance(reading[bench.kind.measured], int | float)


async def test_what_is_captured_json_can_carry(bench: Bench) -> None:
    captured = await bench.kind.capture(bench.topology, bench.parameters)

    assert captured
    assert json.loads(json.dumps(captured)) == captured


async def test_what_is_not_of_the_system_cannot_be_read(bench: Bench) -> None:
    async with bench.kind.open(bench.topology, bench.elsewhere, timeout=SOON) as probe:
        with pytest.raises(ProbeFailedError):
            await probe.read()
    with pytest.raises(ProbeFailedError):
        await bench.kind.capture(bench.topology, bench.elsewhere)


async def test_wrong_parameters_are_problems_before_and_failures_when_read(bench: Bench) -> None:
    wrong = {**bench.parameters, "querry": "x"}

    problems = bench.kind.problems(wrong)
    async with bench.kind.open(bench.topology, wrong, timeout=SOON) as probe:
        with pytest.raises(ProbeFailedError, match="no parameter is named 'querry'"):
            await probe.read()

    assert [problem.path for problem in problems] == [("querry",)]
    assert bench.kind.problems(bench.parameters) == []
    assert bench.kind.problems({}, unknown=frozenset((key,) for key in bench.parameters)) == []


async def test_http_a_slow_and_failing_page_is_measured(pages: Pages, site: Topology) -> None:
    pages.pages["/health"] = Page(status=503, body=b"12345", delay_s=0.1)

    reading = await read(HttpProbe(), site, request=f"GET {pages.url('/health')}")

    ms = reading["ms"]
    assert isinstance(ms, float)
    assert 100 <= ms < 1000
    assert {**reading, "ms": 0} == {"status": 503, "ms": 0, "ok": False, "size": 5}


async def test_http_what_is_well_can_be_said(pages: Pages, site: Topology) -> None:
    pages.pages["/gone"] = Page(status=404, body=b"")
    request = f"HEAD {pages.url('/gone')}"

    reading = await read(HttpProbe(), site, request=request, expect=404)

    assert (reading["status"], reading["ok"]) == (404, True)


async def test_http_one_connection_serves_many_readings(pages: Pages, site: Topology) -> None:
    parameters = {"request": f"GET {pages.url('/health')}"}

    async with HttpProbe().open(site, parameters, timeout=SOON) as probe:
        for _ in range(5):
            await probe.read()

    assert pages.connections == 1


async def test_http_a_redirect_out_of_the_system_is_not_followed(
    pages: Pages, site: Topology
) -> None:
    with serving() as outside:
        pages.pages["/r"] = Page(status=302, headers=(("Location", outside.url("/secret")),))

        reading = await read(HttpProbe(), site, request=f"GET {pages.url('/r')}")

        assert reading["status"] == 302
        assert outside.received == []


async def test_http_no_answer_in_time_is_a_missing_sample(pages: Pages, site: Topology) -> None:
    pages.pages["/slow"] = Page(delay_s=0.5)
    parameters = {"request": f"GET {pages.url('/slow')}"}

    async with HttpProbe().open(site, parameters, timeout=timedelta(seconds=0.1)) as probe:
        with pytest.raises(ProbeFailedError, match=r"did not answer within 0\.1 s"):
            await probe.read()


async def test_http_nobody_there_is_a_missing_sample(tmp_path: Path) -> None:
    address = Address(host="127.0.0.1", port=free_port())
    site = around(Pages(address=address), tmp_path)

    with pytest.raises(ProbeFailedError, match="did not answer"):
        await read(HttpProbe(), site, request=f"GET http://{address}/health")


async def test_http_a_body_without_end_is_not_read_to_its_end(pages: Pages, site: Topology) -> None:
    pages.pages["/large"] = Page(body=b"x" * (BODY_BYTES_MAX + 1))

    with pytest.raises(ProbeFailedError, match="more than 1048576 bytes"):
        await read(HttpProbe(), site, request=f"GET {pages.url('/large')}")


async def test_http_a_living_server_outside_the_system_is_never_asked(site: Topology) -> None:
    with serving() as outside:
        with pytest.raises(ProbeFailedError, match="is no address of system"):
            await read(HttpProbe(), site, request=f"GET {outside.url('/secret')}")

        assert outside.received == []


@pytest.mark.parametrize("request_", ["POST http://127.0.0.1:8084/", "127.0.0.1:8084", "GET /x"])
def test_http_only_looking_is_allowed(request_: str) -> None:
    (problem,) = HttpProbe().problems({"request": request_})

    assert problem.path == ("request",)
    assert problem.text.startswith("'request'")


async def test_http_a_document_is_captured_parsed(pages: Pages, site: Topology) -> None:
    pages.pages["/text"] = Page(body=b"plain")
    parameters = {"request": f"GET {pages.url('/invariants')}"}

    document = await HttpProbe().capture(site, parameters)
    text = await HttpProbe().capture(site, {"request": f"GET {pages.url('/text')}"})

    assert document == {"healthy": True, "orders": [1, 2]}
    assert text == {"status": 200, "size": 5, "text": "plain"}


async def test_http_an_error_page_is_not_taken_for_state(pages: Pages, site: Topology) -> None:
    pages.pages["/invariants"] = Page(status=500, body=b'{"error": "no database"}')

    with pytest.raises(ProbeFailedError, match=r"answered 500: .*no database"):
        await HttpProbe().capture(site, {"request": f"GET {pages.url('/invariants')}"})


async def test_python_a_reading_is_small(site: Topology) -> None:
    large = {"value": "x" * READING_BYTES_MAX}
    parameters = {"call": "support.python_victims:echo", "arguments": large}

    captured = await PythonProbe(PythonCalls()).capture(site, parameters)
    with pytest.raises(ProbeFailedError, match="more than 4KiB of JSON"):
        await read(PythonProbe(PythonCalls()), site, **parameters)

    assert captured == large["value"]


async def test_process_a_stopped_and_a_paused_service_are_readings(world: Topology) -> None:
    services = ProcessServices()
    handle = services.locate(world, ServiceName("exchange"))

    async with ProcessProbe(services).open(world, {"service": "exchange"}, timeout=SOON) as probe:
        up = await probe.read()
        await services.pause(handle)
        paused = await probe.read()
        await services.kill(handle)
        down = await probe.read()
        await services.start(handle)
        again = await probe.read()

    assert (up["running"], paused["running"], paused["threads"]) == (True, True, 2)
    assert (up["healthy"], paused["healthy"]) == (True, False)
    assert down == {
        "running": False, "healthy": False, "rss_bytes": 0, "threads": 0, "restarts": 0,
    }  # fmt: skip
    assert (again["running"], again["restarts"]) == (True, 1)


async def test_process_the_memory_and_processor_time_of_children_count(tmp_path: Path) -> None:
    burn = "import os\nx = bytearray(50_000_000)\nos.fork()\nwhile True: x[0] = 1"
    service = replace(server("exchange"), command=(sys.executable, "-S", "-c", burn), ports={})
    topology = system(tmp_path, replace(service, health=type(service.health)()))
    target = ProcessSystem(ProcessServices())
    await target.up(topology)
    try:
        async with ProcessProbe(ProcessServices()).open(
            topology, {"service": "exchange"}, timeout=SOON
        ) as probe:
            await anyio.sleep(0.3)
            first = await probe.read()
            await anyio.sleep(0.5)
            second = await probe.read()
    finally:
        await target.down(topology)

    rss, cpu = second["rss_bytes"], second["cpu_percent"]
    assert isinstance(rss, int)
    assert isinstance(cpu, float)
    assert "cpu_percent" not in first
    assert rss > 50_000_000
    assert cpu > 10
