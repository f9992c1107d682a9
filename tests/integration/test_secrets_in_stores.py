"""A secret that real adapters were given is in no table, no key and no report."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from support.echo_page import echo_page
from support.engine_echo import CORE, EchoFault, Heard, traces
from support.engine_fakes import Board
from support.servers_directory import servers_directory
from support.stores_contents import keys, tables
from support.target_systems import free_port
from test_coordination import Settings
from test_coordination.adapters.rendering.render import FORMATS, render
from test_coordination.adapters.servers.embedded import embedded_servers
from test_coordination.application.lending import coordinating
from test_coordination.bootstrap import open_world
from test_coordination.domain.errors import Mark
from test_coordination.domain.execution import Execution
from test_coordination.domain.topology import Address, Service, StateSource, Store, Topology
from test_coordination.domain.values import ServiceName
from test_coordination.domain.verdicts import Verdict

pytestmark = pytest.mark.timeout(300)

SECRET = f'{CORE}+/="&<%x'
MARK = Mark("echo.yaml", 1, 1)
STORY = """
scenario: echoes
version: 1
parameters: {token: {type: secret, default: "env:TCOORD_TEST_TOKEN"}}
probes:
  page:
    http:
      request: "GET http://${{ services.shop.address }}/?key=${{ parameters.token }}"
      headers: {Authorization: "Bearer ${{ parameters.token }}"}
    every: 100ms
  gone: {http: "GET http://${{ services.gone.address }}/?key=${{ parameters.token }}", every: 100ms}
  row: {sql: {target: db, query: "select '${{ parameters.token }}'"}, every: 100ms}
  refused: {sql: {target: db, query: "select '${{ parameters.token }}'::int"}, every: 100ms}
steps:
  - id: told
    action: http.post
    with:
      url: "http://${{ services.shop.address }}/in?key=${{ parameters.token }}"
      headers: {X-Key: "${{ parameters.token }}"}
      json: {key: "${{ parameters.token }}"}
  - id: unexpected
    action: http.post
    on_error: ignore
    with:
      url: "http://${{ services.shop.address }}/in"
      json: ["${{ parameters.token }}"]
      expect: 204
  - id: nobody
    action: http.get
    on_error: ignore
    with: {url: "http://${{ services.gone.address }}/?key=${{ parameters.token }}"}
  - {id: look, probe: {sql: {target: db, query: "select '${{ parameters.token }}'"}}}
  - {id: taken, snapshot: [shop]}
  - {id: seen, expect: "probes.row.last.value == 'nothing'", within: 1s, severity: info}
  - {id: off, fault: switch.off, target: shop, hold: 300ms, with: {key: "${{ parameters.token }}"}}
"""


def system(page: int, database: str) -> Topology:
    """Return an echo, a service that nobody is, and a store."""

    def service(name: str, port: int) -> Service:
        return Service(
            name=ServiceName(name),
            mark=MARK,
            command=("true",),
            ports={"http": Address(host="127.0.0.1", port=port)},
            state={
                "keys": StateSource(
                    kind="sql", parameters={"target": "db", "query": f"select '{SECRET}' as key"}
                )
            },
        )

    return Topology(
        name="echo",
        file="echo.yaml",
        directory="/nowhere",
        services={
            ServiceName("shop"): service("shop", page),
            ServiceName("gone"): service("gone", free_port()),
        },
        stores={"db": Store(name="db", mark=MARK, url=database)},
    )


@asynccontextmanager
async def ran(
    home: Path, heard: Heard
) -> AsyncIterator[tuple[Execution, Sequence[bytes], list[dict[str, object]], str]]:
    """Lend how the story ended, its reports, what the page was asked, and the servers' URLs."""
    with echo_page() as (port, asked):
        async with embedded_servers(home / "servers") as urls:
            topology = system(port, urls.postgres)
            fault = EchoFault(Board(), heard, "switch.off")
            async with open_world(Settings(home=home), topology) as world:
                known = replace(world.catalogue, faults={fault.kind: fault})
                reader = type(world.reader)(known, world.expressions)  # type: ignore[call-arg]  # the one there is
                echoing = replace(world, catalogue=known, reader=reader)
                async with coordinating(echoing) as coordinator:
                    scenario = await coordinator.create_scenario(STORY)
                    execution = await coordinator.execute_scenario(scenario)
                    ended = await coordinator.execution_result(execution)
                    report = await coordinator.generate_test_report(execution)
                    reports = [render(report, form) for form in FORMATS]
            yield ended, reports, asked, f"{urls.postgres} {urls.redis}"


async def test_no_table_no_key_and_no_report_has_the_secret_of_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TCOORD_TEST_TOKEN", SECRET)
    heard = Heard()
    with servers_directory() as home:
        async with ran(home, heard) as (ended, reports, asked, urls):
            postgres, redis = urls.split()
            kept = {**await tables(postgres), **await keys(redis)}

    assert ended.verdict is Verdict.INCONCLUSIVE, ended.reason
    assert heard.at("arm") == heard.at("revert") == {SECRET}
    assert SECRET in str([told["headers"] for told in asked])
    assert {name for name, told in kept.items() if traces(told)} == set()
    assert not any(map(traces, reports))
    assert not traces(repr(ended))
    assert any("execution_event" in name for name in kept)
    for said in ("invalid input syntax for type integer", "did not answer", "nobody listens at"):
        assert any(said in told for told in kept.values())
    assert sum("TCOORD_TEST_TOKEN" in str(told) for told in kept.values()) >= 3
    assert "TCOORD_TEST_TOKEN" in os.environ
