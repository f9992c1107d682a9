"""Definitions of every kind, read with what they extend, explained, and closed over their needs."""

from __future__ import annotations

from textwrap import dedent

import pytest

from support.compose_scene import part
from support.decoder_catalogue import catalogue
from test_coordination.adapters.documents.composition.closure import DEPTH_MAX, PARTS_MAX
from test_coordination.adapters.documents.composition.uses import uses
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.documents.reader import read as yaml_tree
from test_coordination.adapters.documents.scenario import ScenarioReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.application.definitions import Shelf
from test_coordination.domain.errors import InvalidDocumentError, Mark
from test_coordination.domain.scenario import Definition, Part, Scenario, Suite, Template
from test_coordination.domain.steps import FaultStep

TEMPLATE = """\
    template: restart
    version: 1
    parameters:
      service: {type: service, abstract: true}
    steps:
      - id: stop
        fault: service.stop
        target: "${{ parameters.service }}"
        hold: 5s
      - {id: back, expect: "1 < 2", within: 10s, after_fault: stop}
    """
CHILD = """\
    scenario: exchange-restart
    version: 1
    extends: restart
    parameters: {service: exchange}
    steps:
      - {id: stop, hold: 7s}
    """


def reader() -> DefinitionReader:
    return DefinitionReader(catalogue(), CelExpressions())


def read(text: str, *others: str | Part) -> Definition:
    return reader().read(dedent(text), file="main.yaml", library=library(*others))


def library(*others: str | Part) -> Shelf:
    return Shelf(parts=tuple(part(each) if isinstance(each, str) else each for each in others))


def closed(text: str, *others: str | Part) -> Definition:
    return reader().closed(dedent(text), file="main.yaml", library=library(*others))


def told(text: str, *others: str | Part) -> list[str]:
    with pytest.raises(InvalidDocumentError) as refused:
        closed(text, *others)
    return [f"{each.mark} {each.code}" for each in refused.value.problems]


def calm(name: str, *, head: str = "", steps: str = "{wait: 1s}") -> str:
    return f"scenario: {name}\nversion: 1\n{head}steps: [{steps}]\n"


def names(definition: Definition) -> list[str]:
    body = definition.body if isinstance(definition, Template) else definition
    return [each.name for each in body.parts]


def test_a_scenario_is_read_with_what_it_extends() -> None:
    found = read(CHILD, TEMPLATE)

    assert isinstance(found, Scenario)
    stop = found.steps[0]
    assert isinstance(stop, FaultStep)
    assert str(stop.hold) == "0:00:07"
    assert (found.source, names(found)) == (dedent(CHILD), ["restart"])
    assert [str(each) for each in found.extends] == ["restart"]
    assert found.parameters[0].default == "exchange"


def test_a_reader_of_scenarios_takes_what_extends_others_too() -> None:
    found = ScenarioReader(catalogue(), CelExpressions()).read(
        dedent(CHILD), file="main.yaml", library=library(TEMPLATE)
    )

    assert found == read(CHILD, TEMPLATE)


def test_a_template_is_read_though_it_cannot_be_run() -> None:
    found = read(TEMPLATE)

    assert isinstance(found, Template)
    assert (found.name, found.body.source) == ("restart", dedent(TEMPLATE))
    assert found.body.parameters[0].abstract


def test_a_mistake_in_what_is_inherited_is_told_in_the_file_of_the_parent() -> None:
    broken = TEMPLATE.replace("parameters.service }}", "parameters.servise }}")

    with pytest.raises(InvalidDocumentError) as refused:
        read(CHILD, broken)

    (problem,) = refused.value.problems
    assert problem.mark == Mark("restart.yaml", 8, 18)
    assert problem.code == "expression.unknown_name"


def test_a_mistake_that_two_documents_make_together_is_told_where_the_last_one_speaks() -> None:
    with pytest.raises(InvalidDocumentError) as refused:
        read(CHILD.replace("{id: stop, hold: 7s}", "{id: back, hold: x}"), TEMPLATE)

    assert [str(each.mark) for each in refused.value.problems] == ["main.yaml:6:22"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("2m", "more than 'max' (1m), inherited from base.yaml:4; keep to that"),
        ("10ms", "less than 'min' (1s), inherited from base.yaml:4; keep to that"),
        ("{default: 2m, max: 30s}", "more than 'max' (30s); correct one of the two"),
    ],
)
def test_a_default_beyond_an_inherited_bound_is_told_with_the_place_of_the_bound(
    given: str, said: str
) -> None:
    base = """\
        template: base
        version: 1
        parameters:
          outage: {type: duration, default: 5s, min: 1s, max: 1m}
    """
    child = f"extends: base\nparameters: {{outage: {given}}}\n"

    with pytest.raises(InvalidDocumentError) as refused:
        read(calm("main", head=child), base)

    (problem,) = refused.value.problems
    assert problem.text.endswith(said)


