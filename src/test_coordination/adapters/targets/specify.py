"""From a topology to what it takes to launch each of its services."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from test_coordination.adapters.environment import environment
from test_coordination.adapters.targets.record import HealthCheck, Specification
from test_coordination.application.capabilities import TargetFailedError
from test_coordination.domain.topology import Address, Service, Topology

LINKS_TIMEOUT: Final = timedelta(seconds=15)


def links_socket(topology: Topology) -> str:
    """Return the path of the socket by which the proxies of a topology's links are controlled."""
    return str(Path(topology.directory).absolute() / "links.sock")


def specification(topology: Topology, service: Service, *, logs: Path) -> Specification:
    """Return what it takes to launch ``service``; paths in it are absolute.

    A service without a directory of its own runs where the topology's file lies.

    Raises:
        TargetFailedError: its health is asked on a port that it does not have.
    """
    directory = (Path(topology.file).parent / (service.directory or "")).absolute()
    return Specification(
        name=service.name,
        command=service.command,
        directory=str(directory),
        environment=environment() | dict(service.environment),
        ports={name: (at.host, at.port) for name, at in service.ports.items()},
        health=_health(service, directory),
        stop_signal=service.stop_signal,
        log=str(logs / f"{quote(service.name, safe='')}.log"),
    )


def links(topology: Topology) -> Specification:
    """Return what it takes to launch the process that carries the links of ``topology``."""
    home = Path(topology.directory).absolute()
    asked = [
        f"{link.name}={_host_port(link.listen)}={_host_port(link.upstream)}"
        for link in topology.links.values()
    ]
    root = next(path for path in Path(__file__).parents if (path / "test_coordination").is_dir())
    return Specification(
        name="links",
        # The socket's name alone, from within its folder: a path may be longer than 107 bytes.
        command=(
            *(sys.executable, "-m", "test_coordination.adapters.links", "--control", "links.sock"),
            *(part for one in asked for part in ("--link", one)),
        ),
        directory=str(home),
        environment=environment() | {"PYTHONPATH": str(root)},
        ports={name: (link.listen.host, link.listen.port) for name, link in topology.links.items()},
        health=HealthCheck(kind="unix", address=links_socket(topology), timeout=LINKS_TIMEOUT),
        log=str(home / "links.log"),
    )


def _host_port(address: Address) -> str:
    return f"{address.host}:{address.port}"


def _health(service: Service, directory: Path) -> HealthCheck:
    health = service.health
    if health.unix is not None:
        address = str(directory / health.unix)
        return HealthCheck(kind="unix", address=address, timeout=health.timeout)
    if health.tcp is not None:
        at = _port(service, health.tcp)
        return HealthCheck(kind="tcp", address=_host_port(at), timeout=health.timeout)
    if health.http is not None:
        at = _port(service, "http")
        path = "/" + health.http.removeprefix("/")
        address = f"http://{_host_port(at)}{path}"
        return HealthCheck(kind="http", address=address, timeout=health.timeout)
    return HealthCheck(timeout=health.timeout)


def _port(service: Service, name: str) -> Address:
    if name not in service.ports:
        cause = f"its health is asked on port {name!r}, which it does not have; declare it"
        raise TargetFailedError(service=service.name, doing="being declared", cause=cause)
    return service.ports[name]
