"""Suites: which scenarios are run together, in which order, with which parameters."""

from __future__ import annotations

import pytest

from support.decoder_catalogue import catalogue
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.documents.suites import ENTRIES_MAX
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.domain.errors import InvalidDocumentError, Mark
from test_coordination.domain.expressions import Expression, Interpolation
from test_coordination.domain.parameters import ParameterType
from test_coordination.domain.scenario import Reference, Suite
from test_coordination.domain.verdicts import Verdict

HEAD = "suite: nightly\nversion: 1\n"
WHOLE = """\
suite: nightly
version: 1
title: All that runs every night
description: Restarts of all that matters.
owner: trading
tags: [nightly, restart]
parameters:
  outages: {type: list<duration>, default: [1s, 5s]}
  token: {type: secret, default: "env:TOKEN"}
matrix:
  outage: "${{ parameters.outages }}"
scenarios:
  - {id: base, scenario: baseline-health}
  - scenario: exchange-restart@3
    needs: [base]
    matrix: {rate: [10, 100]}
    with:
      outage: "${{ matrix.outage }}"
      rate: "${{ matrix.rate }}"
      title: "outage of ${{ matrix.outage }}"
      token: "${{ parameters.token }}"
  - {scenario: exchange-restart, needs: [base]}
concurrency: 2
stop_on: [residue, broken]
"""


def suite(text: str) -> Suite:
    reader = DefinitionReader(catalogue(), CelExpressions(), environment=["HOME"])
    found = reader.read(text, file="nightly.yaml")
    assert isinstance(found, Suite)
    return found


def told(body: str) -> list[str]:
    with pytest.raises(InvalidDocumentError) as refused:
        suite(HEAD + body)
    return [f"{each.mark.line}:{each.mark.column} {each.code}" for each in refused.value.problems]


def test_a_suite_is_read_with_all_that_it_says() -> None:
    found = suite(WHOLE)

    assert (found.name, found.title, found.owner) == (
        "nightly",
        "All that runs every night",
        "trading",
    )
    assert found.mark == Mark("nightly.yaml", 1, 8)
    assert found.source == WHOLE
    assert found.tags == ("nightly", "restart")
    assert [parameter.type for parameter in found.parameters] == [
        ParameterType.LIST,
        ParameterType.SECRET,
    ]
    assert (found.concurrency, found.stop_on) == (2, (Verdict.RESIDUE, Verdict.BROKEN))


def test_what_is_left_out_has_its_default() -> None:
    found = suite(f"{HEAD}scenarios: [{{scenario: a}}]\n")

    assert (found.concurrency, found.stop_on) == (1, (Verdict.RESIDUE,))
    assert (found.parameters, found.matrix, found.parts) == ((), {}, ())
    assert found.entries[0].needs == ()


def test_entries_name_scenarios_and_are_known_by_ids() -> None:
    base, pinned, newest = suite(WHOLE).entries

    assert (base.id, pinned.id, newest.id) == ("base", "exchange-restart", "exchange-restart-again")
    assert pinned.scenario == Reference(
        name="exchange-restart", version=3, mark=Mark("nightly.yaml", 14, 15)
    )
    assert newest.scenario.version is None
    assert pinned.needs == ("base",)


def test_a_matrix_is_a_list_or_an_expression_that_may_use_parameters() -> None:
    found = suite(WHOLE)

    outage = found.matrix["outage"]
    assert isinstance(outage, Expression)
    assert outage.text == "parameters.outages"
    assert found.entries[1].matrix == {"rate": (10, 100)}


def test_what_an_entry_is_given_may_use_the_matrix_and_carry_a_secret() -> None:
    given = suite(WHOLE).entries[1].parameters

    assert isinstance(given["outage"], Expression)
    assert isinstance(given["title"], Interpolation)
    assert isinstance(given["token"], Expression)


def test_an_entry_may_use_the_environment_that_is_allowed() -> None:
    entry = '{scenario: a, with: {home: "${{ env.HOME }}"}}'

    assert isinstance(
        suite(f"{HEAD}scenarios: [{entry}]\n").entries[0].parameters["home"], Expression
    )


