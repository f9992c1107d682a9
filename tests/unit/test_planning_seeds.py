"""Chance that can be had again."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from support.planning_lab import cel, each, mistakes, only, planned, s, story, wait
from test_coordination.application.planning import seeds
from test_coordination.domain.steps import Between

NAMES = ("a", "b", "c", "d", "e")
DRAWS = 2_000


def far_off(counts: Counter[object], kinds: int) -> float:
    """Return how far the counts are from equal ones, as a chi-square statistic."""
    expected = sum(counts.values()) / kinds
    missing = (kinds - len(counts)) * expected
    return missing + sum((count - expected) ** 2 / expected for count in counts.values())


def test_every_choice_of_two_is_as_likely_as_any_other() -> None:
    counts = Counter[object](seeds.chosen(seed, "step", NAMES, count=2) for seed in range(DRAWS))

    pairs = list(combinations(NAMES, 2))
    assert set(counts) == set(pairs)
    assert far_off(counts, len(pairs)) < 33.7  # 9 degrees of freedom: once in 10,000


def test_every_wait_is_as_likely_as_any_other() -> None:
    counts = Counter[object](
        seeds.between(seed, "step", least=s(1), most=s(1.019)) for seed in range(DRAWS)
    )

    assert min(counts) == s(1)  # type: ignore[type-var]
    assert max(counts) == s(1.019)  # type: ignore[type-var]
    assert far_off(counts, 20) < 51  # 19 degrees of freedom: once in 10,000


@given(seed=st.integers(0, seeds.SEED_MAX), order=st.permutations(NAMES), count=st.integers(0, 6))
def test_a_choice_hangs_neither_on_the_order_nor_on_who_else_might_be_chosen(
    seed: int, order: list[str], count: int
) -> None:
    chosen = seeds.chosen(seed, "step", order, count=count)
    fewer = [name for name in order if name != "c"]

    assert set(chosen) == set(seeds.chosen(seed, "step", NAMES, count=count))
    assert len(chosen) == min(count, len(NAMES))
    assert [name for name in order if name in chosen] == list(chosen)
    assert set(chosen) - {"c"} <= set(seeds.chosen(seed, "step", fewer, count=count))


@given(
    seed=st.integers(0, seeds.SEED_MAX),
    least=st.timedeltas(timedelta(0), timedelta(days=1)),
    more=st.timedeltas(timedelta(0), timedelta(days=1)),
)
def test_a_wait_is_never_shorter_or_longer_than_it_may_be(
    seed: int, least: timedelta, more: timedelta
) -> None:
    found = seeds.between(seed, "step", least=least, most=least + more)

    assert least <= found <= least + more
    assert (found - least) % timedelta(milliseconds=1) == timedelta(0)


def test_purposes_that_read_alike_when_joined_draw_differently() -> None:
    assert seeds.number(1, "ab", "c") != seeds.number(1, "a", "bc")
    assert seeds.derived(1, "a") != seeds.derived(1, "b")
    assert 0 <= seeds.derived(1, "a") <= seeds.SEED_MAX


def test_a_choice_is_the_same_in_years_to_come() -> None:
    assert seeds.chosen(7, "restart", NAMES, count=2) == ("a", "d")
    assert seeds.between(7, "pause", least=s(5), most=s(30)) == s(29.739)


def test_a_wait_left_to_chance_is_drawn_and_remembered() -> None:
    between = Between(least=s(5), most=cel("duration('30s')"))
    own = Between(least=s(5), most=s(30), seed=9)

    found = planned(wait("a", between), wait("b", own), seed=4)
    again = planned(wait("a", between), wait("b", own), seed=5)

    a, b = found.choices
    work = only(found, "a").wait
    assert work is not None
    assert s(5) <= work.duration <= s(30)
    assert only(found, "a").timeout == work.duration + s(300)
    assert (a.seed, a.candidates, len(a.chosen)) == (4, ("5s", "30s"), 1)
    assert b.seed == 9
    assert again.choices[0].chosen != a.chosen
    assert again.choices[1] == b


def test_copies_draw_each_for_themselves() -> None:
    found = planned(wait("a", Between(least=s(0), most=s(60)), for_each=each(*range(9))))

    assert len({choice.chosen for choice in found.choices}) == 9


def test_a_wait_between_the_longer_and_the_shorter_is_refused() -> None:
    scenario = story(wait("a", Between(least=s(5), most=s(4))))

    assert mistakes(scenario) == [
        (1, "value.out_of_range", "no wait is between 5s and 4s; write the shorter one first")
    ]
