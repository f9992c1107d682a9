"""Topologies of small real services, for tests of whatever acts on services."""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from test_coordination.domain.errors import Mark
from test_coordination.domain.topology import Address, Health, Link, Service, Topology
from test_coordination.domain.values import ServiceName

SERVER = Path(__file__).with_name("target_server.py")
MARK = Mark("topology.yaml", 1, 1)
GRACE = timedelta(seconds=5)
_DRAWN: set[int] = set()


def free_port() -> int:
    """Return a port that nobody listened on a moment ago, and that was not returned before."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as trial:
            port: int = trial.getsockname()[1]
        if port not in _DRAWN:
            _DRAWN.add(port)
            return port


def server(
    name: str,
    *options: str,
    health: Health | None = None,
    port: int | None = None,
    depends_on: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    protect: bool = False,
) -> Service:
    port = port or free_port()
    command = (sys.executable, "-S", "-E", str(SERVER), "--port", str(port), *options)
    return Service(
        name=ServiceName(name),
        mark=MARK,
        command=command,
        environment=environment or {},
        ports={"http": Address(host="127.0.0.1", port=port)},
        health=health or Health(http="/health", timeout=timedelta(seconds=10)),
        depends_on=tuple(ServiceName(other) for other in depends_on),
        protect=protect,
    )


def system(directory: Path, *services: Service, links: tuple[Link, ...] = ()) -> Topology:
    return Topology(
        name="test",
        file=str(directory / "topology.yaml"),
        directory=str(directory / "state"),
        services={service.name: service for service in services},
        links={link.name: link for link in links},
    )


def link(name: str, source: str, target: Service) -> Link:
    return Link(
        name=name,
        mark=MARK,
        source=ServiceName(source),
        target=target.name,
        listen=Address(host="127.0.0.1", port=free_port()),
        upstream=target.ports["http"],
    )


def answers(address: Address, *, limit_s: float = 1) -> bool:
    """Tell whether a client of the service is served."""
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=limit_s) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
