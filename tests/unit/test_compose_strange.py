"""Documents that nobody would write: composition tells what is wrong, and never breaks off."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.decoder_catalogue import catalogue
from test_coordination.adapters.documents.composition.compose import compose
from test_coordination.adapters.documents.composition.explain import explain
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.documents.reader import read
from test_coordination.adapters.documents.tree import TreeList, TreeMap
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.application.definitions import Shelf
from test_coordination.domain.errors import InvalidDocumentError, Mark
from test_coordination.domain.scenario import Part

AT = Mark("", 1, 1)
WORDS = (
    "replace", "remove", "items", "before", "after", "id", "parallel", "sequence", "background",
    "wait", "fault", "action", "with", "type", "min", "max", "values", "pattern", "default",
    "required", "abstract", "a", "b", "scenario", "expect", "target", "for_each",
)  # fmt: skip
TOP = (
    "extends", "tags", "parameters", "probes", "steps", "steady_state", "preconditions",
    "on_failure", "timeout", "depends_on", "matrix", "scenarios", "needs", "version",
)  # fmt: skip
scalars = st.one_of(
    st.sampled_from(["a", "b", "c", "5s", "integer", "duration", "list<bytes>", "${{ 1 }}", "", 1]),
    st.none(),
    st.booleans(),
    st.integers(-2, 10),
    st.floats(allow_nan=False),
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    ),
    max_leaves=15,
)
bodies = st.dictionaries(st.sampled_from(TOP), trees, max_size=5)


def planted(value: object) -> Any:
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


def text(kind: str, name: str, body: dict[str, object]) -> str:
    return explain(planted({kind: name, "version": 1, **body})).text


@settings(max_examples=150, deadline=None)
@given(bodies, bodies, bodies)
def test_whatever_is_laid_over_whatever_gives_a_tree_that_reads_as_itself(
    root: dict[str, object], one: dict[str, object], two: dict[str, object]
) -> None:
    parts = (
        Part(name="a", file="a.yaml", text=text("template", "a", one)),
        Part(name="b", file="b.yaml", text=text("template", "b", two)),
    )
    main = read(text("scenario", "main", {**root, "extends": ["a", "b"]}), file="main.yaml")

    found = compose(main, file="main.yaml", library=Shelf(parts=parts))

    written = explain(found.tree).text
    assert explain(read(written, file="again.yaml")).text == written
    if not found.problems:
        again = compose(read(written, file="again.yaml"), file="again.yaml", library=None)
        assert explain(again.tree).text == written


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["scenario", "template", "suite"]), bodies, bodies)
def test_whatever_is_read_is_a_definition_or_is_refused(
    kind: str, root: dict[str, object], one: dict[str, object]
) -> None:
    reader = DefinitionReader(catalogue(), CelExpressions())
    parts = (Part(name="a", file="a.yaml", text=text("scenario", "a", one)),)
    extending = {**root, "extends": "a"} if kind != "suite" else root

    def outcome() -> str:
        library = Shelf(parts=parts)
        try:
            return reader.closed(text(kind, "main", extending), file="m", library=library).name
        except InvalidDocumentError as error:
            return error.problems[0].code

    assert outcome() == "main" or "." in outcome()
