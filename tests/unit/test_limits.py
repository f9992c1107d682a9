"""What copies, aliases and long lists of names would multiply is bounded, and told."""

from __future__ import annotations

from support.decoding import HEAD, problems
from support.planning_lab import act, each, mistakes, story
from test_coordination.adapters.documents.reading import AXES_MAX
from test_coordination.adapters.documents.texts import CHARACTERS_MAX, EXPRESSIONS_MAX
from test_coordination.domain.errors import nearest


def test_copies_of_many_values_are_refused_before_all_are_made() -> None:
    copied = act("many", parameters={"text": [1] * 5_000}, for_each=each(*range(100)))

    assert [(line, code) for line, code, _ in mistakes(story(copied))] == [(1, "plan.too_large")]


def test_a_document_has_so_many_expressions_at_most() -> None:
    text = "${{ 1 }}" * (EXPRESSIONS_MAX + 1)

    found = problems(f'{HEAD}steps:\n  - {{action: http.post, with: {{url: "{text}"}}}}\n')

    assert [problem.code for problem in found] == ["scenario.too_many_expressions"]


def test_conditions_are_so_long_together_at_most() -> None:
    long = " && ".join(["1 < 2"] * 30)
    steps = "".join(f'  - {{expect: "{long}"}}\n' for _ in range(CHARACTERS_MAX // len(long) + 1))

    found = problems(f"{HEAD}steps:\n{steps}")

    assert [problem.code for problem in found] == ["scenario.too_many_expressions"]


def test_names_of_copies_are_put_together_in_so_many_ways_at_most() -> None:
    steps = "".join(f"  - {{for_each: {{a{n}: [1]}}, wait: 1s}}\n" for n in range(AXES_MAX + 1))

    found = problems(f"{HEAD}steps:\n{steps}")

    assert [(problem.mark.line, problem.code) for problem in found] == [
        (3 + AXES_MAX + 1, "scenario.too_many")
    ]


def test_the_nearest_of_many_names_is_found() -> None:
    known = [f"service-{number}-of-many" for number in range(1_000)]

    assert nearest("servce-517-of-many", known) == "service-517-of-many"
    assert nearest("nothing like it", known) is None
    assert nearest("", known) is None
