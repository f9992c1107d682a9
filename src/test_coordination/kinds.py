"""The faults, actions and kinds of probe that there are: whoever writes one names it here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from test_coordination.adapters.actions.http import HttpDelete, HttpGet, HttpPost
from test_coordination.adapters.actions.python import CallPython
from test_coordination.adapters.actions.service import (
    RestartService as RestartServiceNow,
)
from test_coordination.adapters.actions.service import (
    StartService as StartServiceNow,
)
from test_coordination.adapters.actions.service import (
    StopService as StopServiceNow,
)
from test_coordination.adapters.faults.latency import SlowLink
from test_coordination.adapters.faults.service import (
    KillService,
    PauseService,
    RestartService,
    StopService,
)
from test_coordination.adapters.isolation.calls import PythonCalls
from test_coordination.adapters.machine import TimeOrderedIdentities
from test_coordination.adapters.probes.http import HttpProbe
from test_coordination.adapters.probes.process import ProcessProbe
from test_coordination.adapters.probes.python import PythonProbe
from test_coordination.adapters.probes.sql import SqlProbe
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.specify import links_socket
from test_coordination.application.capabilities import (
    Action,
    Catalogue,
    Fault,
    LinkControl,
    ProbeKind,
)


class _Kind(Protocol):
    @property
    def kind(self) -> str: ...


Known = TypeVar("Known", bound=_Kind)


def catalogue(
    links: LinkControl, services: ProcessServices, python: PythonCalls | None = None
) -> Catalogue:
    """Return all that a scenario may ask for; a new fault, action or probe is a line here.

    Without ``python`` it is not known here which functions may be called, and all of them may.
    """
    functions = python or PythonCalls()
    slow = SlowLink(links, identities=TimeOrderedIdentities(), socket_of=links_socket)
    faults: list[Fault] = [
        StopService(services),
        KillService(services),
        PauseService(services),
        RestartService(services),
        slow,
    ]
    actions: list[Action] = [
        HttpGet(),
        HttpPost(),
        HttpDelete(),
        StartServiceNow(services),
        StopServiceNow(services),
        RestartServiceNow(services),
        CallPython(functions),
    ]
    probes: list[ProbeKind] = [
        HttpProbe(),
        SqlProbe(),
        ProcessProbe(services),
        PythonProbe(functions),
    ]
    return Catalogue(faults=_named(faults), actions=_named(actions), probes=_named(probes))


def _named(kinds: Iterable[Known]) -> dict[str, Known]:
    return {one.kind: one for one in kinds}
