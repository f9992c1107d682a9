"""A system with links, and scenarios that break it by all that the language has."""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import MappingProxyType

import anyio

from support.e2e_terminal import Running, Terminal, terminal
from support.e2e_witness import Seen, answer, belonging
from support.engine_echo import CORE, traces
from support.target_systems import free_port
from test_coordination import systems
from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.targets.specify import links_socket
from test_coordination.domain.topology import Topology

SERVICE = Path(__file__).with_name("e2e_ordeal_service.py")
SERVICES = ("shop", "till", "desk")
LINKS = ("till-to-shop", "desk-to-shop")
KEY = f"{CORE}-of-the-environment"
PIN = f"{CORE}-of-a-file"
KNOWING: Mapping[str, str] = MappingProxyType({"ORDEAL_KEY": KEY})
# A link that is slow in a scenario answers later than this; one that is not, much sooner.
SLOW_S = 0.15
LOOKS = 5

TOPOLOGY = """
topology: market
services:
  shop:
    command: [{python}, -S, -E, {service}, --port, "${{shop.http}}"]
    ports: {{http: {shop}}}
    health: {{http: /health, timeout: 5s}}
    tags: {{tier: front}}
  till:
    command: [{python}, -S, -E, {service}, --port, "${{till.http}}"]
    ports: {{http: {till}}}
    health: {{http: /health, timeout: 5s}}
    tags: {{tier: back}}
  desk:
    command: [{python}, -S, -E, {service}, --port, "${{desk.http}}"]
    ports: {{http: {desk}}}
    health: {{http: /health, timeout: 5s}}
    tags: {{tier: back}}
links:
  till-to-shop: {{from: till, to: shop, port: http, listen: {till_to_shop}}}
  desk-to-shop: {{from: desk, to: shop, port: http, listen: {desk_to_shop}}}
"""

