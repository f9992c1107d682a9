from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.stores_strategies import of
from test_coordination.adapters.codec import (
    UnreadableError,
    decode_event,
    decode_facts,
    decode_plan,
    encode,
    kind_of,
)
from test_coordination.domain.events import EVENTS, Event, Noted, StepEnded
from test_coordination.domain.plan import Plan


@pytest.mark.parametrize("kind", EVENTS.values())
def test_every_event_comes_back_as_it_was(kind: type) -> None:
    @given(event=of(kind))
    def check(event: Event) -> None:
        assert decode_event(kind_of(event), encode(event)) == event

    check()


@given(plan=of(Plan))
def test_every_plan_comes_back_as_it_was(plan: Plan) -> None:
    assert decode_plan(encode(plan)) == plan


@given(text=st.text(st.characters(exclude_categories=[])))
def test_any_text_at_all_can_be_kept(text: str) -> None:
    body = encode({text: [text]})

    assert b"\\u0000" not in body.replace(b"\\\\", b"")
    assert len(decode_facts(body)) == 1


def test_text_that_only_looks_like_an_escape_is_left_alone() -> None:
    text = r"the service wrote \u0000 as six characters"

    assert decode_event("Noted", encode(Noted(text=text))) == Noted(text=text)


def test_what_a_database_cannot_keep_is_replaced_and_not_refused() -> None:
    assert decode_event("Noted", encode(Noted(text="a\0b\ud800c"))) == Noted(
        text="a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    )


def test_frozen_mappings_are_written_as_objects() -> None:
    assert encode({"a": MappingProxyType({"b": 1})}) == b'{"a":{"b":1}}'


def test_what_json_cannot_carry_is_our_bug() -> None:
    with pytest.raises(TypeError, match="cannot carry"):
        encode({"a": object()})


@pytest.mark.parametrize(
    ("kind", "body"),
    [("NeverHeardOf", b"{}"), ("Noted", b"{}"), ("Noted", b"{"), ("Noted", b'{"text":1}')],
)
def test_what_another_version_wrote_is_refused_by_name(kind: str, body: bytes) -> None:
    with pytest.raises(UnreadableError, match=kind) as refused:
        decode_event(kind, body)

    assert refused.value.code == "store.unreadable"


def test_a_plan_of_another_version_is_refused() -> None:
    with pytest.raises(UnreadableError, match="plan"):
        decode_plan(b"{}")


def test_fields_of_a_later_version_are_left_out() -> None:
    event = StepEnded(step="a", outcome="done")  # type: ignore[arg-type]  # as JSON has them

    assert decode_event("StepEnded", encode(event)[:-1] + b',"later":1}').error == ""  # type: ignore[union-attr]  # it is a StepEnded
