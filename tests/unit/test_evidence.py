"""Verdicts and margins."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from test_coordination.domain.evidence import margin
from test_coordination.domain.verdicts import Finding, Severity, Verdict, worst


def test_verdicts_are_ordered_from_good_to_grave() -> None:
    assert sorted(Verdict, key=lambda verdict: verdict.gravity) == [
        Verdict.HELD, Verdict.INCONCLUSIVE, Verdict.BROKEN, Verdict.STOPPED,
        Verdict.COULD_NOT_RUN, Verdict.RESIDUE,
    ]  # fmt: skip


def test_where_nothing_was_judged_nothing_is_known() -> None:
    assert Verdict.gravest([]) is Verdict.INCONCLUSIVE
    assert worst([(Finding.BROKEN, Severity.INFO)]) is Verdict.INCONCLUSIVE


JUDGED = st.lists(
    st.tuples(st.sampled_from(Finding), st.sampled_from([Severity.CRITICAL, Severity.NORMAL]))
)


@given(JUDGED)
def test_all_must_hold_and_one_that_is_broken_decides(
    found: list[tuple[Finding, Severity]],
) -> None:
    findings = {finding for finding, _ in found}

    assert (worst(found) is Verdict.HELD) == (findings == {Finding.HELD})
    assert (worst(found) is Verdict.BROKEN) == (Finding.BROKEN in findings)


@pytest.mark.parametrize(
    ("sides", "inside"),
    [
        ((3, "<", 5), 2),
        ((7, "<=", 5), -2),
        ((7, ">", 5), 2),
        ((3.5, ">=", 5), -1.5),
        ((3, "==", 5), -2),
        ((5, "==", 5), 0),
        ((5, "!=", 4), None),
        ((True, "==", True), None),
        (("a", "==", "b"), None),
        ((None, "<", 5), None),
        ((3, "<", None), None),
        ((timedelta(seconds=2), "<", timedelta(seconds=3)), 1),
    ],
)
def test_a_margin_is_how_far_inside_the_bound(
    sides: tuple[object, str, object], inside: float | None
) -> None:
    assert margin(*sides) == inside
