"""How YAML becomes a tree with places, and how it is refused."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from test_coordination.adapters.documents.reader import ALIASES_MAX, BYTES_MAX, DEPTH_MAX, read
from test_coordination.adapters.documents.tree import TreeList, TreeMap, locate
from test_coordination.domain.errors import InvalidDocumentError, Mark


def problems(text: str | bytes) -> list[tuple[str, int, int, str]]:
    with pytest.raises(InvalidDocumentError) as refused:
        read(text, file="crash.yaml")
    return [
        (problem.code, problem.mark.line, problem.mark.column, problem.text)
        for problem in refused.value.problems
    ]


def place(tree: TreeMap, *loc: str | int, key: bool = False) -> tuple[int, int]:
    mark = locate(tree, loc, key=key)
    return mark.line, mark.column


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2026-01-31", "2026-01-31"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("+.INF", math.inf),
        ("true", True),
        ("'true'", "true"),
        ("~", None),
        ("", None),
        ("''", ""),
        ("9" * 101, "9" * 101),
        ("|-\n  a\n  b", "a\nb"),
        (">-\n  a\n  b", "a b"),
    ],
)
def test_a_value_is_what_yaml_1_2_says(text: str, value: object) -> None:
    tree = read(f"k: {text}\n", file="crash.yaml")

    assert tree == {"k": value}
    assert type(tree["k"]) is type(value)


def test_a_byte_order_mark_and_a_quoted_merge_sign_are_nothing_special() -> None:
    tree = read("\N{ZERO WIDTH NO-BREAK SPACE}a: 1\n'<<': 2", file="crash.yaml")

    assert tree == {"a": 1, "<<": 2}
    assert place(tree, "a") == (1, 4)


def test_not_a_number_is_a_number_that_is_none() -> None:
    assert math.isnan(read("k: .nan", file="crash.yaml")["k"])


def test_a_key_is_a_text_however_it_is_spelled() -> None:
    assert list(read("200: a\ntrue: b\n1.0: c\n'x y': d", file="crash.yaml")) == [
        "200",
        "true",
        "1.0",
        "x y",
    ]


def test_every_key_and_value_knows_its_place_in_code_points() -> None:
    tree = read("é😀: x\nsteps:\n  - id: 😀\n    with: {😀: é, b: [1, 2]}\n", file="crash.yaml")

    assert place(tree) == (1, 1)
    assert place(tree, "é😀") == (1, 5)
    assert place(tree, "steps", key=True) == (2, 1)
    assert place(tree, "steps") == (3, 3)
    assert place(tree, "steps", 0) == (3, 5)
    assert place(tree, "steps", 0, "with") == (4, 11)
    assert place(tree, "steps", 0, "with", "b", key=True) == (4, 18)
    assert place(tree, "steps", 0, "with", "b", 1) == (4, 25)


@pytest.mark.parametrize(
    ("value", "line", "column"),
    [
        ("'x'", 1, 5),
        ('"x"', 1, 5),
        ("&a x", 1, 7),
        ("&a 'x'", 1, 8),
        ("|\n  x", 2, 3),
        (">-  # why\n\n\n    x\n    y", 4, 5),
        ("&a |\r\n  x", 2, 3),
        ("|2\n    x\n  y", 2, 3),
        ("|", 1, 4),
        ("\n  'x'", 2, 4),
    ],
)
def test_the_place_of_a_text_is_that_of_its_first_character(
    value: str, line: int, column: int
) -> None:
    assert place(read(f"k: {value}\n", file="crash.yaml"), "k") == (line, column)


def test_where_a_path_leaves_the_tree_the_last_thing_on_it_is_meant() -> None:
    tree = read("a:\n  b: [x]\n", file="crash.yaml")

    assert place(tree, "a", "b", 7) == (2, 6)
    assert place(tree, "a", "missing") == (2, 3)
    assert place(tree, "a", "missing", key=True) == (1, 1)
    assert place(tree, 0) == (1, 1)
    assert locate(tree, []) == Mark("crash.yaml", 1, 1)


def test_an_alias_repeats_what_its_anchor_names() -> None:
    tree = read("a: &x {b: 1}\nc: *x\nd: [*x, *x]\ne: &s text\nf: *s", file="crash.yaml")

    assert tree == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}] * 2, "e": "text", "f": "text"}
    assert place(tree, "c") == (2, 4)
    assert place(tree, "c", "b") == (1, 11)


def test_a_model_validates_a_tree_as_it_is() -> None:
    class Model(BaseModel):
        model_config = ConfigDict(strict=True)
        a: dict[str, int]
        b: list[str]

    assert Model.model_validate(read("a: {x: 1}\nb: [y]", file="crash.yaml")) == Model(
        a={"x": 1}, b=["y"]
    )


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", ("yaml.empty", 1, 1)),
        ("# nothing\n---\n", ("yaml.empty", 1, 1)),
        ("- a", ("yaml.not_a_map", 1, 1)),
        ("just text", ("yaml.not_a_map", 1, 1)),
        ("a: 1\n---\nb: 2", ("yaml.many_documents", 2, 1)),
        ("<<: {a: 1}\nb: 1", ("yaml.merge_key", 1, 1)),
        ("a: !!str x", ("yaml.tag", 1, 4)),
        ("a: ! x", ("yaml.tag", 1, 4)),
        ("a: !odd {}", ("yaml.tag", 1, 4)),
        ("~: 1", ("yaml.key", 1, 1)),
        ("?", ("yaml.key", 1, 2)),
        ("? [a]\n: b", ("yaml.key", 1, 3)),
        ("a: &x b\n*x : c", ("yaml.key", 2, 1)),
        ("a: {{ x }}", ("yaml.braces", 1, 4)),
        ("a: {b: {{ x }}}", ("yaml.braces", 1, 8)),
        ("a: &x [*x]", ("yaml.recursive", 1, 8)),
        ("a: *x", ("yaml.unknown_alias", 1, 4)),
        ("a:\n\t- b", ("yaml.tab", 2, 1)),
        ("a: b\n\tc: d", ("yaml.tab", 2, 1)),
        ("a: |\n\tb", ("yaml.tab", 2, 1)),
        ("é: \x07", ("yaml.encoding", 1, 4)),
        ("a: \ud800", ("yaml.encoding", 1, 4)),
        ("é: \xff".encode("latin-1"), ("yaml.encoding", 1, 1)),
        ("é: ".encode() + b"\xff", ("yaml.encoding", 1, 4)),
        ("a: b".encode("utf-16"), ("yaml.encoding", 1, 1)),
        ("a: " + "[" * DEPTH_MAX, ("yaml.too_deep", 1, 3 + DEPTH_MAX)),
        ("a: '" + "x" * BYTES_MAX + "'", ("yaml.too_large", 1, 1)),
        (
            "a: &x b\nc: [" + "*x, " * (ALIASES_MAX + 1) + "]",
            ("yaml.too_many_aliases", 2, 5 + 4 * ALIASES_MAX),
        ),
        ("a:\n" + "- b\n" * 50_000, ("yaml.too_many_nodes", 49_999, 3)),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(
    text: str | bytes, refusal: tuple[str, int, int]
) -> None:
    assert [problem[:3] for problem in problems(text)] == [refusal]


@pytest.mark.parametrize(
    ("text", "line", "column", "excerpt"),
    [
        ("a: b: c", 1, 5, "quote the text if the ':' belongs to it"),
        ("a:\n  b: 1\n c: 2", 3, 2, "the indentation does not fit"),
        ("a: @x", 1, 4, "a text cannot begin with '@'; put it in quotes"),
        ("a: 'x", 1, 6, "a quote is opened and not closed (opened at 1:4)"),
        ("a: [1, 2\n", 2, 1, "the closing ']' was expected (opened at 1:4)"),
        ('a: "\\q"', 1, 5, "an escape that does not exist"),
        ("a: - b", 1, 4, "a list item ('- ') cannot begin here"),
        ("a: {b: ${{ x }}}", 1, 9, "a text with '${{ }}' often needs quotes"),
        ("a: b\n...\nc", 3, 1, "text after the end of the document"),
    ],
)
def test_a_mistake_of_syntax_is_told_without_jargon(  # noqa: PLR0917  (a table)
    text: str, line: int, column: int, excerpt: str
) -> None:
    ((code, *at, said),) = problems(text)

    assert (code, at) == ("yaml.syntax", [line, column])
    assert excerpt in said


def test_the_hints_name_what_to_do() -> None:
    ((*_, braces),) = problems("a: {{ x }}")
    ((*_, merge),) = problems("<<: {}")
    ((*_, tab),) = problems("a:\n\tb: c")

    assert "'${{ … }}'" in braces
    assert "'extends'" in merge
    assert tab == "a tab cannot indent; use blanks"


def test_every_duplicate_key_is_reported_with_both_places() -> None:
    found = problems("a: 1\nb: {c: 1, c: [x]}\na: {d: 2}\n'a': 3")

    assert found == [
        ("yaml.duplicate_key", 2, 11, "the key 'c' is here again (first at 2:5); keep one"),
        ("yaml.duplicate_key", 3, 1, "the key 'a' is here again (first at 1:1); keep one"),
        ("yaml.duplicate_key", 4, 1, "the key 'a' is here again (first at 1:1); keep one"),
    ]


def test_mistakes_before_a_fatal_one_are_not_forgotten() -> None:
    found = problems("a: 1\na: !t 2\nb: [")

    assert [problem[0] for problem in found] == ["yaml.duplicate_key", "yaml.tag", "yaml.syntax"]


def test_depth_counts_through_aliases() -> None:
    first = f"a: &x {'[' * 25}{']' * 25}"
    second = f"b: &y {'[' * 25}*x{']' * 25}"

    assert read(f"{first}\n{second}", file="crash.yaml")

    found = problems(f"{first}\n{second}\nc: {'[' * 25}*y{']' * 25}")

    assert [problem[0] for problem in found] == ["yaml.too_deep"]


def test_a_billion_laughs_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 7)}]" for i in range(1, 9)]
    started = time.process_time()

    found = problems("\n".join(lines))

    assert [problem[0] for problem in found] == ["yaml.too_many_nodes"]
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "text",
    [
        "{" * BYTES_MAX,
        "a: " + "[a," * 300_000,
        "a: '" + "\n" * (BYTES_MAX - 5) + "'",
        "a:\n" + " - |\n\n\n\n\n" * 99_000 + "  x",
        "a:\n" + " - &a !x b\n" * 90_000,
        "a: {" + "x: y, " * 90_000,
        "!" * BYTES_MAX,
        '"' * BYTES_MAX,
    ],
    ids=range(8),
)
def test_hostile_text_costs_little(text: str) -> None:
    started = time.process_time()

    said = ""
    try:
        read(text, file="crash.yaml")
    except InvalidDocumentError as error:
        said = str(error)

    assert time.process_time() - started < 5
    assert len(said) < 20_000


TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | TEXTS
)
TREES = st.dictionaries(
    TEXTS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=20,
    ),
    min_size=1,
    max_size=5,
)


class Dumper(yaml.SafeDumper):
    """Writes the core schema of YAML 1.2: what 1.1 leaves unquoted is quoted, aliases are not."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"')


