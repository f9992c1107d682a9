"""Who is let in next, and who stands in whose way."""

from __future__ import annotations

from datetime import timedelta

from support.queue_model import START, Model, Wish
from test_coordination.domain.admission import (
    PRIORITY_MAX,
    choose,
    claimed,
)
from test_coordination.domain.plan import Claims

SECOND = timedelta(seconds=1)
SHOP = Claims(exclusive=("shop",))
POOL = Claims(pools={"network": 1}, sizes={"network": 3})


def test_what_is_claimed_is_listed_always_in_the_same_order() -> None:
    one = Claims(exclusive=("b", "a"), shared=("d", "c"), pools={"y": 2, "x": 1}, sizes={"y": 4})
    other = Claims(exclusive=("a", "b"), shared=("c", "d"), pools={"x": 1, "y": 2}, sizes={"y": 4})

    found = claimed(one, system="s")

    assert found == claimed(other, system="s")
    assert [(c.kind.value, c.name, c.slots, c.size) for c in found] == [
        ("exclusive", "a", 1, 1),
        ("exclusive", "b", 1, 1),
        ("shared", "c", 1, 1),
        ("shared", "d", 1, 1),
        ("pool", "x", 1, 1),
        ("pool", "y", 2, 4),
    ]


def test_a_pool_whose_size_nobody_told_is_as_large_as_what_is_taken_of_it() -> None:
    (claim,) = claimed(Claims(pools={"network": 7}), system="s")

    assert claim.size == 7


def test_priority_grows_by_one_for_each_half_minute_of_waiting() -> None:
    model = Model()
    model.comes(Wish(by="cat", claims=SHOP, runs=89 * SECOND))
    model.admit()
    low = model.comes(Wish(by="ann", claims=SHOP))
    model.passes(30 * SECOND)
    model.comes(Wish(by="bob", claims=SHOP, priority=2))
    model.passes(59 * SECOND)
    assert model.admit()[0].wish.by == "bob", "two levels above, and ann waited for 89 s"

    model = Model()
    model.comes(Wish(by="cat", claims=SHOP, runs=90 * SECOND))
    model.admit()
    low = model.comes(Wish(by="ann", claims=SHOP))
    model.passes(31 * SECOND)
    model.comes(Wish(by="bob", claims=SHOP, priority=2))
    model.passes(59 * SECOND)
    assert model.admit() == [low], "three levels up by now, and bob but one"


def test_who_has_fewer_running_comes_first_whoever_had_the_last_turn() -> None:
    model = Model()
    model.comes(Wish(by="ann", claims=POOL, runs=100 * SECOND))
    model.comes(Wish(by="ann", claims=POOL, runs=100 * SECOND))
    model.admit()
    model.passes(SECOND)
    model.comes(Wish(by="bob", claims=POOL, runs=SECOND))
    model.admit()
    model.passes(SECOND)
    model.comes(Wish(by="ann", claims=POOL))
    model.comes(Wish(by="bob", claims=POOL))

    assert [visit.wish.by for visit in model.admit()] == ["bob"]


def test_no_priority_is_so_high_that_waiting_could_not_make_up_for_it() -> None:
    model = Model()
    model.comes(Wish(by="ann", claims=SHOP, priority=PRIORITY_MAX))
    model.comes(Wish(by="bob", claims=SHOP, priority=10**12))
    model.comes(Wish(by="cat", claims=SHOP, priority=-(10**12)))
    model.comes(Wish(by="dan", claims=SHOP, priority=-PRIORITY_MAX))

    assert [place.turn.lane.requested_by for place in model.line()] == ["ann", "bob", "cat", "dan"]


def test_a_clock_that_was_set_back_makes_nobody_less_urgent() -> None:
    model = Model()
    late = model.comes(Wish(by="ann", claims=SHOP))
    model.now -= timedelta(hours=1)
    model.comes(Wish(by="bob", claims=SHOP, priority=-1))

    assert model.admit() == [late]


