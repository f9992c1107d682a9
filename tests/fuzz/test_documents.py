"""No document, however strange, gets anything but a plan or an answer that names its place."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fuzz_documents import (
    TEXTS,
    expressions,
    libraries,
    names,
    texts,
    trees,
    written,
)
from support.fuzzing import Way

WAY = Way()
MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_fuzzed_is_understood_to_begin_with(name: str) -> None:
    told = WAY.go(TEXTS[name], TEXTS)

    assert not [code for code in told.codes if code.startswith("yaml.")]


@MANY
@given(trees())
def test_a_document_with_strange_parts_is_planned_or_refused(tree: object) -> None:
    WAY.go(written(tree))


@MANY
@given(texts())
def test_a_document_with_strange_lines_is_planned_or_refused(text: str) -> None:
    WAY.go(text)


@MANY
@given(trees(), libraries())
def test_documents_that_extend_strange_ones_are_planned_or_refused(
    tree: object, library: dict[str, str]
) -> None:
    if isinstance(tree, dict):
        tree = {**tree, "extends": ["base", "middle"]}

    WAY.go(written(tree), library)


@MANY
@given(st.lists(expressions, max_size=3), names)
def test_strange_expressions_are_planned_or_refused(found: list[str], name: str) -> None:
    steps: list[object] = [{"id": f"s{place}", "expect": text} for place, text in enumerate(found)]
    steps += [{"action": "http.get", "with": {"url": f"${{{{ {text} }}}}"}} for text in found]
    tree = {
        "scenario": "strange",
        "version": 1,
        "parameters": {"rate": {"type": "integer", "default": 1}},
        "probes": {"latency": {"http": "GET http://a/"}},
        "steps": [*steps, {"id": "load", "if": name, "for_each": [1, "${{ 2 }}"], "wait": "1s"}],
    }

    WAY.go(written(tree))


@MANY
@given(st.binary(max_size=200), st.sampled_from(sorted(TEXTS)), st.integers(0, 5_000))
def test_bytes_in_a_document_are_planned_or_refused(raw: bytes, name: str, at: int) -> None:
    text = TEXTS[name].encode()

    WAY.go(text[:at] + raw + text[at:])