Dumper.add_representer(str, Dumper.represent_str)


@settings(deadline=None)
@given(TREES, st.booleans())
def test_what_is_written_is_read_back(tree: dict[str, Any], flow: bool) -> None:  # noqa: FBT001  (drawn)
    text = yaml.dump(tree, Dumper=Dumper, default_flow_style=flow, allow_unicode=True)

    assert read(text, file="crash.yaml") == tree


def leaves(tree: TreeMap | TreeList) -> Iterator[tuple[Mark, object]]:
    pairs = (
        [(tree.value_marks[key], value) for key, value in tree.items()]
        if isinstance(tree, TreeMap)
        else list(zip(tree.marks, tree, strict=True))
    )
    for mark, value in pairs:
        yield mark, value
        if isinstance(value, TreeMap | TreeList):
            yield from leaves(value)


WORDS = st.text(alphabet="aé😀z", min_size=1, max_size=6)


@settings(deadline=None)
@given(
    st.recursive(
        st.dictionaries(WORDS, WORDS, min_size=1, max_size=4),
        lambda inner: st.dictionaries(WORDS, st.lists(inner | WORDS, max_size=3), min_size=1),
        max_leaves=8,
    ),
    st.booleans(),
)
def test_every_place_points_at_its_text(tree: dict[str, Any], flow: bool) -> None:  # noqa: FBT001  (drawn)
    text = yaml.dump(tree, Dumper=Dumper, default_flow_style=flow, allow_unicode=True)
    lines = text.split("\n")

    for mark, value in leaves(read(text, file="crash.yaml")):
        if isinstance(value, str) and "\\U" not in lines[mark.line - 1]:
            assert lines[mark.line - 1][mark.column - 1 :].startswith(value)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(max_size=200)
    | st.text(alphabet=" \t\n:-?{}[]&*!|>'\"#%@`<a$,.")
)
def test_no_bytes_break_the_reader(text: str | bytes) -> None:
    try:
        outcome: object = read(text, file="crash.yaml")
    except InvalidDocumentError as error:
        outcome = error.problems

    assert isinstance(outcome, TreeMap) or outcome
