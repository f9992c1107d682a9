"""Any plan: steps of every kind, put together by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from support.engine_plans import (
    GOOD,
    act,
    after,
    child,
    expect,
    fault,
    gate,
    look,
    plan,
    remedy,
    retry,
    rule,
    stop,
    wait,
    when,
)
from test_coordination.domain.plan import Plan, PlannedRetry, PlannedStep
from test_coordination.domain.steps import ErrorPolicy, Mode, Otherwise

COUNT_MAX = 7


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A step to be made up: what it may be about, and what all kinds may have."""

    draw: st.DrawFn
    name: str
    needs: tuple[str, ...]
    faults: Sequence[str]
    running: Sequence[str]
    background: bool
    tries: PlannedRetry

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))


def a_fault(to: Asked) -> PlannedStep:
    more: dict[str, Any] = {"background": to.background, "retry": to.tries}
    return fault(to.name, *to.needs, hold_s=to.one_of(0, 1, 4), **more)


def an_endless_fault(to: Asked) -> PlannedStep:
    return fault(to.name, *to.needs, hold_s=None, kind="switch.slow", retry=to.tries)


def an_action(to: Asked) -> PlannedStep:
    more: dict[str, Any] = {"background": to.background, "retry": to.tries}
    return act(to.name, *to.needs, takes_s=2, fails=to.draw(st.booleans()), **more)


def a_load(to: Asked) -> PlannedStep:
    times = to.one_of(None, 3)
    background = times is None or to.background
    return act(to.name, *to.needs, takes_s=0.5, every_s=1, times=times, background=background)


def a_repeatable_action(to: Asked) -> PlannedStep:
    return act(to.name, *to.needs, takes_s=2, kind="note.again", retry=to.tries)


def a_wait(to: Asked) -> PlannedStep:
    return wait(to.name, *to.needs, for_s=to.one_of(0, 1, 3))


def a_gate(to: Asked) -> PlannedStep:
    return gate(to.name, *to.needs, within_s=3, hold_s=1, otherwise=to.one_of(*Otherwise))


def a_check(to: Asked) -> PlannedStep:
    return expect(to.name, *to.needs, that=GOOD, background=to.background)


def an_endless_check(to: Asked) -> PlannedStep:
    checked = {"mode": to.one_of(Mode.ALWAYS, Mode.NEVER)}
    return expect(to.name, *to.needs, that=GOOD, checked=checked, background=True)


def a_look(to: Asked) -> PlannedStep:
    return look(to.name, *to.needs, background=to.background, retry=to.tries)


def a_child(to: Asked) -> PlannedStep:
    return child(to.name, *to.needs, background=to.background, retry=to.tries)


def a_check_after(to: Asked) -> PlannedStep:
    if not to.faults:
        return a_check(to)
    about = to.one_of(*to.faults)
    return expect(to.name, *to.needs, about, that=GOOD, checked={"after_fault": about})


def a_check_during(to: Asked) -> PlannedStep:
    if not to.faults:
        return an_endless_check(to)
    about = to.one_of(*to.faults)
    checked: dict[str, object] = {"mode": Mode.ALWAYS, "during": about}
    return expect(to.name, *to.needs, that=GOOD, checked=checked, beside=[about])


def a_stop(to: Asked) -> PlannedStep:
    if not to.running:
        return a_wait(to)
    of = to.one_of(*to.running)
    return stop(to.name, *to.needs, of, of=[of])


KINDS = (
    a_fault, an_endless_fault, an_action, a_repeatable_action, a_load, a_wait, a_gate, a_check,
    an_endless_check, a_look, a_child, a_check_after, a_check_during, a_stop,
)  # fmt: skip


@st.composite
def steps(draw: st.DrawFn) -> tuple[PlannedStep, ...]:
    found: list[PlannedStep] = []
    for number in range(draw(st.integers(1, COUNT_MAX))):
        earlier = [one.id for one in found]
        asked = Asked(
            draw=draw,
            name=f"s{number}",
            needs=tuple(draw(st.lists(st.sampled_from(earlier), max_size=2))) if earlier else (),
            faults=[one.id for one in found if one.fault is not None],
            running=[one.id for one in found if one.background],
            background=draw(st.booleans()),
            tries=draw(st.sampled_from([retry(1), retry(3, delay_s=2)])),
        )
        condition = asked.one_of(None, None, None, when(GOOD), when("1 > 2"))
        made = draw(st.sampled_from(KINDS))(asked)
        found.append(replace(made, condition=condition, on_error=asked.one_of(*ErrorPolicy)))
    return tuple(found)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    main = draw(steps())
    rules = draw(st.sampled_from([(), (rule(f"!{GOOD}", hold_s=2),)]))
    steady = after(expect("after.well", *(one.id for one in main)))
    mend = remedy(act("mend", takes_s=1, fails=draw(st.booleans())))
    return plan(*main, steady, mend, stop_when=rules)