def test_an_id_that_a_parent_has_taken_elsewhere_is_told_with_its_file() -> None:
    with pytest.raises(InvalidDocumentError) as refused:
        read(f"{dedent(CHILD)}preconditions: [{{id: back, expect: 1 < 2}}]\n", TEMPLATE)

    (problem,) = refused.value.problems
    assert problem.text == (
        "the id 'back' is taken already (at main.yaml:7:22); give this one its own"
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("topology: t\nversion: 1\n", "1:1 scenario.wrong_document"),
        ("version: 1\nscenario: a\n", "2:1 scenario.wrong_document"),
        ("version: 1\nsuite: a\n", "2:1 scenario.wrong_document"),
        ("name: a\n", "1:1 scenario.wrong_document"),
        ("{}\n", "1:1 scenario.wrong_document"),
    ],
)
def test_what_is_no_definition_is_refused(text: str, mistake: str) -> None:
    assert told(text) == [f"main.yaml:{mistake}"]


def test_what_a_definition_mentions_is_known_before_it_is_read() -> None:
    mentions = reader().mentions

    found = mentions("scenario: a\nextends: [b, c@2, b, 5]\n", file="a.yaml")
    assert [str(each) for each in found] == ["b", "c@2"]
    assert mentions("suite: a\nextends: b\n", file="a.yaml") == ()
    assert mentions("scenario: [", file="a.yaml") == ()
    assert mentions("scenario: a\n", file="a.yaml") == ()


def test_what_is_resolved_reads_as_the_same_definition() -> None:
    resolved = reader().resolved(dedent(CHILD), file="main.yaml", library=library(TEMPLATE))

    again = read(resolved)
    assert isinstance(again, Scenario)
    first = read(CHILD, TEMPLATE)
    assert isinstance(first, Scenario)
    assert [step.id for step in again.steps] == [step.id for step in first.steps]
    assert [each.default for each in again.parameters] == ["exchange"]
    assert again.parts == ()
    assert reader().resolved(resolved, file="main.yaml") == resolved


def test_an_explanation_tells_the_file_and_line_of_each_value() -> None:
    found = reader().explained(dedent(CHILD), file="main.yaml", library=library(TEMPLATE))

    lines = {line.text.strip(): line.mark for line in found.lines}
    assert lines["hold: 7s"] == Mark("main.yaml", 6, 22)
    assert lines["fault: service.stop"] == Mark("restart.yaml", 7, 12)
    assert lines["default: exchange"] == Mark("main.yaml", 4, 23)
    assert "# restart.yaml:7" in found.annotated


def test_what_does_not_fit_together_is_not_explained_nor_is_a_secret() -> None:
    for text in (
        "scenario: a\nversion: 1\nextends: gone\n",
        "scenario: a\nversion: 1\nparameters: {x: {type: secret, default: hunter2}}\n",
    ):
        with pytest.raises(InvalidDocumentError) as refused:
            reader().explained(text, file="main.yaml", library=library())
        assert "hunter2" not in str(refused.value)


def test_a_suite_is_explained_as_it_stands() -> None:
    text = "suite: s\nversion: 1\nscenarios:\n  - scenario: a\n"

    assert reader().resolved(text, file="main.yaml") == text


def test_a_definition_is_closed_over_all_that_it_needs() -> None:
    main = calm(
        "main",
        head="extends: restart\nparameters: {service: exchange}\n"
        "depends_on: [{scenario: healthy}]\n",
        steps="{scenario: child}, {parallel: [{background: {scenario: other}}]}",
    )
    others = [
        TEMPLATE,
        calm("healthy"),
        calm("child", steps="{sequence: [{scenario: healthy}]}"),
        calm("other", head="extends: small\n"),
        "template: small\nversion: 1\nowner: me\n",
    ]

    found = closed(main, *others)

    assert sorted(names(found)) == ["child", "healthy", "other", "restart", "small"]
    assert isinstance(found, Scenario)
    assert closed(main, *found.parts) == found


def test_what_runs_in_the_background_or_in_groups_is_among_what_is_used() -> None:
    steps = (
        "[{background: {scenario: a}}, {sequence: [{parallel: [{scenario: b@2}]}]}, {scenario: 5}]"
    )
    tree = yaml_tree(
        f"scenario: main\nsteps: {steps}\ndepends_on: [{{scenario: c}}, 5]\n", file="x"
    )

    found = [(str(use.reference), use.runs) for use in uses(tree)]

    assert found == [("c", False), ("a", True), ("b@2", True)]


