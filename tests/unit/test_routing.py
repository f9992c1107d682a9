from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

from support.engine_fakes import Kit, Told
from support.engine_lab import topology
from support.virtual_time import ANCHOR
from test_coordination.application.capabilities import Catalogue, Probe
from test_coordination.application.fleet import Advert, Presence, Worker, taking
from test_coordination.application.routing import (
    NO_WORKER,
    lacking,
    missing,
    offered,
    required,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.plan import (
    PLAN_FORMATS,
    ActionWork,
    FaultWork,
    Plan,
    PlannedProbe,
    PlannedStep,
    ProbeWork,
    ScenarioWork,
    WaitWork,
)
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ProbeName, Receipt, ServiceName, StepId, WorkerId

MINUTE = timedelta(minutes=1)
LABEL = "; start one where --label gives it"
EMPTY = Plan(
    scenario="s",
    topology="lab",
    parameters={},
    probes=(),
    watched=(),
    steps=(),
    timeout=MINUTE,
)


def step(
    name: str,
    *,
    fault: FaultWork | None = None,
    action: ActionWork | None = None,
    probe: ProbeWork | None = None,
    scenario: ScenarioWork | None = None,
    wait: WaitWork | None = None,
) -> PlannedStep:
    return PlannedStep(
        id=StepId(name),
        timeout=MINUTE,
        fault=fault,
        action=action,
        probe=probe,
        scenario=scenario,
        wait=wait,
    )


class Leave(Told):
    """What takes leave, and has it for ``grants``."""

    repeatable = False
    undo = family = measured = unit = ""
    scalable = frozenset[str]()
    fields = MappingProxyType[str, Kind]({})

    def __init__(self, kind: str, *grants: str) -> None:
        super().__init__(kind)
        self._grants = grants

    @property
    def grants(self) -> frozenset[str]:
        return frozenset(f"python {each}" for each in self._grants)

    def needs(self, parameters: Mapping[str, object]) -> frozenset[str]:
        return frozenset({f"python {parameters['call']}"} if "call" in parameters else ())

    async def run(self, topology: Topology, parameters: Mapping[str, object]) -> Facts:
        raise NotImplementedError

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        raise NotImplementedError

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> object:
        raise NotImplementedError

    async def arm(
        self, topology: Topology, service: ServiceName, parameters: Mapping[str, object]
    ) -> Receipt:
        raise NotImplementedError

    async def inject(self, receipt: Receipt) -> Facts:
        raise NotImplementedError

    async def revert(self, receipt: Receipt) -> Facts:
        raise NotImplementedError


KNOWN = Catalogue(
    faults={kind: Leave(kind) for kind in ("switch.off", "disk.full")},
    actions={kind: Leave(kind, "shop", "acme.chaos") for kind in ("http.post", "python")},
    probes={kind: Leave(kind) for kind in ("http", "sql", "python")},
)


def a_fault(kind: str) -> PlannedStep:
    work = FaultWork(fault=kind, service=ServiceName("shop"), hold=None)
    return step(kind.replace(".", "-"), fault=work)


def test_all_that_a_plan_is_made_of_is_required_that_of_its_steps_included() -> None:
    inner = replace(EMPTY, format=2, steps=(a_fault("disk.full"),))
    plan = replace(
        EMPTY,
        probes=(
            PlannedProbe(
                name=ProbeName("p"), kind="http", parameters={}, every=MINUTE, timeout=MINUTE
            ),
        ),
        steps=(
            a_fault("switch.off"),
            step("order", action=ActionWork(action="http.post")),
            step("look", probe=ProbeWork(kind="sql", parameters={})),
            step("wait", wait=WaitWork(duration=MINUTE)),
            step("nested", scenario=ScenarioWork(scenario="other", parameters={}, plan=inner)),
        ),
    )

    assert required(plan, KNOWN, ["zone=eu"]) == {
        "plan format 1",
        "plan format 2",
        "topology lab",
        "probe http",
        "fault switch.off",
        "action http.post",
        "probe sql",
        "fault disk.full",
        "label zone=eu",
    }


def test_a_worker_offers_what_it_knows_reaches_and_is_called() -> None:
    known = Kit.new().catalogue()
    all_kinds = (
        {f"fault {kind}" for kind in known.faults}
        | {f"action {kind}" for kind in known.actions}
        | {f"probe {kind}" for kind in known.probes}
    )
    formats = {f"plan format {number}" for number in PLAN_FORMATS}

    assert offered(known, topology(), ["zone=eu"], formats=(1, 2)) == all_kinds | {
        "topology lab",
        "label zone=eu",
        "plan format 1",
        "plan format 2",
    }
    assert offered(known, None) == all_kinds | formats
    assert required(EMPTY, known) <= offered(known, topology())


def test_what_may_be_called_is_required_and_offered_by_name() -> None:
    called = {"call": "shop.checks"}
    look = PlannedProbe(
        name=ProbeName("p"), kind="python", parameters=called, every=MINUTE, timeout=MINUTE
    )
    inner = replace(
        EMPTY, steps=(step("look", probe=ProbeWork(kind="python", parameters={"call": "acme"})),)
    )
    plan = replace(
        EMPTY,
        probes=(look,),
        steps=(
            step("do", action=ActionWork(action="python", parameters={"call": "other"})),
            step("nested", scenario=ScenarioWork(scenario="other", parameters={}, plan=inner)),
        ),
    )

    needed = {word for word in required(plan, KNOWN) if word.startswith("python ")}

    assert needed == {"python shop.checks", "python acme", "python other"}
    assert offered(KNOWN, None) >= {"python shop", "python acme.chaos"}
    assert missing(needed, offered(KNOWN, None)) == {"python acme", "python other"}


def test_a_package_is_offered_with_all_that_is_in_it_and_nothing_beside() -> None:
    wanted = frozenset({"python shop.checks.orders", "probe python", "label a.b"})
    others = frozenset({"probe python", "label a.b"})

    assert missing(wanted, others | {"python shop"}) == frozenset()
    assert missing(wanted, others | {"python shop.checks.orders"}) == frozenset()
    assert missing(wanted, others | {"python *"}) == frozenset()
    assert missing(wanted, others | {"python shop.check"}) == {"python shop.checks.orders"}
    assert missing(wanted, others | {"python sho"}) == {"python shop.checks.orders"}
    assert missing(frozenset({"label a.b"}), frozenset({"label a", "python *"})) == {"label a.b"}


def test_what_is_lacking_is_told_with_what_to_do() -> None:
    one, other = frozenset({"python shop", "topology t"}), frozenset({"label zone=eu"})
    wanted = frozenset({"python acme", "topology t"})

    assert lacking(wanted, [one]) == (
        "no worker at work has python acme; start one where TCOORD_ALLOWED_PYTHON names it"
    )
    assert lacking(frozenset({"python shop.a", "label zone=eu"}), [one, other]) == (
        "no worker at work has all that it requires; the nearest lacks label zone=eu; "
        "start one where --label gives it"
    )


def test_what_no_worker_has_is_told_by_the_nearest_one() -> None:
    wanted = frozenset({"fault a", "fault b", "label zone=eu"})
    far = frozenset({"fault a"})
    near = frozenset({"fault a", "fault b"})

    assert lacking(wanted, []) == NO_WORKER
    assert lacking(wanted, [far, near]) == f"no worker at work has label zone=eu{LABEL}"
    assert lacking(wanted, [far]) == f"no worker at work has fault b and label zone=eu{LABEL}"
    assert lacking(wanted, [far, wanted | {"fault c"}]) == ""


def test_what_only_different_workers_have_is_told_as_such() -> None:
    wanted = frozenset({"fault a", "label zone=eu"})

    told = lacking(wanted, [frozenset({"fault a"}), frozenset({"label zone=eu"})])

    assert told == ("no worker at work has all that it requires; the nearest lacks fault a")


def test_of_those_present_only_some_take_what_others_ordered() -> None:
    worker = Worker(id=WorkerId(UUID(int=1)), host="m/1", pid=1, born="1")
    serving = Advert(program="1", offers=frozenset({"fault a"}))

    def present(advert: Advert, *, silent: bool = False) -> Presence:
        return Presence(worker=worker, advert=advert, began_at=ANCHOR, silent=silent)

    assert taking(
        [
            present(serving),
            present(serving, silent=True),
            present(replace(serving, draining=True)),
            present(replace(serving, offers=None)),
        ]
    ) == [frozenset({"fault a"})]
