"""A topology of small services, and the hand on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import psutil
import pytest

from support.target_systems import system
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.system import ProcessSystem
from test_coordination.application.capabilities import Handle
from test_coordination.domain.topology import Service, Topology

ROOT = Path(__file__).parents[2]


class World:
    """One topology at a time, and the hand on its services."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.services = ProcessServices()
        self.system = ProcessSystem(self.services)
        self.topologies: list[Topology] = []

    async def declared(self, *services: Service) -> Topology:
        topology = system(self.directory, *services)
        self.topologies.append(topology)
        await self.system.declare(topology)
        return topology

    async def one(self, service: Service) -> Handle:
        return self.services.locate(await self.declared(service), service.name)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    world = World(tmp_path)
    yield world
    for topology in world.topologies:
        await world.system.down(topology)


def session_of(pid: int | None) -> list[psutil.Process]:
    assert pid is not None
    return [process for process in psutil.process_iter() if _is_of(process, pid)]


def _is_of(process: psutil.Process, session: int) -> bool:
    try:
        lives = process.status() != psutil.STATUS_ZOMBIE
        return lives and os.getsid(process.pid) == session
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False  # it has ended while we looked


def in_another_process(handle: Handle, call: str) -> subprocess.Popen[str]:
    program = f"""
import sys, anyio
from datetime import timedelta
from test_coordination.adapters.targets.process import ProcessServices
state = anyio.run(lambda: ProcessServices().{call})
print(state.pid if state else None)
"""
    return subprocess.Popen(
        [sys.executable, "-c", program, handle],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )


def edit(handle: Handle, change: Callable[[dict[str, object]], None]) -> None:
    record = json.loads(Path(handle).read_text())
    change(record["launch"])
    Path(handle).write_text(json.dumps(record))
