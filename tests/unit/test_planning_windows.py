"""Windows of steps that were copied: which copy is meant, and what its samples are."""

from __future__ import annotations

from support.engine_lab import PROBE, Lab, document
from support.planning_lab import (
    cel,
    each,
    expect,
    fault,
    head,
    mistakes,
    only,
    planned,
    row,
    s,
    story,
    wait,
)
from support.virtual_time import virtual
from test_coordination.domain.expressions import EXPRESSION_LENGTH_MAX
from test_coordination.domain.plan import Plan
from test_coordination.domain.steps import Gate, GateStep
from test_coordination.domain.verdicts import Finding, Verdict

DURING = "probes.p.during('cut').max < 1.0"


def until(identity: str, text: str) -> GateStep:
    return GateStep(**head(identity, {}), gate=Gate(condition=cel(text), within=s(5)))


def condition(found: Plan, identity: str) -> str:
    step = only(found, identity)
    known = step.condition or (step.gate.condition if step.gate else None) or step.expect
    assert known is not None
    return known.expression


def test_windows_in_a_copied_group_are_those_of_its_own_copy() -> None:
    found = planned(
        row(
            "g",
            fault("cut"),
            expect("ok", f"{DURING} || probes.p.after(\"z\").max < 1.0 // .during('cut')"),
            wait("if", condition=cel("probes.p.before('g').count > 0 && 'cut' != each.value")),
            until("gate", "probes.p . after( \n'cut' ).count > 1"),
            for_each=each("x", "y"),
        ),
        expect("z", DURING),
    )

    assert condition(found, "ok.2") == (
        'probes.p.during("cut.2").max < 1.0 || probes.p.after("z").max < 1.0 // .during(\'cut\')'
    )
    assert condition(found, "if.1") == 'probes.p.before("g.1").count > 0 && \'cut\' != "x"'
    assert condition(found, "gate.1") == 'probes.p . after( \n"cut.1" ).count > 1'
    assert condition(found, "z") == DURING


def test_a_condition_that_becomes_too_long_by_its_window_is_a_mistake() -> None:
    long = expect("ok", DURING + " // " + "x" * (EXPRESSION_LENGTH_MAX - len(DURING) - 4))

    ((line, code, _),) = mistakes(story(row("g", fault("cut"), long, for_each=each(1))))

    assert (line, code) == (1, "expression.too_long")


@virtual
async def test_what_was_seen_during_another_copy_does_not_count() -> None:
    lab = Lab()

    ended = await lab.run(
        document(
            PROBE
            + """
steps:
  - id: each
    for_each: [1, 2]
    sequence:
      - {id: cut, fault: switch.off, target: shop, hold: 5s}
      - {id: seen, expect: 'probes.p.during("cut").count == 5', after_fault: cut}
      - {id: back, expect: 'probes.p.after("cut").last.ok', within: 5s, after_fault: cut}
  - {id: all, expect: 'probes.p.during("cut").count == 10'}
"""
        )
    )

    assert [v.finding for v in ended.validations] == [Finding.HELD] * 5
    assert ended.verdict is Verdict.HELD