def test_what_is_kept_for_one_that_waits_is_given_to_nobody_behind_it() -> None:
    model = Model()
    model.comes(Wish(by="ann", claims=SHOP, runs=10 * SECOND))
    model.admit()
    both = model.comes(Wish(by="bob", claims=Claims(exclusive=("shop", "bank"))))
    model.comes(Wish(by="cat", claims=Claims(shared=("bank",))))

    assert model.admit() == []
    model.passes(10 * SECOND)
    assert model.admit() == [both]


def test_ten_thousand_that_want_ten_thousand_things_are_ranked_at_once() -> None:
    model = Model()
    for number in range(10_000):
        model.comes(Wish(by=f"user {number % 7}", claims=Claims(exclusive=(f"thing {number}",))))

    turns = choose(model.lanes(), model.standing(), now=START)

    assert len(turns) == 10_000
    assert [turn.lane.requested_by for turn in turns[:8]] == [
        *(f"user {number}" for number in range(7)),
        "user 0",
    ]


def seen(model: Model) -> dict[str, list[tuple[str, str, str, bool]]]:
    """Return for each that waits, by requester: what it wants, who is in the way, and how."""
    return {
        place.turn.lane.requested_by: [
            (each.claim.kind.value, each.claim.name, each.holding.scenario, each.holding.reserved)
            for each in place.obstacles
        ]
        for place in model.line()
    }


def test_everybody_who_holds_a_thing_is_in_the_way_of_one_that_wants_it_alone() -> None:
    model = Model()
    for by in ("ann", "bob"):
        model.comes(Wish(by=by, claims=Claims(shared=("shop",))))
    model.admit()
    model.comes(Wish(by="cat", claims=Claims(exclusive=("bank", "shop"))))
    model.comes(Wish(by="dan", claims=Claims(shared=("shop",))))
    model.comes(Wish(by="eve", claims=Claims(shared=("bank",))))
    model.comes(Wish(by="fay", claims=Claims(shared=("cafe",))))

    assert seen(model) == {
        "cat": [("exclusive", "shop", "ann", False), ("exclusive", "shop", "bob", False)],
        "dan": [("shared", "shop", "cat", True)],
        "eve": [("shared", "bank", "cat", True)],
        "fay": [],
    }


def test_the_first_of_those_that_wait_in_front_is_named_and_not_each_of_them() -> None:
    model = Model()
    model.comes(Wish(by="ann", claims=SHOP))
    model.comes(Wish(by="bob", claims=SHOP))
    model.comes(Wish(by="cat", claims=Claims(shared=("bank",))))
    model.comes(Wish(by="dan", claims=Claims(exclusive=("bank",))))
    model.comes(Wish(by="eve", claims=SHOP))

    assert seen(model) == {
        "ann": [],
        "bob": [("exclusive", "shop", "ann", True)],
        "cat": [],
        "dan": [("exclusive", "bank", "cat", True)],
        "eve": [("exclusive", "shop", "ann", True)],
    }


def test_those_who_have_slots_are_in_the_way_only_where_too_few_are_left() -> None:
    model = Model()
    for by in ("ann", "bob"):
        model.comes(Wish(by=by, claims=POOL))
    model.admit()
    two = Claims(pools={"network": 2}, sizes={"network": 3})
    model.comes(Wish(by="cat", claims=two))
    model.comes(Wish(by="dan", claims=POOL))

    assert seen(model) == {
        "cat": [("pool", "network", "ann", False), ("pool", "network", "bob", False)],
        "dan": [("pool", "network", "cat", True)],
    }


def test_a_slot_that_is_free_is_in_nobodys_way() -> None:
    model = Model()
    model.comes(Wish(by="ann", claims=POOL))
    model.admit()
    model.comes(Wish(by="bob", claims=POOL))

    assert seen(model) == {"bob": []}


def test_places_are_counted_in_the_order_in_which_those_that_wait_would_come_in() -> None:
    model = Model()
    for by in ("ann", "ann", "ann", "bob"):
        model.comes(Wish(by=by, claims=SHOP))

    line = model.line()

    assert [(place.number, place.turn.lane.requested_by) for place in line] == [
        (1, "ann"),
        (2, "bob"),
        (3, "ann"),
        (4, "ann"),
    ]
    assert [place.turn.index for place in line] == [0, 0, 1, 2]