BROAD = """
scenario: broad
version: 1
title: Everything at once, and it holds
parameters:
  key: {type: secret, default: "env:ORDEAL_KEY"}
  pin: {type: secret, default: "file:PIN_FILE"}
probes:
  shop:
    http:
      request: "GET http://${{ services.shop.address }}/health"
      headers: {X-Pin: "${{ parameters.pin }}"}
    every: 100ms
  way: {http: "GET http://${{ links.till_to_shop }}/health", every: 100ms}
start: {when: probes.shop.last.status == 200, within: 20s}
preconditions:
  - {id: seen-well, expect: probes.shop.last.ok, within: 20s}
steps:
  - id: slow
    background: true
    fault: latency
    target: shop
    with: {from: till, delay: 120ms}
  - id: chance
    wait: {between: [1ms, 100ms]}
  - id: felt
    wait: {until: probes.way.last.ms > 150.0, within: 20s}
  - id: all-at-once
    parallel:
      - id: both
        fault: service.pause
        target: {tags: {tier: back}}
        hold: 200ms
      - id: told
        for_each: [a, b, c]
        concurrency: 2
        action: http.get
        with:
          url: "http://${{ services.shop.address }}/flaky?k=${{ execution.seed }}${{ each.value }}"
          headers: {X-Key: "${{ parameters.key }}"}
        retry: {attempts: 3, delay: 50ms}
      - id: rising
        fault: latency
        target: shop
        with: {from: desk, delay: 120ms}
        ramp: {over: 200ms, from: 25%, stages: 2}
        hold: 200ms
  - id: inner
    scenario: crash
    with: {key: "env:ORDEAL_KEY"}
  - id: calm
    stop: slow
  - id: quick-again
    expect: probes.way.last.ms < 150.0
    within: 20s
    after_fault: slow
on_failure:
  - id: told-off
    action: http.get
    with:
      url: "http://${{ services.shop.address }}/flaky?k=${{ execution.seed }}"
      headers: {X-Key: "${{ parameters.key }}"}
    retry: {attempts: 3, delay: 50ms}
"""
CRASH = """
scenario: crash
version: 1
title: A service crashes twice
parameters:
  key: {type: secret, required: true}
probes:
  till: {http: "GET http://${{ services.till.address }}/health", every: 100ms, timeout: 5s}
steps:
  - id: asked
    action: http.get
    with:
      url: "http://${{ services.till.address }}/flaky?k=${{ execution.seed }}"
      headers: {X-Key: "${{ parameters.key }}"}
    retry: {attempts: 3, delay: 50ms}
  - id: kill
    fault: service.kill
    target: till
    hold: 150ms
    repeat: {times: 2, pause: 50ms}
  - {id: back, expect: probes.till.last.status == 200, within: 20s, after_fault: kill}
"""
ALARM = """
scenario: alarm
version: 1
title: What a part of it breaks stops the whole
parameters:
  key: {type: secret, default: "env:ORDEAL_KEY"}
probes:
  till: {http: "GET http://${{ services.till.address }}/health", every: 50ms, timeout: 100ms}
stop_when:
  - {id: till-gone, when: probes.till.missing > 1, hold: 100ms}
steps:
  - id: gone
    background: true
    fault: service.stop
    target: desk
    with: {grace: 2s}
  - id: inner
    scenario: freeze
    with: {hold: 60s}
  - {id: over, stop: gone}
on_failure:
  - id: told-off
    action: http.get
    with:
      url: "http://${{ services.shop.address }}/flaky?k=${{ execution.seed }}"
      headers: {X-Key: "${{ parameters.key }}"}
    retry: {attempts: 3, delay: 50ms}
"""
FREEZE = """
scenario: freeze
version: 1
title: A service stands still
parameters:
  hold: {type: duration, required: true}
steps:
  - id: slow
    background: true
    fault: latency
    target: shop
    with: {from: till, delay: 120ms}
  - id: freeze
    fault: service.pause
    target: till
    hold: "${{ parameters.hold }}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Three services and two links that run, and the terminal from which they are broken."""

    terminal: Terminal
    topology: Topology
    ports: Mapping[str, int]

    def breaks(self, scenario: str) -> Running:
        """Start a run of a scenario, with its secrets."""
        words = ("run", self._file(scenario), "--topology", self.topology.file)
        forms = ("--format", "html", "--format", "json")
        variables = {**KNOWING, "TCOORD_LIBRARY": str(self.terminal.place)}
        return self.terminal.start(*words, *forms, environment=variables)

    def _file(self, scenario: str) -> Path:
        return self.terminal.place / f"{scenario}.yaml"

    def trouble(self) -> Sequence[str]:
        """Return all that a client or the kernel sees amiss with the services and links."""
        here = belonging(self.terminal.place)
        services = [line for name in SERVICES if (line := self._ill(name, here))]
        carriers = [one for one in here if "test_coordination.adapters.links" in one.command]
        proxies = [] if len(carriers) == 1 else [f"the processes of the links are {carriers}"]
        slow = [f"{name!r} is slow" for name in LINKS if not services and self._is_slow(name)]
        kept = [f"the proxy holds {fault}" for fault in anyio.run(self._in_force)]
        return [*services, *proxies, *slow, *kept]

    def _ill(self, service: str, here: Sequence[Seen]) -> str:
        port = f"--port {self.ports[service]}"
        found = [one for one in here if SERVICE.name in one.command and port in one.command]
        if len(found) != 1 or found[0].state == "T":
            return f"the processes of {service!r} are {found}"
        status = answer(f"http://127.0.0.1:{self.ports[service]}/health")
        return "" if status == 200 else f"{service!r} answers with {status}"

    def _is_slow(self, link: str) -> bool:
        """Tell whether not one of some answers comes as soon as without a fault."""
        for _ in range(LOOKS):
            began = monotonic()
            status = answer(f"http://127.0.0.1:{self.ports[link]}/health")
            if status == 200 and monotonic() - began < SLOW_S:
                return False
        return True

    async def _in_force(self) -> Sequence[str]:
        async with LinkControl(Path(links_socket(self.topology))) as links:
            states = await links.describe()
        return [f"{fault.fault} on {name}" for name, one in states.items() for fault in one.faults]

    def told(self) -> Sequence[str]:
        """Return the files that hold a secret: of servers, of services, printed, and reports."""
        files = (file for file in self.terminal.place.rglob("*") if file.is_file())
        return [str(file) for file in files if traces(file.read_bytes())]

    def heard(self) -> set[str]:
        """Return the digests of the secrets that the shop was told."""
        url = f"http://127.0.0.1:{self.ports['shop']}/heard"
        with urllib.request.urlopen(url, timeout=5) as reply:
            return set(reply.read().decode().split())


@contextmanager
def market() -> Iterator[Market]:
    """Lend a market whose services run; the file with one secret stands elsewhere."""
    with terminal() as lent, tempfile.NamedTemporaryFile("w", encoding="utf-8") as pin:
        pin.write(PIN)
        pin.flush()
        file = lent.place / "market.yaml"
        ports = {name: free_port() for name in (*SERVICES, *LINKS)}
        words = {name.replace("-", "_"): port for name, port in ports.items()}
        python, service = json.dumps(sys.executable), json.dumps(str(SERVICE))
        file.write_text(TOPOLOGY.format(python=python, service=service, **words))
        scenarios = {"broad": BROAD, "crash": CRASH, "alarm": ALARM, "freeze": FREEZE}
        for name, text in scenarios.items():
            (lent.place / f"{name}.yaml").write_text(text.replace("PIN_FILE", pin.name))
        started = lent.run("services", "start", "--topology", file)
        assert started.status == 0, started
        directory = systems.state_directory(lent.home, file)
        topology = systems.read_topology(systems.Source(file=file), directory=directory)
        yield Market(terminal=lent, topology=topology, ports=ports)
