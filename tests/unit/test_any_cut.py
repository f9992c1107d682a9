"""Whenever the worker of an execution is gone: another one carries it on, honestly, to its end."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Final

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from support.engine_any import plans
from support.engine_cuts import Life, errors
from support.engine_fakes import Hang, Kit, Trouble, failed, shows
from support.engine_plans import (
    GOOD,
    act,
    after,
    before,
    child,
    expect,
    fault,
    gate,
    look,
    plan,
    remedy,
    retry,
    rule,
    seconds,
    step,
    stop,
    wait,
    when,
)
from test_coordination.application.capabilities import ActionFailedError
from test_coordination.domain.plan import Plan, SnapshotWork
from test_coordination.domain.steps import ErrorPolicy, Mode, Otherwise
from test_coordination.domain.values import ServiceName, StepId
from test_coordination.domain.verdicts import Severity, Verdict

HELD, BROKEN, UNSURE = Verdict.HELD, Verdict.BROKEN, Verdict.INCONCLUSIVE
FAILED, STOPPED = Verdict.COULD_NOT_RUN, Verdict.STOPPED
WELL = after(expect("after.well"))
AFTER_CUT = {"after_fault": StepId("cut"), "within": seconds(10)}
SHOT = SnapshotWork(services=(ServiceName("shop"),))
RETRY = retry(3, delay_s=2)

UNHARMED: Final[Mapping[str, Plan]] = {
    "a wait": plan(wait("w", for_s=3), WELL),
    "a gate": plan(gate("g", until=GOOD, within_s=6, hold_s=2), WELL),
    "a look": plan(look("l", retry=RETRY), WELL),
    "a snapshot": plan(step("s", snapshot=SHOT), WELL),
    "an action that may be done again": plan(act("a", takes_s=3, kind="note.again"), WELL),
    "an action until it is stopped": plan(
        act("load", takes_s=0.5, every_s=1, times=None, background=True), wait("w", "load"), WELL
    ),
    "a check that comes true": plan(
        expect("e", that=GOOD, checked={"within": seconds(30), "hold": seconds(3)}), WELL
    ),
    "steps that wait for each other": plan(
        wait("a", for_s=2), wait("b", for_s=1), look("c", "a", "b", condition=when(GOOD)), WELL
    ),
    "a step whose condition is false": plan(wait("a", condition=when("1 > 2")), wait("b"), WELL),
    "copies in a queue": plan(
        wait("a"), wait("b", "a", queued=frozenset({StepId("a")})), wait("c", "b"), WELL
    ),
    "a start at the right time": plan(before(gate("start", hold_s=2)), wait("w", "start"), WELL),
}
"""Plans of which nothing can be lost."""

HARMED: Final[Mapping[str, tuple[Plan, frozenset[Verdict]]]] = {
    "an action": (plan(act("pay", takes_s=2), WELL), frozenset({HELD, UNSURE})),
    "an action that is ignored": (
        plan(act("pay", takes_s=2, on_error=ErrorPolicy.IGNORE), WELL),
        frozenset({HELD}),
    ),
    "some actions": (
        plan(act("pay", takes_s=0.5, every_s=1, times=3), WELL),
        frozenset({HELD, UNSURE}),
    ),
    "a fault": (plan(fault("cut", hold_s=2), WELL), frozenset({HELD, FAILED})),
    "a fault that fails and others go on": (
        plan(fault("cut", on_error=ErrorPolicy.CONTINUE), expect("e", "cut", checked=AFTER_CUT)),
        frozenset({HELD, FAILED}),
    ),
    "a fault in the background": (
        plan(fault("cut", hold_s=None), wait("w", "cut"), stop("end", "w", of=["cut"]), WELL),
        frozenset({HELD, FAILED}),
    ),
    "one fault in another": (
        plan(
            fault("cut", hold_s=3),
            fault("slow", hold_s=1, service="bank", kind="switch.slow"),
            WELL,
        ),
        frozenset({HELD, FAILED}),
    ),
    "a check throughout a fault": (
        plan(
            fault("cut", hold_s=3),
            expect("e", that=GOOD, checked={"mode": Mode.ALWAYS, "during": "cut"}, beside=["cut"]),
        ),
        frozenset({HELD, FAILED, UNSURE}),
    ),
    "a check to the end": (
        plan(expect("e", that=GOOD, checked={"mode": Mode.ALWAYS}, background=True), wait("w")),
        frozenset({HELD, UNSURE}),
    ),
    "what is watched": (
        plan(
            wait("w", for_s=3),
            WELL,
            watched=(expect("c", that=GOOD, checked={"severity": Severity.CRITICAL}).expect,),
        ),
        frozenset({HELD, UNSURE}),
    ),
    "a scenario": (plan(child("in"), WELL), frozenset({HELD, FAILED})),
    "a scenario in the background": (
        plan(
            child("in", background=True, verdicts=(STOPPED, HELD)),
            wait("w", "in", for_s=1),
            stop("end", "w", of=["in"]),
        ),
        frozenset({HELD}),
    ),
    "what stops it": (
        plan(wait("w", for_s=60), WELL, stop_when=(rule("execution.elapsed > duration('3s')"),)),
        frozenset({STOPPED}),
    ),
    "its time": (
        plan(fault("cut", hold_s=60), WELL, timeout=seconds(4)),
        frozenset({STOPPED, FAILED}),
    ),
    "what is done about a failure": (
        plan(gate("g", until="1 > 2", within_s=2), remedy(act("mend", takes_s=1)), WELL),
        frozenset({FAILED}),
    ),
    "a gate that skips": (
        plan(gate("g", until="1 > 2", within_s=2, otherwise=Otherwise.SKIP), wait("w", "g"), WELL),
        frozenset({HELD}),
    ),
}


@pytest.mark.parametrize("name", UNHARMED)
def test_what_loses_nothing_by_it_ends_as_if_its_worker_had_never_been_gone(name: str) -> None:
    life = Life.of(UNHARMED[name], Kit.new())

    assert life.ended.verdict is HELD
    for number, photo in enumerate(life.photos):
        cut = life.after(photo, swept=bool(number % 2))
        cut.check()
        assert cut.ended.verdict is HELD, f"moment {number}: {cut.ended.reason}"


@pytest.mark.parametrize("name", HARMED)
def test_what_is_lost_by_it_is_told(name: str) -> None:
    planned, expected = HARMED[name]
    life = Life.of(planned, Kit.new())
    found = {life.ended.verdict}

    for number, photo in enumerate(life.photos):
        cut = life.after(photo, swept=bool(number % 2))
        cut.check()
        found.add(cut.ended.verdict)

    assert found == expected


TROUBLES: st.SearchStrategy[list[Trouble]] = st.lists(
    st.sampled_from([failed("trying"), Hang(seconds=3)]), max_size=2
)


@st.composite
def kits(draw: st.DrawFn) -> Kit:
    kit = Kit.new()
    kit.note.error = ActionFailedError(action="note", cause="refused")
    for kind in (kit.off, kit.slow):
        kind.trouble("arm", *draw(TROUBLES))
        kind.trouble("inject", *draw(TROUBLES))
    script = draw(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=6))
    kit.dial.scripts["p"] = [(2.0 * n, shows(value)) for n, value in enumerate(script)]
    return kit


@given(planned=plans(), kit=kits(), chosen=st.lists(st.integers(0, 1000), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_plan_is_carried_on_from_any_moment_and_again_from_any_other(
    planned: Plan, kit: Kit, chosen: list[int]
) -> None:
    moments = Life.of(planned, deepcopy(kit, errors(kit)), wanted=()).moments
    life = Life.of(planned, kit, wanted={number % moments for number in chosen})

    for number, photo in enumerate(life.photos):
        second = life.after(photo, swept=bool(number % 2), wanted={chosen[0] % 7})
        note(f"gone at {photo.at_s} s\n" + "\n".join(map(str, second.events)))
        second.check()
        for again in second.photos:
            third = second.after(again)
            note(f"gone again at {again.at_s} s\n" + "\n".join(map(str, third.events)))
            third.check()
