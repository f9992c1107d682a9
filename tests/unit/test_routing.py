from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from support.engine_fakes import Kit
from support.engine_lab import topology
from support.virtual_time import ANCHOR
from test_coordination.application.fleet import Advert, Presence, Worker, taking
from test_coordination.application.routing import NO_WORKER, lacking, offered, required
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
from test_coordination.domain.values import ProbeName, ServiceName, StepId, WorkerId

MINUTE = timedelta(minutes=1)
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

    assert required(plan, ["zone=eu"]) == {
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
    assert required(EMPTY) <= offered(known, topology())


def test_what_no_worker_has_is_told_by_the_nearest_one() -> None:
    wanted = frozenset({"fault a", "fault b", "label zone=eu"})
    far = frozenset({"fault a"})
    near = frozenset({"fault a", "fault b"})

    assert lacking(wanted, []) == NO_WORKER
    assert lacking(wanted, [far, near]) == "no worker at work has label zone=eu"
    assert lacking(wanted, [far]) == "no worker at work has fault b and label zone=eu"
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
