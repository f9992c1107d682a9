"""Whoever comes in whatever order: nothing is held twice, nobody waits for ever, all is fair."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import cycle
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from support.queue_model import Model, Wish
from test_coordination.domain.admission import choose
from test_coordination.domain.plan import Claims

SIZES = {"network": 3, "disk": 2}
SECOND = timedelta(seconds=1)


@st.composite
def claims(draw: st.DrawFn) -> Claims:
    names = draw(st.lists(st.sampled_from("abcd"), unique=True, max_size=3))
    cut = draw(st.integers(0, len(names)))
    pools = draw(st.sets(st.sampled_from(sorted(SIZES)), max_size=2))
    taken = {pool: draw(st.integers(1, SIZES[pool])) for pool in sorted(pools)}
    return Claims(exclusive=tuple(names[:cut]), shared=tuple(names[cut:]), pools=taken, sizes=SIZES)


WISHES = st.builds(
    Wish,
    by=st.sampled_from(("ann", "bob", "cat")),
    claims=claims(),
    priority=st.integers(-2, 2),
    runs=st.integers(1, 40).map(lambda seconds: timedelta(seconds=seconds)),
)
# Each turn some come, and then some time passes.
TURNS = st.lists(
    st.tuples(st.lists(WISHES, max_size=4), st.integers(0, 50)), min_size=1, max_size=20
)


@settings(max_examples=40, deadline=None)
@given(turns=TURNS)
def test_nothing_is_held_by_two_and_in_the_end_everybody_had_a_turn(
    turns: list[tuple[list[Wish], int]],
) -> None:
    model = Model()
    for wishes, seconds in turns:
        for wish in wishes:
            model.comes(wish)
        model.admit()
        model.check()
        assert model.running or not model.waiting, "where nothing is held somebody comes in"
        model.passes(timedelta(seconds=seconds))

    for _ in range(len(model.waiting) + len(model.running)):
        model.admit()
        model.check()
        model.passes(40 * SECOND)

    assert not model.waiting


@settings(max_examples=40, deadline=None)
@given(
    turns=st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.sampled_from(("ann", "bob", "cat")), st.integers(-1, 1)), max_size=9
            ),
            st.integers(0, 50),
        ),
        min_size=1,
        max_size=12,
    ),
    slots=st.integers(1, 8),
    most=st.integers(1, 3),
)
def test_it_is_no_matter_how_many_of_a_lane_are_looked_at_at_a_time(
    turns: list[tuple[list[tuple[str, int]], int]], slots: int, most: int
) -> None:
    claims = Claims(pools={"network": 1}, sizes={"network": slots})
    whole, cut = Model(), Model(most=most)
    for wishes, seconds in turns:
        for model in (whole, cut):
            for by, priority in wishes:
                model.comes(Wish(by=by, claims=claims, priority=priority, runs=9 * SECOND))
        assert [v.id for v in cut.admit()] == [v.id for v in whole.admit()]
        for model in (whole, cut):
            # Never whole half minutes, whose edges turns a microsecond apart fall on both sides of.
            model.passes(timedelta(seconds=seconds, milliseconds=7))


@settings(max_examples=30, deadline=None)
@given(wishes=st.lists(WISHES, max_size=12), seed=st.randoms(use_true_random=False))
def test_it_is_no_matter_in_which_order_the_lanes_are_told(
    wishes: list[Wish], seed: Random
) -> None:
    model = Model()
    for wish in wishes:
        model.comes(wish)
    lanes = list(model.lanes())
    shuffled = [*lanes]
    seed.shuffle(shuffled)

    chosen, again = (
        [turn.applicant.id for turn in choose(each, model.standing(), now=model.now)]
        for each in (lanes, shuffled)
    )

    assert chosen == again


@settings(max_examples=30, deadline=None)
@given(
    apart=st.integers(2, 10),
    rivals=st.lists(st.tuples(st.sampled_from("abc"), st.integers(11, 40)), min_size=5, max_size=9),
)
def test_nobody_starves_however_many_urgent_ones_keep_coming(
    apart: int, rivals: list[tuple[str, int]]
) -> None:
    model = Model()
    least = model.comes(Wish(by="ann", claims=Claims(exclusive=("a", "b", "c")), priority=-2))
    # Another comes before the last one has left, so that never all three are free by themselves.
    # Four levels of priority are above it, and each takes half a minute to be outgrown.
    wishes = cycle(
        Wish(by=by, claims=Claims(exclusive=(name,)), priority=2, runs=seconds * SECOND)
        for by, (name, seconds) in zip(cycle(("bob", "cat", "ann")), rivals, strict=False)
    )
    while least.let_in is None:
        model.comes(next(wishes))
        model.admit()
        model.passes(apart * SECOND)
        assert model.now - least.came < timedelta(minutes=10)


@settings(max_examples=40, deadline=None)
@given(
    crowds=st.dictionaries(
        st.sampled_from(("ann", "bob", "cat", "dan")), st.integers(1, 15), min_size=2
    ),
    slots=st.integers(1, 4),
    late=st.integers(0, 10),
)
def test_all_who_ask_for_the_same_get_as_many_turns_while_they_want_any(
    crowds: dict[str, int], slots: int, late: int
) -> None:
    model = Model()
    claims = Claims(pools={"network": 1}, sizes={"network": slots})
    wish = {by: Wish(by=by, claims=claims, runs=20 * SECOND) for by in crowds}
    first, *others = crowds
    for _ in range(crowds[first]):
        model.comes(wish[first])
    model.admit()
    for _ in range(late):
        model.passes(20 * SECOND)
        model.admit()
    before = Counter(visit.wish.by for visit in (*model.gone, *model.running))
    for by in others:
        for _ in range(crowds[by]):
            model.comes(wish[by])

    while len({visit.wish.by for visit in model.waiting}) == len(crowds):
        model.passes(5 * SECOND)
        model.admit()
        had = Counter(visit.wish.by for visit in (*model.gone, *model.running))
        counts = [had[by] - before[by] for by in crowds]
        assert max(counts) - min(counts) <= slots + 1
