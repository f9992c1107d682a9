"""What looks at a condition make of a check."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.engine_lab import MARK
from support.virtual_time import at
from test_coordination.application.engine.trial import LATE, PATIENCE, Look, Trial, plain
from test_coordination.domain.expressions import Measure
from test_coordination.domain.plan import PlannedCheck
from test_coordination.domain.values import CheckId, StepId
from test_coordination.domain.verdicts import Finding, Phase

HELD, BROKEN, INCONCLUSIVE = Finding.HELD, Finding.BROKEN, Finding.INCONCLUSIVE
LATE_S, PATIENCE_S = LATE.total_seconds(), PATIENCE.total_seconds()


def trial(*looks: tuple[float, bool | None], within: float | None = None, hold: float = 0) -> Trial:
    """Return a trial that began at 0 after ``looks``."""
    check = PlannedCheck(
        id=CheckId("c"),
        expression="x < 3",
        mark=MARK,
        within=None if within is None else timedelta(seconds=within),
        hold=timedelta(seconds=hold),
    )
    made = Trial(check=check, origin=at(0))
    for moment, truth in looks:
        made = made.see(Look(at=at(moment), truth=truth, reason="x is missing" * (truth is None)))
    return made


T, F, M = True, False, None


@pytest.mark.parametrize(
    ("looks", "now", "finding"),
    [
        ([], 0, None),
        ([], PATIENCE_S, INCONCLUSIVE),
        ([(0, T)], 0, HELD),
        ([(0, F)], 0, BROKEN),
        ([(0, F), (1, T)], 1, BROKEN),
        ([(0, M)], PATIENCE_S - 0.1, None),
        ([(0, M)], PATIENCE_S, INCONCLUSIVE),
        ([(0, M), (1, T)], 1, HELD),
        ([(0, M), (1, F)], 1, BROKEN),
    ],
)
def test_a_check_without_a_time_is_decided_by_its_first_value(
    looks: list[tuple[float, bool | None]], now: float, finding: Finding | None
) -> None:
    assert trial(*looks).finding(at(now)) is finding


@pytest.mark.parametrize(
    ("looks", "now", "finding"),
    [
        ([(0, F)], 9, None),
        ([(0, F), (10, T)], 10, HELD),
        ([(0, F), (10.1, T)], 10.1, None),
        ([(0, F), (10.1, T)], 10 + LATE_S, BROKEN),
        ([(0, F), (10.1, F)], 10.1, BROKEN),
        ([(0, F), (10, F)], 10, None),
        ([(0, F), (10, F)], 10 + LATE_S, BROKEN),
        ([(0, F), (5, M)], 10 + LATE_S, INCONCLUSIVE),
        ([], 10 + LATE_S - 0.1, None),
        ([], 10 + LATE_S, INCONCLUSIVE),
        ([(0, M), (10.5, F)], 10.5, INCONCLUSIVE),
        ([(0, M), (10.5, T)], 10 + LATE_S, INCONCLUSIVE),
        ([(10.5, T)], 10 + LATE_S, INCONCLUSIVE),
    ],
)
def test_a_check_that_must_become_true_in_time_is_broken_only_if_that_was_seen(
    looks: list[tuple[float, bool | None]], now: float, finding: Finding | None
) -> None:
    assert trial(*looks, within=10).finding(at(now)) is finding


@pytest.mark.parametrize(
    ("looks", "now", "finding"),
    [
        ([(8, T), (10.9, T)], 10.9, None),
        ([(8, T), (10.9, T)], 60, None),
        ([(8, T), (11, T)], 11, HELD),
        ([(2, T), (3, F), (4, T), (7, T)], 7, HELD),
        ([(2, T), (3, F), (4, T), (5, T)], 5, None),
        ([(9, T), (11, F)], 11, BROKEN),
        ([(9, T), (11, F), (12, T), (30, T)], 30, BROKEN),
        ([(2, T), (3, M), (4, T), (6.9, T)], 6.9, None),
        ([(9, T), (10.5, M), (11, T), (14, T)], 14, INCONCLUSIVE),
        ([(9, T), (10.5, M), (11, F)], 11, BROKEN),
        ([(9, F), (11, T), (14, T)], 14, BROKEN),
    ],
)
def test_what_must_hold_counts_from_a_stretch_that_began_in_time(
    looks: list[tuple[float, bool | None]], now: float, finding: Finding | None
) -> None:
    assert trial(*looks, within=10, hold=3).finding(at(now)) is finding


def test_without_a_time_a_stretch_that_is_cut_by_a_missing_value_may_begin_again() -> None:
    cut = trial((0, T), (1, M), (2, T), (4, T), hold=3)

    assert cut.finding(at(4)) is None
    assert cut.see(Look(at=at(5), truth=True)).finding(at(5)) is HELD
    assert cut.see(Look(at=at(5), truth=False)).finding(at(5)) is BROKEN


def test_recovery_is_the_start_of_the_stretch_that_held() -> None:
    done = trial((1, T), (2, F), (4, T), (7, T), within=10, hold=3)

    found = done.validation(HELD, at(7), phase=Phase.DURING, step=StepId("s"))

    assert found.took == timedelta(seconds=4)
    assert (found.began_at, found.ended_at, found.step) == (at(0), at(7), "s")
    assert found.reason == "x < 3 within 10s for 3s"


def test_the_judgement_tells_what_was_seen_beside_what_was_expected() -> None:
    measure = Measure(observed=timedelta(seconds=4), relation="<", limit=timedelta(seconds=3))
    seen = trial(within=1).see(Look(at=at(2), truth=False, measure=measure))

    found = seen.validation(BROKEN, at(2), phase=Phase.DURING, step=None)

    assert (found.observed, found.relation, found.limit) == ("4s", "<", "3s")
    assert found.margin == -1
    assert found.took is None
    assert found.reason == "observed 4s, expected < 3s within 1s, which was not the case"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (trial(), "nothing was sampled in time, so it could not be judged"),
        (trial(within=2), "nothing was sampled within 2s, so it could not be judged"),
        (trial((3, T), within=2), "nothing was sampled within 2s, so it could not be judged"),
        (trial((0, M)), "x is missing, so it could not be judged"),
    ],
)
def test_what_could_not_be_judged_says_why(made: Trial, reason: str) -> None:
    assert made.validation(INCONCLUSIVE, at(9), phase=Phase.DURING, step=None).reason == reason


def test_a_missing_value_without_a_reason_is_called_that() -> None:
    made = trial().see(
        Look(at=at(0), truth=None, measure=Measure(observed=None, relation="<", limit=3))
    )

    found = made.validation(INCONCLUSIVE, at(9), phase=Phase.DURING, step=None)

    assert found.reason == "a value was missing, so it could not be judged"


def test_what_a_log_cannot_carry_is_told_as_text() -> None:
    assert [plain(value) for value in (None, 1, True, "a", timedelta(seconds=1), (1, 2))] == [
        None, 1, True, "a", "1s", "[1, 2]",
    ]  # fmt: skip
