"""Files with mistakes: each says in its first lines what is to be told, and where."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.decoder_catalogue import catalogue
from test_coordination.adapters.documents.document import PROBLEMS_MAX
from test_coordination.adapters.documents.scenario import ScenarioReader
from test_coordination.adapters.documents.systems.topology import TopologyReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.domain.errors import InvalidDocumentError, Problem

BAD = Path(__file__).parent / "fixtures" / "bad"
FILES = sorted(BAD.glob("*.yaml"))
HEAD = "scenario: bad\nversion: 1\n"
STEPS = "steps:\n  - wait: 1s\n"

# How pydantic, Python and libyaml speak; an author must not have to.
JARGON = re.compile(
    r"\bshould (?:be|match|have)|[Vv]alue error|[Ff]ield required|[Ee]xtra inputs|permitted"
    r"|valid (?:string|integer|dict|list|number|boolean)"
    r"|\b(?:dict|str|int(?!\()|float|bool|tuple|NoneType|None|True|False)\b"
    r"|pydantic|[Vv]alidation|_type\b|_parsing\b|Traceback|Error\b|object at 0x|timedelta"
    r"|expected <|undeclared|container"
)
EXPECTED = re.compile(r"# expect: (\d+):(\d+) (\S+)")


def mistakes_in_scenario(text: str | bytes) -> tuple[Problem, ...]:
    reader = ScenarioReader(catalogue(), CelExpressions())
    with pytest.raises(InvalidDocumentError) as refused:
        reader.read(text, file="bad.yaml")
    return refused.value.problems


def mistakes_in_topology(text: str) -> tuple[Problem, ...]:
    reader = TopologyReader(CelExpressions(), python=sys.executable, environment={})
    with pytest.raises(InvalidDocumentError) as refused:
        reader.read(text, file="bad.yaml", state_directory=Path("/nowhere"))
    return refused.value.problems


def reader_of(path: Path) -> Callable[[str], tuple[Problem, ...]]:
    return mistakes_in_topology if path.name.startswith("topology-") else mistakes_in_scenario


def told(problems: tuple[Problem, ...]) -> list[tuple[int, int, str]]:
    return [(problem.mark.line, problem.mark.column, problem.code) for problem in problems]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_exactly_the_mistakes_of_a_file_are_told_at_their_places(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = [(int(m[1]), int(m[2]), m[3]) for m in EXPECTED.finditer(text)]

    problems = reader_of(path)(text)

    assert expected, "the file must say what it expects"
    assert sorted(told(problems)) == sorted(expected), "\n".join(map(str, problems))
    assert [problem.mark for problem in problems] == sorted(problem.mark for problem in problems)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_mistake_is_told_in_a_sentence_without_jargon(path: Path) -> None:
    for problem in reader_of(path)(path.read_text(encoding="utf-8")):
        own_words = re.sub(r"'[^']*'", "''", problem.text)
        assert not JARGON.search(own_words), problem.text
        assert len(problem.text.split()) > 5, problem.text
        assert re.search(r"[;,:]", problem.text), f"it must say what to do: {problem.text}"
        assert not problem.text.endswith("."), problem.text
        assert not problem.text[0].isupper(), problem.text


def test_the_guard_against_jargon_bites() -> None:
    for text in (
        "Input should be a valid string",
        "Field required",
        "Extra inputs are not permitted",
        "value is not a valid dict",
        "'hold' must be a str",
    ):
        assert JARGON.search(text)


def bomb() -> str:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)]
    return HEAD + "\n".join(levels) + "\nsteps: *a5\n"


GENERATED: dict[str, tuple[str | bytes, tuple[int, int, str]]] = {
    "larger-than-a-mebibyte": (HEAD + "# " + "x" * 1024 * 1024, (1, 1, "yaml.too_large")),
    "lists-in-lists": (HEAD + "steps: " + "[" * 70 + "]" * 70, (3, 71, "yaml.too_deep")),
    "billion-laughs": (bomb(), (7, 25, "yaml.too_many_nodes")),
    "tab-indents": (HEAD + "steps:\n\t- wait: 1s\n", (4, 1, "yaml.tab")),
    "no-utf-8": (HEAD.encode() + b"title: caf\xe9\n", (3, 11, "yaml.encoding")),
    "control-character": (HEAD + "title: bell \x07\n", (3, 13, "yaml.encoding")),
    "empty": ("", (1, 1, "yaml.empty")),
    "only-a-comment": ("# nothing\n", (1, 1, "yaml.empty")),
    "a-thousand-and-two-steps": (
        HEAD + "steps:\n" + "  - wait: 1s\n" * 1002,
        (1004, 5, "scenario.too_many"),
    ),
    "two-hundred-and-one-probes": (
        HEAD + "probes:\n" + "".join(f"  p{n}: {{process: a}}\n" for n in range(201)) + STEPS,
        (3, 1, "scenario.too_many"),
    ),
    "two-hundred-and-one-checks": (
        HEAD + "steady_state:\n" + '  - {expect: "1 < 2"}\n' * 201 + STEPS,
        (3, 1, "scenario.too_many"),
    ),
    "parameters-without-end": (
        HEAD + "parameters:\n" + "".join(f"  p{n}: {{type: string}}\n" for n in range(101)) + STEPS,
        (3, 1, "scenario.too_many"),
    ),
    "expression-too-long": (
        HEAD + f'steps:\n  - expect: "{"1 < 2 && " * 500}true"\n',
        (4, 14, "expression.too_long"),
    ),
    "pattern-too-long": (
        HEAD + f"parameters:\n  name: {{type: string, pattern: {'x' * 201}}}\n" + STEPS,
        (4, 33, "scenario.bad_pattern"),
    ),
}


@pytest.mark.parametrize("name", GENERATED)
def test_hostile_text_is_refused_at_once(name: str) -> None:
    text, expected = GENERATED[name]

    problems = mistakes_in_scenario(text)

    assert told(problems) == [expected], "\n".join(map(str, problems))


def test_mistakes_without_end_are_cut_and_the_author_is_told_so() -> None:
    text = HEAD + STEPS + "".join(f"unknown{n}: 1\n" for n in range(5_000))

    problems = mistakes_in_scenario(text)

    assert len(problems) == PROBLEMS_MAX + 1
    assert problems[-1].code == "scenario.too_many_problems"
    assert {problem.code for problem in problems[:-1]} == {"scenario.unknown_key"}


def test_no_secret_is_told() -> None:
    text = (BAD / "topology-store-without-scheme.yaml").read_text(encoding="utf-8")

    assert not any("secret" in str(problem) for problem in mistakes_in_topology(text))


def test_a_mistake_that_an_alias_repeats_is_told_once() -> None:
    text = HEAD + "probes:\n  a: &a {process: exchange, every: 1ms}\n  b: *a\n" + STEPS

    assert told(mistakes_in_scenario(text)) == [(4, 36, "scenario.out_of_range")]


def test_blanks_before_a_condition_do_not_move_its_mistakes() -> None:
    text = HEAD + 'steps:\n  - expect: "   nobody > 0"\n'

    assert told(mistakes_in_scenario(text)) == [(4, 17, "expression.unknown_name")]


def test_a_text_that_is_not_written_as_it_reads_is_placed_at_its_beginning() -> None:
    text = 'topology: shop\nservices:\n  bank: {command: ["\\ta\\tb${nobody}"]}\n'

    assert told(mistakes_in_topology(text)) == [(3, 21, "topology.unknown_variable")]