@pytest.mark.parametrize(
    ("body", "mistakes"),
    [
        ("", ["1:1 suite.missing_key"]),
        ("scenarios: []\n", ["3:12 suite.empty"]),
        ("scenarios: a\n", ["3:12 suite.wrong_type"]),
        ("scenarios: [a]\n", ["3:13 suite.wrong_type"]),
        ("scenarios: [{}]\n", ["3:13 suite.missing_key"]),
        ("scenarios: [{scenario: A b}]\n", ["3:24 suite.bad_name"]),
        ("scenarios: [{scenario: a, if: x}]\n", ["3:27 suite.unknown_key"]),
        ("scenarios: [{scenario: a, needs: [b]}]\n", ["3:35 suite.unknown_entry"]),
        ("scenarios: [{id: x, scenario: a}, {id: x, scenario: b}]\n", ["3:40 suite.duplicate_id"]),
        ("scenarios: [{scenario: a, with: [b]}]\n", ["3:33 suite.wrong_type"]),
        ("scenarios: [{scenario: a, with: {b: '${{ matrix.c }}'}}]\n",
         ["3:42 expression.unknown_name"]),
        ("scenarios: [{scenario: a, with: {b: '${{ execution.seed }}'}}]\n",
         ["3:42 expression.unknown_name"]),
        ("scenarios: [{scenario: a, with: {b: '${{ env.SECRET }}'}}]\n",
         ["3:42 expression.unknown_name"]),
        ("scenarios: [{scenario: a, matrix: {}}]\n", ["3:35 suite.empty"]),
        ("scenarios: [{scenario: a, matrix: {x: []}}]\n", ["3:39 suite.empty"]),
        ("scenarios: [{scenario: a, matrix: {x: 5}}]\n", ["3:39 suite.wrong_type"]),
        ("scenarios: [{scenario: a, matrix: {X: [5]}}]\n", ["3:36 suite.bad_name"]),
        ("scenarios: [{scenario: a, matrix: [5]}]\n", ["3:35 suite.wrong_type"]),
        ("scenarios: [{scenario: a, matrix: {x: 'a ${{ [1] }}'}}]\n", ["3:40 suite.wrong_type"]),
        ("scenarios: [{scenario: a, matrix: {x: '${{ 5 }}'}}]\n", ["3:44 expression.type"]),
        ("matrix: {x: [1]}\nscenarios: [{scenario: a, matrix: {x: [5]}}]\n",
         ["4:36 suite.duplicate"]),
        ("scenarios: [{scenario: a}]\nconcurrency: 0\n", ["4:14 suite.out_of_range"]),
        ("scenarios: [{scenario: a}]\nstop_on: [bad]\n", ["4:10 suite.unknown_value"]),
        ("scenarios: [{scenario: a}]\nextends: b\n", ["4:1 suite.unknown_key"]),
        ("scenarios: [{scenario: a}]\nparameters: [x]\nmatrix: {y: '${{ parameters.x }}'}\n",
         ["4:13 suite.wrong_type"]),
        ("parameters: {x: 5}\nmatrix: {y: '${{ parameters.x }}'}\nscenarios: [{scenario: a}]",
         ["3:17 suite.wrong_type"]),
    ],
)  # fmt: skip
def test_what_a_suite_may_not_be_is_told_at_its_place(body: str, mistakes: list[str]) -> None:
    assert told(body) == mistakes


def test_the_version_is_that_of_the_language() -> None:
    with pytest.raises(InvalidDocumentError) as refused:
        suite("suite: a\nversion: 2\nscenarios: [{scenario: b}]\n")

    assert [each.code for each in refused.value.problems] == ["suite.unsupported_version"]


def test_a_circle_of_needs_is_named_whole() -> None:
    with pytest.raises(InvalidDocumentError) as refused:
        suite(
            f"{HEAD}scenarios:\n"
            "  - {id: a, scenario: x, needs: [b]}\n"
            "  - {id: b, scenario: x, needs: [c]}\n"
            "  - {id: c, scenario: x, needs: [a]}\n"
            "  - {id: d, scenario: x, needs: [d]}\n"
        )

    assert [each.text for each in refused.value.problems] == [
        "these wait for each other: a -> b -> c -> a; take one of the needs away",
        "these wait for each other: d -> d; take one of the needs away",
    ]


def test_a_secret_is_only_passed_on_and_nothing_is_computed_from_it() -> None:
    declared = "parameters: {token: {type: secret}}\n"
    computed = "'${{ parameters.token + \"x\" }}'"

    assert told(
        f"{declared}matrix: {{a: ['${{{{ parameters.token }}}}']}}\nscenarios: [{{scenario: a}}]\n"
    ) == ["4:19 suite.secret"]
    assert told(f"{declared}scenarios: [{{scenario: a, with: {{b: {computed}}}}}]\n") == [
        "4:42 suite.secret"
    ]


def test_a_suite_has_its_limits() -> None:
    entries = ", ".join(["{scenario: a}"] * (ENTRIES_MAX + 1))
    values = ", ".join(map(str, range(101)))

    assert told(f"scenarios: [{entries}]\n") == ["3:1 suite.too_many"]
    assert told(
        f"matrix: {{x: [{values}]}}\nscenarios: [{{scenario: a, matrix: {{y: [{values}]}}}}]\n"
    ) == ["4:1 suite.too_many"]
