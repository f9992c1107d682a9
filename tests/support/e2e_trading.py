"""The trading example, brought up by ``tcoord``, as a client and the kernel see it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.e2e_terminal import ROOT, Running, Terminal, terminal
from support.e2e_witness import Seen, answer, belonging
from test_coordination import systems
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ServiceName

TOPOLOGY = ROOT / "examples/trading/topology.yaml"
RESTART = ROOT / "scenarios/exchange-restart-under-load.yaml"
PAUSE = ROOT / "scenarios/exchange-pause-under-load.yaml"
EXCHANGE = ServiceName("exchange")
# Below the ports from which the kernel serves clients, and apart from those a demo looks for.
OFFSETS = range(110, 14_000, 130)
QUICKLY = (
    "outage=300ms",
    "warm_up=100ms",
    "back_for=100ms",
    "settle=100ms",
    "audit_every=250ms",
    "rate=20",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trading:
    """A trading system that runs, and the terminal from which it is broken."""

    terminal: Terminal
    topology: Topology
    options: tuple[str, ...]

    def breaks(self, scenario: Path, parameters: Sequence[str] = QUICKLY) -> Running:
        """Start a run of ``scenario`` that takes a few seconds."""
        given = [word for parameter in parameters for word in ("--set", parameter)]
        return self.terminal.start("run", scenario, *self.options, *given)

    def exchange(self) -> list[Seen]:
        """Return the processes of the exchange."""
        here = belonging(self.terminal.place)
        return [process for process in here if process.command.endswith("-m trading.exchange")]

    def trouble(self) -> str:
        """Return what a client or the kernel sees amiss with the exchange; empty if nothing."""
        processes = self.exchange()
        if len(processes) != 1 or processes[0].state == "T":
            return f"the exchange's processes are {processes}"
        status = answer(f"http://{self.topology.services[EXCHANGE].ports['http']}/health")
        return "" if status == 200 else f"the exchange answers with {status}"


@contextmanager
def trading_system(*, build: str = "hardened") -> Iterator[Trading]:
    """Lend a trading system of which everything runs."""
    with terminal() as lent:
        offset, topology = _place(lent, build)
        place = ("--topology", str(TOPOLOGY), "--port-offset", str(offset))
        options = (*place, "--var", f"build={build}")
        started = lent.run("services", "start", *options)
        assert started.status == 0, started
        yield Trading(terminal=lent, topology=topology, options=options)


def _place(lent: Terminal, build: str) -> tuple[int, Topology]:
    """Return an offset at which all ports are free, and the system there."""
    directory = systems.state_directory(lent.home, TOPOLOGY)
    for offset in random.sample(OFFSETS, len(OFFSETS)):
        source = systems.Source(file=TOPOLOGY, variables={"build": build}, port_offset=offset)
        topology = systems.read_topology(source, directory=directory)
        if all(systems._is_free(address) for address in topology.addresses()):
            return offset, topology
    message = "there are no free ports for the trading system"
    raise AssertionError(message)
