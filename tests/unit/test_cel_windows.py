"""Windows of a probe's samples in expressions: what they are called, and how mistakes are told."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cel_corpus import HERE, LANGUAGE, SEEN, WORLD, compiled
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import (
    Expression,
    ExpressionFailedError,
    InvalidExpressionError,
    Kind,
    Measure,
    MissingValueError,
    Names,
)

P: Final = "probes.latency"


def test_a_window_goes_by_a_name_of_its_own() -> None:
    text = f"{P}.during('restart-now').p95_ms < 2.0 * {P}.before(\"load\").p95_ms && {P}.count > 1"

    assert compiled(text, names=WORLD).names == {
        "probes.latency.during(restart_now).p95_ms",
        "probes.latency.before(load).p95_ms",
        "probes.latency.count",
    }


def test_a_window_is_evaluated_by_that_name() -> None:
    program = compiled(f"{P}.during('restart-now').p95_ms", names=WORLD)

    assert program.evaluate({"probes.latency.during(restart_now).p95_ms": 7}) == 7
    with pytest.raises(MissingValueError) as missing:
        program.evaluate({"probes.latency.p95_ms": 7.0})
    assert missing.value.names == ("probes.latency.during(restart_now).p95_ms",)


def test_a_window_is_of_the_kind_of_its_figure() -> None:
    compiled(f"{P}.during('load').count", Kind.INTEGER, WORLD)
    compiled(f"{P}.during('load').p95_ms", Kind.NUMBER, WORLD)
    with pytest.raises(InvalidExpressionError, match="gives a number, but an integer"):
        compiled(f"{P}.during('load').p95_ms", Kind.INTEGER, WORLD)


def test_a_comparison_of_windows_is_measured() -> None:
    program = compiled(f"250 > {P}.during('restart-now').p95_ms", names=WORLD)

    assert program.measure(SEEN) == Measure(observed=480.0, relation="<", limit=250.0)


def test_the_same_words_in_texts_comments_and_loops_are_left_alone() -> None:
    text = f"['{P}.during(1)', 'w0', \"w1\"].exists(w2, w2 == 'w0') // {P}.durin('x')"

    assert compiled(text, names=WORLD).evaluate({}) is True


def test_a_word_that_the_text_has_already_is_not_taken_for_a_window() -> None:
    text = f"[1, 2].exists(w0, {P}.during('restart-now').count > w0 && w0 == 2)"

    assert compiled(text, names=WORLD).evaluate(SEEN) is True


def test_windows_of_several_steps_and_probes_are_kept_apart() -> None:
    names: Names = {
        **{f"probes.{probe}.count": Kind.INTEGER for probe in "ab"},
        **{f"steps.{step}.outcome": Kind.STRING for step in "xy"},
    }
    windows = [
        f"probes.{probe}.{window}({step}).count"
        for probe in "ab"
        for window in ("before", "during", "after")
        for step in "xy"
    ]
    values = {name: 2**place for place, name in enumerate(windows)}
    text = " + ".join(name.replace("(", "('").replace(")", "')") for name in windows)

    assert compiled(text, names=names).evaluate(values) == 2 ** len(windows) - 1


def test_steps_whose_ids_have_dots_have_windows_too() -> None:
    names: Names = {"probes.a.count": Kind.INTEGER, "steps.try_it.2.outcome": Kind.STRING}

    program = compiled("probes.a.during('try-it.2').count", names=names)

    assert program.names == {"probes.a.during(try_it.2).count"}


def test_of_figures_that_begin_alike_the_longest_is_meant() -> None:
    names: Names = {
        "probes.a.last": Kind.MAP,
        "probes.a.last.x": Kind.INTEGER,
        "steps.s.outcome": Kind.STRING,
    }

    assert compiled("probes.a.after('s').last.x", names=names).names == {"probes.a.after(s).last.x"}
    assert compiled("probes.a.after('s').last.y", names=names).names == {"probes.a.after(s).last"}


def test_names_with_a_dash_have_windows_too() -> None:
    names: Names = {"probes.lost-orders.last.at-all": Kind.INTEGER, "steps.x.outcome": Kind.STRING}

    program = compiled("probes.`lost-orders`.during('x').last.`at-all`", names=names)

    assert program.evaluate({"probes.lost-orders.during(x).last.at-all": 3}) == 3


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        (
            "1 < probes.latancy.during('load').count",
            12,
            "no probe is named 'latancy'; did you mean 'latency'?",
        ),
        (f"{P}.durin('load').count", 16, "no window is named 'durin'; did you mean 'during'?"),
        (f"{P}.count()", 16, "'count' is a figure, not a function; write probes.latency.count"),
        (f"{P}.last('load')", 16, "'last' is a figure, not a function; write probes.latency.last"),
        (
            f"{P}.during('restart-nwo').count",
            23,
            "no step has the id 'restart-nwo'; did you mean 'restart-now'?",
        ),
        (
            f"{P}.during('').count",
            23,
            "no step has the id ''; known: later, load, restart-now",
        ),
        (
            f"{P}.during(parameters.service).count",
            23,
            "'during' takes the id of one step, in quotes, such as during('restart')",
        ),
        (f"{P}.during(r'load').count", 23, "'during' takes the id of one step, in quotes"),
        (f"{P}.during( ).count", 24, "'during' takes the id of one step, in quotes"),
        (f"{P}.during('load', 2).count", 29, "'during' takes the id of one step, in quotes"),
        (f"{P}.during('load'", 23, "'during' takes the id of one step, in quotes"),
        (f"{P}.during(", 16, "'during' takes the id of one step, in quotes"),
        (
            f"{P}.after('load') > 3",
            16,
            "'after' selects samples; a figure of them has to follow: count, last.body,",
        ),
        (
            f"{P}.during('load').p59_ms > 3",
            31,
            "the probe 'latency' has no figure 'p59_ms'; did you mean 'p95_ms'?",
        ),
        (
            f"{P}.during('load').last.satus == 3",
            31,
            "'last' is a group of values; name one of them: last.body, last.status",
        ),
        (
            f"{P}.p95_ms.during('load') > 3",
            23,
            "the window comes before the figure: probes.latency.during('step').p95_ms",
        ),
        (
            "snapshots.before.during('load').x",
            18,
            "but 'snapshots.before' is no probe; write probes.NAME.during('step').FIGURE",
        ),
        ("[1][0].after('load')", 8, "but what stands before is no probe; write probes.NAME.after"),
        ("{'a': 1}.probes.latency.after('load')", 25, "but what stands before is no probe"),
        ("'x'.after('load')", 5, "but what stands before is no probe; write probes.NAME.after"),
        ("before('load').count", 1, "but what stands before is no probe; write probes.NAME.before"),
        (
            f"{P}.during('load').p95_ms * 2 > 3.0",
            38,
            "make both numbers fractions: probes.latency.during('load').p95_ms * 2.0",
        ),
        (f"{P}.during('load').count == 'a'", 37, "'==' does not work with an integer and a text"),
        (f"{P}.during('load').count.x", 36, "an integer has no fields"),
        (f"{P}.during('load').count > 1 && nope", 44, "no value is named 'nope'"),
        (f"{P}.during('load').last", 31, "'last' is a group of values; name one of them"),
    ],
)
def test_a_mistake_in_a_window_is_told_with_its_place(text: str, column: int, said: str) -> None:
    at, told = refused(text)

    assert at == column
    assert said in told


def refused(text: str, names: Names = WORLD) -> tuple[int, str]:
    """Return the column in the expression, and what its author reads."""
    with pytest.raises(InvalidExpressionError) as error:
        LANGUAGE.compile(Expression(text=text, mark=Mark("f", 1, 1)), names, expected=Kind.ANY)
    return error.value.problem.mark.column, error.value.problem.text


def test_places_behind_a_window_of_several_lines_are_right() -> None:
    _, told = refused(f"{P}.during(\n  'load'\n  ).count > 1 &&\n  nope")

    assert told.endswith("(line 4, column 3 of the expression)")


def test_without_probes_or_steps_it_is_told_that_there_are_none() -> None:
    only: Names = {"probes.a.count": Kind.INTEGER}

    assert "no probe is named 'a'; there are none" in refused("probes.a.during('x').n", {})[1]
    assert "no step has the id 'x'; there are none" in refused("probes.a.during('x').n", only)[1]


def test_where_any_path_below_probes_is_allowed_functions_may_be_called_on_it() -> None:
    names: Names = {"probes": Kind.MAP}

    assert compiled("probes.a.size() == 1", names=names).evaluate({"probes": {"a": (1,)}}) is True


def test_windows_of_durations_keep_their_kind() -> None:
    names: Names = {"probes.a.last.age": Kind.DURATION, "steps.x.outcome": Kind.STRING}
    program = compiled("probes.a.before('x').last.age > duration('1s')", names=names)

    assert program.evaluate({"probes.a.before(x).last.age": timedelta(seconds=2)}) is True


PIECES: Final = [
    "probes", "latency", ".", ".", "during", "after", "(", ")", "'load'", '"restart-now"', "count",
    "last", "body", "p95_ms", " ", "\n", "`", "//", "'", "has(", "[", "]", "<", "2.5", "&&", "w0",
    P, f"{P}.during('load')", ".count", "+", "abs(", "parameters.rate", ",", "😀", "-", "?", ":",
]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join))
def test_no_window_breaks_the_compiler_and_every_place_is_inside_the_text(text: str) -> None:
    if not text.strip():
        return
    try:
        program = compiled(text, names=WORLD)
    except InvalidExpressionError as error:
        column = error.problem.mark.column - HERE.column
        assert 0 <= column <= len(text)
    else:
        with suppress(MissingValueError, ExpressionFailedError):
            program.evaluate(SEEN)
        assert all("w0" not in name for name in program.names)
