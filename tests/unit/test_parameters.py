"""Parameters in the product's words, and mistakes in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from test_coordination.adapters.parameters import (
    Duration,
    InvalidParametersError,
    Parameters,
    Statuses,
    bounds,
    forbidden_url,
    is_among,
    parse,
    problems,
)
from test_coordination.domain.errors import Mark
from test_coordination.domain.topology import Address, Link, Service, Topology
from test_coordination.domain.values import ServiceName

NOTHING: frozenset[tuple[str | int, ...]] = frozenset()
KNOWN = "known: count, delay, expect, from, grace, headers, names, on, share, way"


class Sample(Parameters):
    delay: Annotated[Duration, bounds(above=timedelta(0), most=timedelta(minutes=1))]
    grace: Annotated[Duration, bounds(least=timedelta(seconds=1))] | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    count: int = 1
    way: Literal["up", "down"] = "up"
    on: bool = False
    names: list[str] = Field(default_factory=list)
    headers: dict[str, str] = Field(default_factory=dict)
    source: Annotated[str | None, Field(alias="from")] = None
    expect: Statuses = "200..299"

    @model_validator(mode="after")
    def _fits(self) -> Sample:
        if self.grace and self.grace < self.delay:
            raise ValueError("'grace' is shorter than 'delay'")
        return self


def texts(
    given: Mapping[str, object], unknown: frozenset[tuple[str | int, ...]] = NOTHING
) -> list[str]:
    return [problem.text for problem in problems(Sample, {"delay": "5s", **given}, unknown)]


def test_parameters_are_read_in_the_products_words() -> None:
    given = MappingProxyType({"delay": "30.5s", "names": ("a", "b"), "share": 1, "from": "engine"})

    sample = parse(Sample, given)

    assert sample.delay == timedelta(seconds=30.5)
    assert (sample.names, sample.share, sample.source) == (["a", "b"], 1.0, "engine")


def test_a_duration_may_already_be_one() -> None:
    assert parse(Sample, {"delay": timedelta(seconds=2)}).delay == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"delay": "5"}, "'delay' is '5', expected a duration such as 250ms, 5s, 2m, 1h30m or 1d"),
        ({"delay": 5}, "'delay' is 5, expected a duration such as 250ms, 5s, 2m, 1h30m or 1d"),
        ({"delay": "0s"}, "'delay' is '0s', expected more than 0s"),
        ({"delay": "1h"}, "'delay' is '1h', expected at most 1m"),
        ({"grace": "1ms"}, "'grace' is '1ms', expected at least 1s"),
        ({"share": 2}, "'share' is 2, expected at most 1"),
        ({"share": True}, "'share' is true, expected a number"),
        ({"share": float("nan")}, "'share' is nan, expected a finite number"),
        ({"count": "3"}, "'count' is '3', expected a whole number"),
        ({"count": 1.5}, "'count' is 1.5, expected a whole number"),
        ({"way": "left"}, "'way' is 'left', expected one of 'up' or 'down'"),
        ({"on": None}, "'on' is empty, expected true or false"),
        ({"names": "a"}, "'names' is 'a', expected a list"),
        ({"names": ["a", 1]}, "'names.1' is 1, expected text"),
        ({"headers": ["a"]}, "'headers' is a list, expected a map"),
        ({"from": {}}, "'from' is a map, expected text"),
        ({"form": "a"}, "no parameter is named 'form'; did you mean 'from'?"),
        ({"source": "a"}, f"no parameter is named 'source'; {KNOWN}"),
        (
            {"expect": "299..200"},
            "'expect' is '299..200', expected a status such as 200, or a range such as 200..299",
        ),
        ({"grace": "2s"}, "'grace' is shorter than 'delay'"),
        ({"count": "x" * 80}, f"'count' is {'x' * 80!r:.60}…, expected a whole number"),
    ],
)
def test_a_mistake_is_told_in_the_products_words(given: dict[str, object], text: str) -> None:
    assert texts(given) == [text]


def test_all_mistakes_are_told_with_their_paths() -> None:
    found = problems(Sample, {"names": ["a", 1], "shar": 1}, NOTHING)

    assert {problem.path for problem in found} == {("delay",), ("names", 1), ("shar",)}
    assert [problem.path for problem in found if problem.missing] == [("delay",)]


@pytest.mark.parametrize("given", [{"delay": None}, {"delay": "${{ x }}"}, {}])
def test_a_value_that_is_not_known_yet_is_no_mistake(given: dict[str, object]) -> None:
    assert problems(Sample, given, frozenset({("delay",)})) == []


def test_below_and_above_an_unknown_value() -> None:
    inside = frozenset({("headers", "a")})

    assert texts({"headers": {"a": 5}}, inside) == []
    assert texts({"headers": {"a": 5, "b": 5}}, inside) == ["'headers.b' is 5, expected text"]
    assert texts({"headers": {"a": 5}}, frozenset({("headers",)})) == []


def test_a_mistake_of_several_values_waits_until_all_are_known() -> None:
    assert texts({"grace": "2s", "count": "?"}, frozenset({("count",)})) == []


def test_values_that_turn_out_wrong_are_an_error_that_names_all() -> None:
    with pytest.raises(InvalidParametersError) as refused:
        parse(Sample, {"delay": "5s", "count": "x", "on": 1})

    assert "'count' is 'x'" in str(refused.value)
    assert "'on' is 1" in str(refused.value)


@pytest.mark.parametrize(
    ("expect", "well", "ill"), [(200, 200, 201), ("201", 201, 200), ("200..204", 204, 205)]
)
def test_statuses(expect: object, well: int, ill: int) -> None:
    sample = parse(Sample, {"delay": "1s", "expect": expect})

    assert is_among(well, sample.expect)
    assert not is_among(ill, sample.expect)


@pytest.fixture
def topology() -> Topology:
    mark = Mark("t.yaml", 1, 1)
    at = Address(host="127.0.0.1", port=8084)
    service = Service(name=ServiceName("exchange"), mark=mark, command=("x",), ports={"http": at})
    link = Link(
        name="l",
        mark=mark,
        source=ServiceName("engine"),
        target=service.name,
        listen=Address(host="127.0.0.1", port=9084),
        upstream=at,
    )
    return Topology(
        name="trading",
        file="t.yaml",
        directory="/tmp/x",
        services={service.name: service},
        links={"l": link},
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8084",
        "http://127.0.0.1:8084/health?deep=1",
        "http://localhost:8084/",
        "http://127.0.0.1:9084/orders",
    ],
)
def test_addresses_of_the_system_may_be_asked(topology: Topology, url: str) -> None:
    assert forbidden_url(topology, url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:22/",
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8084@evil.example/",
        "http://evil.example:80#@127.0.0.1:8084/",
        "http://evil.example:8084/",
        "http://127.0.0.1:8084\\@evil.example/",
        "http://127.0.0.1:8084/a b",
        "http://127.0.0.1:8084/\r\nHost: evil",
        "http://2130706433:8084/",
        "https://127.0.0.1:8084/",
        "file:///etc/passwd",
        "//127.0.0.1:8084/",
        " http://127.0.0.1:8084/",
        "http://127.0.0.1:8084/\n",
    ],
)
def test_no_other_address_may_be_asked(topology: Topology, url: str) -> None:
    assert forbidden_url(topology, url) != ""


def test_the_nearest_address_is_suggested(topology: Topology) -> None:
    text = forbidden_url(topology, "http://127.0.0.1:8085/")

    assert text.startswith("'127.0.0.1:8085' is no address of system 'trading'")
    assert "did you mean '127.0.0.1:8084'?" in text


def test_a_name_that_nothing_has_is_a_mistake_before_its_value_is_known() -> None:
    unknown = frozenset({("grase",), ("headers",)})

    found = texts({"grase": None, "headers": {"a": "b"}}, unknown)

    assert found == ["no parameter is named 'grase'; did you mean 'grace'?"]
