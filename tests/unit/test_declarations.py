"""Declarations of parameters: their types, what each may say, and that no secret is repeated."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from test_coordination.adapters.documents.declarations import (
    literal,
    parameter_type,
    read_parameters,
)
from test_coordination.adapters.documents.document import Document
from test_coordination.domain.errors import InvalidDocumentError, Problem
from test_coordination.domain.parameters import Parameter, ParameterType

SECRET = "hunter2-and-nobody-may-see-it"


def declared(said: str, *, kind: str = "scenario") -> Parameter:
    document = Document(
        f"{kind}: a\nparameters:\n  it: {said}\n", file="a.yaml", language="scenario"
    )
    (parameter,) = read_parameters(document, ("parameters",))
    document.settle()
    return parameter


def refused(said: str, *, kind: str = "scenario") -> tuple[Problem, ...]:
    with pytest.raises(InvalidDocumentError) as found:
        declared(said, kind=kind)
    return found.value.problems


def problems_of(document: Document) -> tuple[Problem, ...]:
    try:
        document.settle()
    except InvalidDocumentError as error:
        return error.problems
    return ()


def told(said: str, *, kind: str = "scenario") -> list[str]:
    return [f"{each.mark.column} {each.code}" for each in refused(said, kind=kind)]


@pytest.mark.parametrize(
    ("spelled", "size"), [("512", 512), ("64MiB", 64 * 1024**2), ("1GB", 10**9), ("1.5KB", 1500)]
)
def test_a_size_is_a_number_of_bytes(spelled: str, size: int) -> None:
    found = declared(f"{{type: bytes, default: {spelled}, min: 1B, max: 1GiB}}")

    assert (found.type, found.default) == (ParameterType.BYTES, size)
    assert (found.minimum, found.maximum) == (1, 1024**3)


@pytest.mark.parametrize("spelled", ["-1", "64 MiB", "1XB", "1.5", "true", "9223372036854775808"])
def test_what_is_no_size_is_refused(spelled: str) -> None:
    assert told(f"{{type: bytes, default: {spelled}}}") == ["30 scenario.wrong_type"]


def test_sizes_are_told_as_people_write_them() -> None:
    (problem,) = refused("{type: bytes, default: 64MiB, max: 1MiB}")

    assert problem.text.startswith("'default' is 64MiB, which is more than 'max' (1MiB)")


def test_a_list_holds_values_of_one_type() -> None:
    found = declared("{type: list<duration>, default: [1s, 2m], min: 1s, max: 1h}")

    assert (found.type, found.items) == (ParameterType.LIST, ParameterType.DURATION)
    assert found.default == (timedelta(seconds=1), timedelta(minutes=2))
    assert (found.minimum, found.maximum) == (timedelta(seconds=1), timedelta(hours=1))


def test_a_list_may_be_empty_and_choose_among_values_or_match_a_pattern() -> None:
    assert declared("{type: list<string>, default: []}").default == ()
    assert declared("{type: list<enum>, values: [a, b], default: [b, b]}").default == ("b", "b")
    assert declared("{type: list<service>, pattern: 'x.*', default: [x1]}").default == ("x1",)


@pytest.mark.parametrize(
    ("said", "mistakes"),
    [
        ("{type: list<integer>, max: 3, default: [1, 4, 5]}", ["50 scenario.bad_default",
                                                               "53 scenario.bad_default"]),
        ("{type: list<integer>, default: [1, x]}", ["42 scenario.wrong_type"]),
        ("{type: list<service>, default: [Exchange]}", ["39 scenario.wrong_type"]),
        ("{type: list<enum>, values: [a], default: [b]}", ["49 scenario.bad_default"]),
        ("{type: list<enum>, default: [b]}", ["7 scenario.missing_key"]),
        ("{type: list<string>, pattern: 'x', default: [y]}", ["52 scenario.bad_default"]),
        ("{type: list<string>, min: 3}", ["28 scenario.unknown_key"]),
        ("{type: list<integer>, default: 1}", ["38 scenario.wrong_type"]),
        ("{type: list<integer>, default: ['${{ 1 }}']}", ["40 scenario.bad_default"]),
        ("{type: list}", ["14 scenario.unknown_value"]),
        ("{type: list<secret>}", ["14 scenario.unknown_value"]),
        ("{type: list<list<string>>}", ["14 scenario.unknown_value"]),
        ("{type: list<>}", ["14 scenario.unknown_value"]),
        ("{type: lst<string>}", ["14 scenario.unknown_value"]),
        ("{type: [string]}", ["14 scenario.unknown_value"]),
        ("{type: }", ["8 scenario.wrong_type"]),
    ],
)  # fmt: skip
def test_what_a_list_may_not_be_is_told_at_the_item(said: str, mistakes: list[str]) -> None:
    assert told(said) == mistakes


def test_a_list_of_too_many_is_told_once() -> None:
    (problem,) = refused(f"{{type: list<integer>, default: [{', '.join(['1'] * 1001)}]}}")

    assert (
        problem.text == "'default' must be a list of at most 1000 values, not of 1001; shorten it"
    )


def test_a_secret_is_a_reference_to_where_it_is_kept() -> None:
    assert declared("{type: secret, default: 'env:TOKEN'}").default == "env:TOKEN"
    assert declared("{type: secret, default: 'file:/run/token'}").default == "file:/run/token"
    assert declared("{type: secret}").required


@pytest.mark.parametrize(
    "said",
    [
        f"{{type: secret, default: {SECRET}}}",
        f"{{type: secret, default: [{SECRET}]}}",
        f"{{type: secret, default: {{a: {SECRET}}}}}",
        f"{{type: secret, default: '${{{{ {SECRET} }}}}'}}",
        f"{{type: secret, default: 'env: {SECRET}'}}",
        f"{{type: secret, default: {SECRET}, values: [{SECRET}], pattern: '{SECRET}', min: 1}}",
        f"{{type: secrt, default: {SECRET}}}",
        f"{{default: {SECRET}}}",
        SECRET,
        f"[{SECRET}]",
    ],
)
def test_what_was_given_for_a_secret_is_never_repeated(said: str) -> None:
    assert SECRET not in "\n".join(map(str, refused(said)))


@given(st.text("abcdefghijklmnopqrstuvwxyz:-/{}$ ", min_size=12))
def test_no_text_at_all_is_repeated_as_a_secret(text: str) -> None:
    quoted = "'" + text + "'"
    document = Document(
        f"scenario: a\nparameters:\n  it: {{type: secret, default: {quoted}}}\n",
        file="a.yaml",
        language="scenario",
    )

    read_parameters(document, ("parameters",))

    assert text not in "\n".join(problem.text for problem in problems_of(document))


def test_only_a_template_leaves_a_parameter_open() -> None:
    assert declared("{type: string, abstract: true}", kind="template").abstract
    assert not declared("{type: string, abstract: true}", kind="template").required
    assert told("{type: string, abstract: true}") == ["22 scenario.misplaced_key"]


def test_what_is_open_has_no_value_and_demands_none() -> None:
    for more in ("default: x", "required: true"):
        said = f"{{type: string, abstract: true, {more}}}"
        assert told(said, kind="template") == ["32 scenario.bad_default"]


def test_what_is_open_may_be_bounded_already() -> None:
    found = declared("{type: bytes, abstract: true, required: false, max: 1KB}", kind="template")

    assert (found.abstract, found.maximum, found.default) == (True, 1000, None)


@pytest.mark.parametrize(
    ("spelled", "kinds"),
    [
        ("bytes", (ParameterType.BYTES, None)),
        ("list<percent>", (ParameterType.LIST, ParameterType.PERCENT)),
        ("list< percent >", (ParameterType.LIST, ParameterType.PERCENT)),
        ("list<secret>", None),
        ("list", None),
        (5, None),
    ],
)
def test_a_type_is_read_with_that_of_its_items(spelled: object, kinds: object) -> None:
    assert parameter_type(spelled) == kinds


def test_a_literal_list_of_services_names_services() -> None:
    kind, items = ParameterType.LIST, ParameterType.SERVICE

    assert literal(kind, ["a", "b"], items=items) == ("a", "b")
    assert literal(kind, ["a", "B"], items=items) is None
