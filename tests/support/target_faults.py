"""Every fault, put together as the composition root does it."""

from __future__ import annotations

from test_coordination.adapters.faults.latency import SlowLink
from test_coordination.adapters.faults.service import (
    KillService,
    PauseService,
    RestartService,
    StopService,
)
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.machine import TimeOrderedIdentities
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.specify import links_socket
from test_coordination.application.capabilities import Fault


def fault_of(kind: str, links: LinkKeeper) -> Fault:
    services = ProcessServices()
    faults: tuple[Fault, ...] = (
        StopService(services),
        KillService(services),
        PauseService(services),
        RestartService(services),
        SlowLink(links, identities=TimeOrderedIdentities(), socket_of=links_socket),
    )
    return next(fault for fault in faults if fault.kind == kind)
