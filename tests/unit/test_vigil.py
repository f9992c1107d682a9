"""What looks at a condition make of a check that must be true throughout, or never."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import nan

import pytest

from support.engine_bench import P, check
from support.virtual_time import at
from test_coordination.application.engine.observations import Gap
from test_coordination.application.engine.trial import Look
from test_coordination.application.engine.vigil import Vigil
from test_coordination.domain.expressions import Measure
from test_coordination.domain.plan import PlannedCheck
from test_coordination.domain.steps import Mode
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Finding, Phase

HELD, BROKEN, INCONCLUSIVE = Finding.HELD, Finding.BROKEN, Finding.INCONCLUSIVE
ALWAYS = check("x < 5", span=30)
NEVER = check("x > 5", Mode.NEVER, span=30)


def look(second: float, value: float | None, asked: PlannedCheck = ALWAYS) -> Look:
    """Return a look at ``x``, which is missing if ``value`` is None."""
    if value is None:
        return Look(at=at(second), truth=None, reason="x is missing")
    relation = "<" if asked.mode is Mode.ALWAYS else ">"
    truth = value < 5 if relation == "<" else value > 5
    measure = Measure(observed=value, relation=relation, limit=5)
    return Look(at=at(second), truth=truth, measure=measure)


def vigil(
    *looks: tuple[float, float | None], asked: PlannedCheck = ALWAYS, end: float | None = 30
) -> Vigil:
    made = Vigil(check=asked, origin=at(0), end=None if end is None else at(end))
    for second, value in looks:
        made = made.see(look(second, value, asked))
    return made


def told(made: Vigil) -> tuple[Finding, object, float | None, str]:
    found = made.validation(at(30), phase=Phase.DURING, step=StepId("s"))
    assert (found.began_at, found.ended_at, found.step, found.took) == (at(0), at(30), "s", None)
    return found.finding, found.observed, found.margin, found.reason


@pytest.mark.parametrize(
    ("looks", "finding"),
    [
        ([], INCONCLUSIVE),
        ([(0, 1)], HELD),
        ([(0, 1), (29.9, 9)], BROKEN),
        ([(0, 1), (30, 9)], HELD),
        ([(30, 1)], INCONCLUSIVE),
        ([(0, 1), (1, 9), (2, 1)], BROKEN),
        ([(0, 1), (1, None), (2, 1)], INCONCLUSIVE),
        ([(0, 1), (1, None), (2, 9)], BROKEN),
        ([(0, 1), (1, 9), (2, None)], BROKEN),
        ([(0, 1), (30, None)], HELD),
    ],
)
def test_one_look_inside_the_time_that_says_otherwise_breaks_it_and_a_missing_one_leaves_it_open(
    looks: list[tuple[float, float | None]], finding: Finding
) -> None:
    assert vigil(*looks).closed(None).finding() is finding


def test_never_is_the_opposite_of_always() -> None:
    assert vigil((0, 5), (1, 4), asked=NEVER).finding() is HELD
    assert vigil((0, 5), (1, 6), asked=NEVER).finding() is BROKEN


def test_what_held_tells_the_look_that_came_nearest_to_breaking_it() -> None:
    assert told(vigil((0, 1), (1, 4.5), (2, 3))) == (
        HELD, 4.5, 0.5, "observed 4.5, expected < 5 for 30s, at each of 3 looks",
    )  # fmt: skip
    assert told(vigil((0, 1), (1, 4.5), (2, 3), asked=NEVER)) == (
        HELD, 4.5, 0.5, "observed 4.5, expected <= 5 for 30s, at each of 3 looks",
    )  # fmt: skip


def test_the_look_that_broke_it_is_told_and_none_after_it() -> None:
    made = vigil((0, 1), (2.5, 7), (3, 9))

    assert told(made) == (
        BROKEN, 7, -2, "observed 7, expected < 5 for 30s, which was not the case after 2s500ms",
    )  # fmt: skip
    assert told(vigil((0, 1), (2, 7), asked=NEVER))[1:3] == (7, -2)


def test_a_look_with_a_margin_is_nearer_than_one_without() -> None:
    bare = Look(at=at(0), truth=True)
    text = Look(at=at(2), truth=True, measure=Measure(observed="a", relation="==", limit="a"))
    made = vigil().see(bare).see(look(1, 1)).see(text)

    assert told(made)[1:3] == (1, 4)
    assert told(vigil((0, 1), (1, nan), (2, 2), asked=NEVER))[1:3] == (2, 3)


def test_the_same_samples_seen_twice_are_one_look() -> None:
    assert vigil((0, 1), (0, 1), (1, 1)).looks == 2


@pytest.mark.parametrize(
    ("asked", "time"),
    [
        (ALWAYS, " for 30s"),
        (check("x < 5", during="load"), " while 'load' was under way"),
        (check("x < 5"), " to the end"),
    ],
)
def test_without_a_look_it_says_for_how_long_nothing_was_seen(
    asked: PlannedCheck, time: str
) -> None:
    assert told(vigil(asked=asked)) == (
        INCONCLUSIVE, None, None, f"nothing was sampled{time}, so it could not be judged",
    )  # fmt: skip


def test_a_condition_that_is_no_comparison_is_told_as_it_is_written() -> None:
    asked = check("a && b", Mode.NEVER, span=30)
    made = Vigil(check=asked, origin=at(0), end=at(30)).see(Look(at=at(0), truth=False))

    assert told(made)[3] == "never a && b for 30s, at each of 1 looks"


def test_the_first_value_that_was_missing_is_why_it_could_not_be_judged() -> None:
    made = vigil((0, 1), (1, None)).see(Look(at=at(2), truth=None, reason="y is missing"))

    assert told(made) == (INCONCLUSIVE, None, None, "x is missing, so it could not be judged")
    unsaid = vigil().see(Look(at=at(2), truth=None))
    assert told(unsaid)[3] == "a value was missing, so it could not be judged"


def test_a_stretch_without_a_look_leaves_it_open_unless_it_is_broken() -> None:
    gap = Gap(probe=P, start=at(7), length=timedelta(seconds=5))

    assert told(vigil((0, 1)).closed(gap)) == (
        INCONCLUSIVE, 1, 4,
        "probe 'p' did not look for 5s, from 7s on, so it could not be judged",
    )  # fmt: skip
    assert told(vigil((0, 1), (1, 9)).closed(gap))[0] is BROKEN


def test_what_was_told_to_end_before_its_time_is_left_open_unless_it_is_broken() -> None:
    cut = replace(vigil((0, 1)), early=True)

    assert told(cut.closed(None))[0] is INCONCLUSIVE
    assert told(cut.closed(None))[3].startswith("it was told to end before its time")
    assert told(cut.see(look(1, 9)).closed(None))[0] is BROKEN
