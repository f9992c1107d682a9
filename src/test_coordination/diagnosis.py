"""Look at everything that has to be right before scenarios can run, and how to mend it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Final

from test_coordination.adapters.isolation.health import missing, start_time
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.postgres.health import look_at
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.pool import open_pool
from test_coordination.adapters.redis.rights import trouble
from test_coordination.adapters.servers.embedded import embedded_servers
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.bootstrap import open_on
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import format_duration
from test_coordination.interfaces.cli.program import Finding
from test_coordination.settings import Settings

CLOCK_MAX: Final = timedelta(seconds=1)


async def diagnose(settings: Settings, topology: Topology | None) -> Sequence[Finding]:
    """Return what is found, from the ground up; it ends where nothing further can be seen.

    Faults that dead coordinators left are undone on the way.
    """
    found = [_account(settings)]
    try:
        async with AsyncExitStack() as stack:
            if settings.embedded:
                folder = settings.home / "servers"
                urls = await stack.enter_async_context(embedded_servers(folder))
                settings = replace(
                    settings, postgres_url=urls.postgres, redis_url=settings.redis_url or urls.redis
                )
            found.append(await _postgres(settings))
            found.append(await _redis(settings))
            found.append(await _leftovers(settings))
    except CoordinationError as error:
        found.append(_refused("servers", error))
    if settings.allowed_python:
        found.append(await _python(settings.allowed_python))
    if topology is not None:
        found.extend(await _services(topology))
    return found


def _account(settings: Settings) -> Finding:
    user = "the superuser" if os.geteuid() == 0 else f"user {os.geteuid()}"
    servers = "servers of its own" if settings.embedded else "the configured servers"
    return Finding(subject="home", well=True, detail=f"{settings.home}, as {user}, on {servers}")


async def _postgres(settings: Settings) -> Finding:
    assert settings.postgres_url is not None, "given, or that of the embedded server"
    try:
        await migrate(settings.postgres_url)
        async with open_pool(settings.postgres_url) as pool:
            health = await look_at(pool, SystemClock().now())
    except CoordinationError as error:
        return _refused("PostgreSQL", error)
    detail = f"{health.version} as {health.role!r}, schema version {health.schema_version}"
    if abs(health.ahead) <= CLOCK_MAX:
        return Finding(subject="PostgreSQL", well=True, detail=detail)
    return Finding(
        subject="PostgreSQL",
        well=False,
        detail=f"{detail}; its clock is {format_duration(health.ahead)} ahead of ours",
        remedy="set both clocks by NTP: times in reports would not fit together",
    )


async def _redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        detail = "none: what runs is shown from PostgreSQL alone, a little later"
        return Finding(subject="Redis", well=True, detail=detail)
    try:
        wrong, remedy = await trouble(settings.redis_url)
    except CoordinationError as error:
        return _refused("Redis", error)
    if wrong:
        return Finding(subject="Redis", well=False, detail=wrong, remedy=remedy)
    return Finding(subject="Redis", well=True, detail="it answers, and all rights are there")


async def _leftovers(settings: Settings) -> Finding:
    async with open_on(settings, topology=None) as coordinator:
        swept = [*coordinator.swept, *await coordinator.undo_faults()]
    undone = sorted(f"{f.fault} on {f.service}" for one in swept for f in one.undone)
    left = {(one.execution, f.step): f for one in swept for f in one.left}
    for one in swept:
        for fault in one.undone:
            left.pop((one.execution, fault.step), None)
    damaged = [f"{one.execution}: {one.trouble}" for one in swept if one.trouble]
    if damaged:
        detail = f"these executions cannot be read, and may have left faults: {'; '.join(damaged)}"
        return Finding(subject="faults", well=False, detail=detail)
    if left:
        named = ", ".join(f"{f.fault} on {f.service} ({f.reason})" for f in left.values())
        remedy = "mend what is in the way and run `tcoord undo`"
        return Finding(subject="faults", well=False, detail=f"not undone: {named}", remedy=remedy)
    detail = f"undone just now: {', '.join(undone)}" if undone else "nothing is left in force"
    return Finding(subject="faults", well=True, detail=detail)


async def _python(allowed: Sequence[str]) -> Finding:
    lost = missing(allowed)
    if lost:
        return Finding(
            subject="Python",
            well=False,
            detail=f"scenarios may call {', '.join(allowed)}, and {', '.join(lost)} is not found",
            remedy="install it beside this program, or name its folder in PYTHONPATH",
        )
    try:
        took = await start_time()
    except CoordinationError as error:
        return _refused("Python", error)
    detail = f"scenarios may call {', '.join(allowed)}; a process for it takes"
    return Finding(subject="Python", well=True, detail=f"{detail} {format_duration(took)}")


async def _services(topology: Topology) -> Sequence[Finding]:
    services = ProcessServices()
    found = []
    for service in topology.in_order():
        state = await services.observe(services.locate(topology, service.name))
        detail = f"healthy, pid {state.pid}" if state.healthy else f"{state.status} {state.detail}"
        found.append(
            Finding(
                subject=service.name,
                well=state.healthy,
                detail=detail.strip(),
                remedy="" if state.healthy else "run `tcoord services start`",
            )
        )
    return found


def _refused(subject: str, error: CoordinationError) -> Finding:
    return Finding(subject=subject, well=False, detail=f"{error} [{error.code}]")
