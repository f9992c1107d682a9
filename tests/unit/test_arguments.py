"""What somebody gave, bound to what a scenario declares."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from support.engine_lab import MARK
from test_coordination.domain.arguments import bind, read_as
from test_coordination.domain.errors import InvalidDocumentError, Mark
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.values import Value

SERVICES = frozenset({"shop", "bank"})
T = ParameterType


def bound(given: Mapping[str, object], *declared: Parameter) -> Mapping[str, Value]:
    return bind(declared, given, mark=MARK, services=SERVICES)


def refusals(given: Mapping[str, object], *declared: Parameter) -> list[str]:
    with pytest.raises(InvalidDocumentError) as refused:
        bound(given, *declared)
    return [problem.text for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("kind", "found", "value"),
    [
        (T.INTEGER, "-12", -12),
        (T.INTEGER, 12, 12),
        (T.NUMBER, "1.5", 1.5),
        (T.NUMBER, 2, 2.0),
        (T.NUMBER, "2e3", 2000.0),
        (T.NUMBER, 2.5, 2.5),
        (T.PERCENT, "50%", 50.0),
        (T.PERCENT, 50, 50.0),
        (T.PERCENT, "50", 50.0),
        (T.BOOLEAN, "true", True),
        (T.BOOLEAN, False, False),
        (T.DURATION, "5s", timedelta(seconds=5)),
        (T.DURATION, timedelta(seconds=5), timedelta(seconds=5)),
        (T.STRING, "text", "text"),
        (T.SERVICE, "shop", "shop"),
        (T.ENUM, "small", "small"),
        (T.INTEGER, str(2**63 - 1), 2**63 - 1),
    ],
)
def test_a_text_is_read_as_the_type_that_is_declared(
    kind: ParameterType, found: object, value: Value
) -> None:
    assert read_as(kind, found) == value
    assert type(read_as(kind, found)) is type(value)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (T.INTEGER, "1.5"),
        (T.INTEGER, "9" * 19),
        (T.INTEGER, 1.5),
        (T.INTEGER, True),
        (T.INTEGER, 2**63),
        (T.PERCENT, "150%"),
        (T.PERCENT, 101),
        (T.PERCENT, "-1%"),
        (T.ENUM, 3),
        (T.NUMBER, " 5 "),
        (T.NUMBER, "1_0"),
        (T.NUMBER, "much"),
        (T.NUMBER, "50%"),
        (T.NUMBER, "nan"),
        (T.NUMBER, float("inf")),
        (T.NUMBER, 10**400),
        (T.NUMBER, [1]),
        (T.BOOLEAN, "yes"),
        (T.BOOLEAN, 1),
        (T.DURATION, "5"),
        (T.DURATION, 5),
        (T.STRING, 5),
        (T.STRING, True),
        (T.ENUM, ["small"]),
    ],
)
def test_what_is_of_another_type_is_nothing(kind: ParameterType, found: object) -> None:
    assert read_as(kind, found) is None


def test_what_is_given_comes_before_the_default_and_what_is_optional_may_be_missing() -> None:
    declared = (
        Parameter(name="a", type=T.INTEGER, mark=MARK, default=1),
        Parameter(name="b", type=T.INTEGER, mark=MARK, default=1),
        Parameter(name="c", type=T.STRING, mark=MARK),
    )

    assert bound({"b": "2"}, *declared) == {"a": 1, "b": 2, "c": None}


def test_all_that_is_wrong_is_said_at_once_at_the_place_of_the_declaration() -> None:
    place = Mark("s.yaml", 7, 3)
    declared = (
        Parameter(name="rate", type=T.INTEGER, mark=place, minimum=1, maximum=10),
        Parameter(name="target", type=T.SERVICE, mark=MARK, required=True),
    )

    with pytest.raises(InvalidDocumentError) as refused:
        bound({"rat": 1, "rate": 11}, *declared)

    assert [(p.mark, p.code) for p in refused.value.problems] == [
        (MARK, "parameter.unknown"), (place, "parameter.invalid"), (MARK, "parameter.invalid"),
    ]  # fmt: skip
    assert [p.text for p in refused.value.problems] == [
        "no parameter is named 'rat'; did you mean 'rate'?",
        "parameter 'rate' is 11; expected at most 10",
        "parameter 'target' is required: give it a value",
    ]


@pytest.mark.parametrize(
    ("declared", "given", "said"),
    [
        (Parameter(name="p", type=T.INTEGER, mark=MARK), "x", "'x'; expected a whole number"),
        (
            Parameter(name="p", type=T.ENUM, mark=MARK, values=("small", "large")),
            "big",
            "'big'; expected one of small, large",
        ),
        (
            Parameter(name="p", type=T.STRING, mark=MARK, pattern="[a-z]+"),
            "ab1",
            "'ab1'; expected text that matches [a-z]+",
        ),
        (
            Parameter(name="p", type=T.DURATION, mark=MARK, minimum=timedelta(seconds=1)),
            timedelta(milliseconds=5),
            "'5ms'; expected at least 1s",
        ),
        (Parameter(name="p", type=T.NUMBER, mark=MARK, maximum=1.5), 2, "2; expected at most 1.5"),
    ],
)
def test_a_value_out_of_bounds_is_told_with_what_was_expected(
    declared: Parameter, given: object, said: str
) -> None:
    assert refusals({"p": given}, declared) == [f"parameter 'p' is {said}"]


def test_bounds_are_part_of_what_is_allowed() -> None:
    declared = Parameter(
        name="p", type=T.NUMBER, mark=MARK, minimum=1, maximum=2, values=(), pattern=None
    )

    assert [bound({"p": n}, declared)["p"] for n in (1, 2)] == [1, 2]


def test_a_service_that_is_not_there_is_refused_with_the_nearest_one() -> None:
    declared = Parameter(name="p", type=T.SERVICE, mark=MARK)

    assert refusals({"p": "shp"}, declared) == [
        "parameter 'p': no service is named 'shp'; did you mean 'shop'?"
    ]
    assert bound({"p": "bank"}, declared) == {"p": "bank"}


def test_a_bound_of_another_type_bounds_nothing() -> None:
    declared = Parameter(name="p", type=T.STRING, mark=MARK, minimum=1, maximum=2)

    assert bound({"p": "text"}, declared) == {"p": "text"}


def test_a_list_is_given_whole_or_with_commas_and_each_item_keeps_the_bounds() -> None:
    many = Parameter(name="n", type=T.LIST, items=T.INTEGER, mark=MARK, minimum=1, maximum=9)
    where = Parameter(name="at", type=T.LIST, items=T.SERVICE, mark=MARK)

    assert bound({"n": "1,2", "at": ["shop"]}, many, where) == {"n": (1, 2), "at": ("shop",)}
    assert refusals({"n": "1,two"}, many) == [
        "parameter 'n' is '1,two'; expected a list of at most 1000, each a whole number"
    ]
    assert refusals({"n": [1, 12]}, many) == ["parameter 'n' is 12; expected at most 9"]
    assert refusals({"at": "shop,bnk"}, where) == [
        "parameter 'at': no service is named 'bnk'; did you mean 'bank'?"
    ]


def test_what_is_given_for_a_secret_is_never_repeated() -> None:
    token = Parameter(name="token", type=T.SECRET, mark=MARK, required=True)

    assert bound({"token": "env:TOKEN"}, token) == {"token": "env:TOKEN"}
    (said,) = refusals({"token": "s3cr3t-canary"}, token)
    assert "canary" not in said