def test_a_suite_is_closed_over_its_scenarios() -> None:
    suite = "suite: s\nversion: 1\nscenarios: [{scenario: exchange-restart}, {scenario: b}]\n"

    found = closed(suite, CHILD, TEMPLATE, calm("b"))

    assert isinstance(found, Suite)
    assert sorted(names(found)) == ["b", "exchange-restart", "restart"]


def test_a_template_is_closed_too() -> None:
    template = "template: t\nversion: 1\nsteps: [{scenario: a}]\n"

    assert names(closed(template, calm("a"))) == ["a"]


def test_without_being_closed_nothing_that_is_run_is_looked_up() -> None:
    found = read(calm("main", steps="{scenario: nowhere}"))

    assert names(found) == []


def test_what_is_unknown_or_no_scenario_is_told_where_it_is_named() -> None:
    main = calm(
        "main",
        head="depends_on: [{scenario: healthi}]\n",
        steps="{scenario: healthy@2}, {scenario: restart}, {scenario: s}",
    )

    assert told(
        main, calm("healthy"), TEMPLATE, "suite: s\nversion: 1\nscenarios: [{scenario: healthy}]\n"
    ) == [
        "main.yaml:3:25 definition.unknown",
        "main.yaml:4:20 definition.unknown",
        "main.yaml:4:43 definition.kind",
        "main.yaml:4:64 definition.kind",
    ]


def test_parameters_that_a_scenario_has_not_or_misses_are_told() -> None:
    child = calm(
        "child", head="parameters: {rate: {type: integer}, x: {type: string, default: y}}\n"
    )
    given = "{scenario: child, with: {rte: 5, rate: 5}}, {scenario: child, with: {x: z}}"

    assert told(calm("main", steps=given), child) == [
        "main.yaml:3:34 definition.unknown_parameter",
        "main.yaml:3:64 definition.missing_parameter",
    ]
    assert told(calm("main", steps="{scenario: child}"), child) == [
        "main.yaml:3:20 definition.missing_parameter"
    ]


def test_what_is_only_waited_for_needs_no_parameters() -> None:
    child = calm("child", head="parameters: {rate: {type: integer}}\n")

    closed(calm("main", head="depends_on: [{scenario: child}]\n"), child)


def test_a_circle_of_scenarios_is_named_whole() -> None:
    with pytest.raises(InvalidDocumentError) as refused:
        closed(
            calm("main", steps="{scenario: a}"),
            calm("a", head="depends_on: [{scenario: b}]\n"),
            calm("b", steps="{scenario: main}"),
        )

    (problem,) = refused.value.problems
    assert str(problem.mark) == "b.yaml:3:20"
    assert problem.text == (
        "these run or wait for each other: main -> a -> b -> main; take one of them out"
    )


def test_a_circle_further_down_is_told_once() -> None:
    main = calm("main", steps="{scenario: a}, {scenario: a}, {scenario: b}")

    assert told(main, calm("a", steps="{scenario: b}"), calm("b", steps="{scenario: a}")) == [
        "b.yaml:3:20 definition.cycle"
    ]


def test_the_mistakes_of_all_that_is_needed_are_told_together() -> None:
    broken = Part(name="broken", file="broken.yaml", text="scenario: [")

    assert told(
        calm("main", head="owner: 5\n", steps="{scenario: a}, {scenario: broken}"),
        calm("a", steps="{wait: x}"),
        broken,
    ) == [
        "a.yaml:3:16 scenario.bad_duration",
        "broken.yaml:1:12 yaml.syntax",
        "main.yaml:3:8 scenario.wrong_type",
    ]


def test_scenarios_run_others_only_so_deep() -> None:
    chain = [calm(f"t{n}", steps=f"{{scenario: t{n + 1}}}") for n in range(1, DEPTH_MAX + 1)]
    end = calm(f"t{DEPTH_MAX + 1}")
    deep = calm("main", steps="{scenario: t1}")

    assert told(deep, *chain, end) == [f"t{DEPTH_MAX}.yaml:3:20 definition.too_deep"]
    assert len(names(closed(calm("main", steps="{scenario: t2}"), *chain, end))) == DEPTH_MAX


def test_only_so_many_others_may_be_needed() -> None:
    others = [calm(f"t{n}") for n in range(PARTS_MAX + 1)]
    steps = [f"{{scenario: t{n}}}" for n in range(PARTS_MAX + 1)]

    assert len(names(closed(calm("main", steps=", ".join(steps[:-1])), *others))) == PARTS_MAX
    (mistake,) = told(calm("main", steps=", ".join(steps)), *others)
    assert mistake.endswith("definition.too_many")
