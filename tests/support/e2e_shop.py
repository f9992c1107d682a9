"""A system of three tiny services, and scenarios that break it in a second."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.e2e_terminal import NOTHING, TCOORD, Running, Terminal, terminal
from support.e2e_witness import Seen, answer, belonging
from support.target_systems import free_port

SERVICE = Path(__file__).with_name("e2e_service.py")

TOPOLOGY = """
topology: shop
services:
  shop:
    command: [{python}, -S, -E, {service}, --port, "${{shop.http}}", --items, "7", --needs, {needs}]
    ports: {{http: {shop}}}
    health: {{http: /health, timeout: 5s}}
    state:
      stock: {{http: /stock}}
  till:
    command: [{python}, -S, -E, {service}, --port, "${{till.http}}", --items, "3", --needs, {needs}]
    ports: {{http: {till}}}
    health: {{http: /health, timeout: 5s}}
    depends_on: [shop]
  desk:
    command: [{python}, -S, -E, {service}, --port, "${{desk.http}}", --items, "1", --needs, {needs}]
    ports: {{http: {desk}}}
    health: {{http: /health, timeout: 5s}}
invariants:
  - {{id: in-stock, expect: "services.shop.stock.items == 7", severity: critical}}
"""

SCENARIO = """
scenario: {name}
version: 1
title: A service of the shop is gone
parameters:
  outage: {{type: duration, default: 300ms, min: 10ms, max: 10m}}
probes:
  seen: {{http: "GET http://${{{{ services.{target}.address }}}}/health", every: 100ms}}
  nobody: {{http: "GET http://127.0.0.1:9/", every: 100ms}}
steps:
  - id: break
    fault: {fault}
    target: {target}
    hold: "${{{{ parameters.outage }}}}"
  - id: back
    expect: "{expect}"
    within: {within}
    after_fault: break
timeout: {timeout}
"""
HELD = "probes.seen.last.status == 200"
BROKEN = "probes.seen.last.status == 500"
UNKNOWN = "probes.nobody.last.status == 200"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Three services that run, and the terminal from which they are broken."""

    terminal: Terminal
    ports: dict[str, int]

    @property
    def topology(self) -> Path:
        return self.terminal.place / "shop.yaml"

    @property
    def needed(self) -> Path:
        """A file without which no service of the shop starts."""
        return self.terminal.place / "needed"

    def scenario(
        self,
        name: str = "quick",
        *,
        target: str = "shop",
        fault: str = "service.pause",
        expect: str = HELD,
        within: str = "20s",
        timeout: str = "2m",
    ) -> Path:
        """Write a scenario and return where it is."""
        path = self.terminal.place / f"{name}.yaml"
        words = {"fault": fault, "expect": expect, "within": within, "timeout": timeout}
        path.write_text(SCENARIO.format(name=name, target=target, **words))
        return path

    def breaks(
        self,
        scenario: Path,
        *parameters: str,
        program: tuple[str, ...] = TCOORD,
        environment: Mapping[str, str] = NOTHING,
    ) -> Running:
        """Start a run of ``scenario``."""
        given = [word for parameter in parameters for word in ("--set", parameter)]
        words = ("run", scenario, "--topology", self.topology, *given)
        return self.terminal.start(*words, program=program, environment=environment)

    def processes(self, service: str) -> list[Seen]:
        """Return the processes of a service."""
        port = f"--port {self.ports[service]} "
        here = belonging(self.terminal.place)
        return [one for one in here if SERVICE.name in one.command and port in one.command]

    def trouble(self, service: str = "shop") -> str:
        """Return what a client or the kernel sees amiss with a service; empty if nothing."""
        processes = self.processes(service)
        if len(processes) != 1 or processes[0].state == "T":
            return f"the processes of {service!r} are {processes}"
        status = answer(f"http://127.0.0.1:{self.ports[service]}/health")
        return "" if status == 200 else f"{service!r} answers with {status}"


@contextmanager
def shop() -> Iterator[Shop]:
    """Lend a shop whose services run, started by ``tcoord services start``."""
    with terminal() as lent:
        ports = {name: free_port() for name in ("shop", "till", "desk")}
        opened = Shop(terminal=lent, ports=ports)
        opened.needed.touch()
        text = TOPOLOGY.format(
            python=json.dumps(sys.executable),
            service=json.dumps(str(SERVICE)),
            needs=json.dumps(str(opened.needed)),
            **opened.ports,
        )
        opened.topology.write_text(text)
        started = lent.run("services", "start", "--topology", opened.topology)
        assert started.status == 0, started
        yield opened
