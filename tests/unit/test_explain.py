"""What a definition has become, written as YAML that reads back, with where it all comes from."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from test_coordination.adapters.documents.composition.explain import explain
from test_coordination.adapters.documents.composition.scalars import scalar
from test_coordination.adapters.documents.reader import read
from test_coordination.adapters.documents.tree import Tree, TreeList, TreeMap
from test_coordination.domain.errors import Mark

AT = Mark("some.yaml", 1, 1)
TRICKY = (
    "", " ", "~", "null", "true", "no", "On", "y", "5", "0x1F", "1e5", "1_000", "12:30:45", ".5",
    "2024-01-01", "-", "- a", "a: b", "a #b", "#", "${{ parameters.x }}", "it's", 'say "so"',
    "\\d+", "%", "@x", "`x", "!tag", "&a", "*a", "{a}", "[a]", "a,b", "|", ">", "?", ": ", "\t",
    "\x07", "é", "\u2028", "\ufeff", "\U0001f600", "<<", "a\nb", "a\n", "\na", "a\n\nb\n",
    "a \nb", " a\nb", "a\n b", "a\tb\nc", "a\n\n", "\n", "x" * 2000, "---", "...", "5s", "50%",
    "64MiB", "9" * 101, "a\r\nb",
)  # fmt: skip


def planted(value: object) -> Any:
    """Return ``value`` as a tree whose places do not matter."""
    if isinstance(value, dict):
        tree = TreeMap(AT)
        for key, inner in value.items():
            tree.put(key, planted(inner), key_mark=AT, mark=AT)
        return tree
    if isinstance(value, list):
        items = TreeList(AT)
        for inner in value:
            items.add(planted(inner), AT)
        return items
    return value


def same(left: Tree, right: Tree) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and left == right


def readable(text: str) -> bool:
    """Tell whether YAML can hold ``text`` at all, escaped or not."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


texts = st.one_of(st.sampled_from(TRICKY), st.text(max_size=30).filter(readable))
plain = st.one_of(
    texts, st.none(), st.booleans(), st.integers(-(10**90), 10**90), st.floats(width=64)
)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(texts, values, min_size=1, max_size=5))
def test_what_is_written_reads_back_as_it_was(content: dict[str, object]) -> None:
    tree = planted(content)

    written = explain(tree)

    assert same(read(written.text, file="again.yaml"), tree), written.text
    assert same(read(written.annotated, file="again.yaml"), tree), written.annotated


@pytest.mark.parametrize("text", TRICKY)
def test_a_text_stays_the_text_that_it_is(text: str) -> None:
    tree = planted(
        {"a": text, "b": [text, [text]], "c": {text or "d": text} if text != "<<" else 0}
    )

    assert same(read(explain(tree).text, file="again.yaml"), tree)


@pytest.mark.parametrize("text", ["no", "On", "y", "2024-01-01", "1_000", "12:30:45", "0o7", "="])
def test_a_text_is_a_text_for_readers_of_yaml_1_1_too(text: str) -> None:
    assert yaml.safe_load(scalar(text)) == text


def test_a_number_stays_one_however_long_it_is() -> None:
    tree = read(f"scenario: 0x{'f' * 98}\n", file="a.yaml")

    assert same(read(explain(tree).text, file="again.yaml"), tree)


def test_plain_words_need_no_quotes_and_lines_stay_lines() -> None:
    tree = planted({"wait": "5s", "title": "The exchange is gone", "query": "select 1\nfrom a\n"})

    assert explain(tree).text == (
        "wait: 5s\ntitle: The exchange is gone\nquery: |\n  select 1\n  from a\n"
    )


def test_every_value_is_followed_by_the_file_and_line_that_it_came_from() -> None:
    text = 'scenario: a\nsteps:\n  - id: x\n    with: {a: [1, "two"], b: {}}\n  - wait: 5s\n'

    written = explain(read(text, file="a.yaml"))

    assert written.annotated == (
        "scenario: a    # a.yaml:1\n"
        "steps:\n"
        "  - id: x      # a.yaml:3\n"
        "    with:\n"
        "      a:\n"
        "        - 1    # a.yaml:4\n"
        "        - two  # a.yaml:4\n"
        "      b: {}    # a.yaml:4\n"
        "  - wait: 5s   # a.yaml:5\n"
    )


def test_a_line_knows_the_way_to_what_it_writes() -> None:
    written = explain(read("scenario: a\nsteps:\n  - wait: 5s\n", file="a.yaml"))

    assert [(line.path, line.mark and line.mark.line) for line in written.lines] == [
        (("scenario",), 1),
        (("steps",), None),
        (("steps", 0, "wait"), 3),
    ]


def test_a_file_whose_name_could_break_a_comment_cannot() -> None:
    written = explain(read("scenario: a\n", file="a\nversion: 2"))

    assert written.annotated == "scenario: a  # a?version: 2:1\n"


def test_a_long_line_does_not_move_the_origins_of_all_others() -> None:
    written = explain(planted({"a": "x" * 200, "b": 1}))

    assert written.annotated.splitlines()[1] == "b: 1  # some.yaml:1"
