"""How the command line lays things out, and what it writes for others to fill in."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from test_coordination.application.suites import PlannedEntry, PlannedSuite
from test_coordination.domain.errors import Mark, Problem
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.values import StepId, Value
from test_coordination.interfaces.cli.drafting import fitting_name, scalar
from test_coordination.interfaces.cli.layout import cut, fold, listed, short
from test_coordination.interfaces.cli.planning import taken
from test_coordination.interfaces.cli.problems import Gravity, Remark
from test_coordination.interfaces.cli.wording import bounds, literal, readable, type_name

HERE = Mark("a.yaml", 1, 1)


def parameter(kind: ParameterType, **facts: object) -> Parameter:
    return Parameter(name="p", type=kind, mark=HERE, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0s"),
        (0.004, "4ms"),
        (0.3, "0.3s"),
        (2.46, "2.5s"),
        (10.4, "10s"),
        (59.6, "1m"),
        (125, "2m05s"),
        (3600, "1h"),
        (5400, "1h30m"),
    ],
)
def test_times_are_short(seconds: float, told: str) -> None:
    assert short(timedelta(seconds=seconds)) == told


def test_what_is_too_long_loses_its_middle() -> None:
    assert cut("exchange", 8, "…") == "exchange"
    assert cut("exchange-restart", 8, "…") == "exch…art"
    assert len(cut("exchange-restart", 9, "…")) == 9


def test_names_stand_in_a_row() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"], "or") == "a, b or c"


def test_folding_keeps_to_the_columns_and_breaks_no_name() -> None:
    text = fold("one service-restart two three", columns=16, first="  ", later="    ")

    assert text == "  one\n    service-restart\n    two three"


@pytest.mark.parametrize(
    ("kind", "facts", "told"),
    [
        (
            ParameterType.INTEGER,
            {"minimum": 1, "maximum": 9, "unit": "orders/s"},
            "1 to 9 orders/s",
        ),
        (ParameterType.DURATION, {"minimum": timedelta(seconds=1)}, "at least 1s"),
        (ParameterType.BYTES, {"maximum": 64 * 1024**2}, "at most 64MiB"),
        (ParameterType.ENUM, {"values": ("a", "b")}, "one of a, b"),
        (ParameterType.STRING, {"pattern": "[a-z]+"}, "like [a-z]+"),
        (ParameterType.BOOLEAN, {}, ""),
    ],
)
def test_bounds_are_told_in_words(kind: ParameterType, facts: dict[str, object], told: str) -> None:
    assert bounds(parameter(kind, **facts)) == told


@pytest.mark.parametrize(
    ("kind", "items", "value", "told"),
    [
        (ParameterType.DURATION, None, timedelta(seconds=90), "1m30s"),
        (ParameterType.BOOLEAN, None, True, "true"),
        (ParameterType.PERCENT, None, 50.0, "50%"),
        (ParameterType.BYTES, None, 2048, "2KiB"),
        (ParameterType.NUMBER, None, 3.0, "3"),
        (ParameterType.LIST, ParameterType.DURATION, (timedelta(seconds=1),), "[1s]"),
        (ParameterType.STRING, None, "a: b", '"a: b"'),
        (ParameterType.LIST, ParameterType.STRING, ("a", "no"), '["a", "no"]'),
    ],
)
def test_defaults_are_written_as_yaml(
    kind: ParameterType, *, items: ParameterType | None, value: Value, told: str
) -> None:
    one = parameter(kind, items=items)

    assert literal(value, one) == told
    assert readable(value, one).strip("[]") in told.replace('"', "")


def test_a_list_s_type_says_of_what() -> None:
    kind = parameter(ParameterType.LIST, items=ParameterType.SERVICE)

    assert type_name(kind) == "list<service>"


@pytest.mark.parametrize(
    ("file", "beside", "name"),
    [
        ("restart.yaml", "", "restart"),
        ("My Great_Test.v2.yaml", "", "my-great-test"),
        ("2nd-try.yaml", "", "nd-try"),
        ("42.yaml", "", "scenario"),
        ("gone.yaml", "gone", "my-gone"),
    ],
)
def test_a_file_s_name_becomes_that_of_a_scenario(file: str, beside: str, name: str) -> None:
    assert fitting_name(Path("folder", file), beside=beside) == name


@pytest.mark.parametrize(
    ("text", "written"),
    [("plain words", "plain words"), ("null", '"null"'), ("a: b", '"a: b"'), ("No", '"No"')],
)
def test_a_text_stays_a_text_in_yaml(text: str, written: str) -> None:
    assert scalar(text) == written


def test_an_annotation_escapes_what_would_end_it() -> None:
    problem = Problem(mark=Mark("a,b:c.yaml", 2, 3), code="x.y", text="100 %\nno")

    said = Remark(problem=problem, gravity=Gravity.WARNING).as_annotation()

    expected = "::warning file=a%2Cb%3Ac.yaml,line=2,col=3,title=x.y::100 %25%0Ano"
    assert said == expected


@pytest.mark.parametrize(
    ("concurrency", "needs", "whole_s"),
    [
        (1, {}, 6),
        (2, {}, 4),
        (3, {}, 3),
        (3, {"c": {"a"}}, 4),
        (3, {"b": {"a"}, "c": {"b"}}, 6),
    ],
)
def test_a_suite_takes_as_long_as_its_entries_may_run_at_once(
    concurrency: int, needs: dict[str, set[str]], whole_s: int
) -> None:
    lengths = {StepId(name): timedelta(seconds=at) for at, name in enumerate("abc", start=1)}
    entries = tuple(
        PlannedEntry(
            id=name,
            scenario=None,  # type: ignore[arg-type]  # what it runs does not count here
            parameters={},
            needs=frozenset(map(StepId, needs.get(name, ()))),
        )
        for name in lengths
    )
    plan = PlannedSuite(name="s", entries=entries, concurrency=concurrency, stop_on=())

    assert taken(plan, lengths) == timedelta(seconds=whole_s)
