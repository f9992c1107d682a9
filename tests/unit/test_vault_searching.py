"""A secret is found in other texts, in whatever way it is written there."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.vaults import MARK, SECRET, vault
from test_coordination.application.engine.disguises import disguises
from test_coordination.domain.secrets import placeholder

LONG = '"one&two\\three#four@five'


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        quote(SECRET, safe="/:@!$&'()*+,;="),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps({"a": SECRET}))[1:-1],
        repr(SECRET)[1:-1],
        repr({"a": SECRET, "b": '"'}),
        repr(SECRET.encode()),
        html.escape(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        *(base64.b64encode(b"u" * n + SECRET.encode() + b"tail").decode() for n in range(1, 5)),
        *(base64.urlsafe_b64encode(b"u" * n + SECRET.encode()).decode() for n in range(1, 5)),
    ],
)
def test_a_secret_is_found_in_whatever_way_it_is_written(written: str) -> None:
    told = vault().conceal(f"<{written}> and {written}.")

    assert told.count(MARK) == 2
    assert "p@ss" not in told
    assert "rd" not in told
    for way in disguises(SECRET).values():
        assert way not in told


@given(secret=st.text(min_size=4, max_size=12).filter(lambda text: len(text.strip()) >= 4))
def test_no_secret_is_left_in_any_way_that_it_may_be_written(secret: str) -> None:
    made = vault({"TOKEN": secret})

    for way in disguises(secret).values():
        rest = made.conceal(f"a{way}b{way}").replace(MARK, "\0" * 99)
        assert secret not in rest
        assert way not in rest


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _in_json_as_it_is(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_python(text: str) -> str:
    return repr(f"'\"{text}")[4:-1]


def _in_bytes(text: str) -> str:
    return repr(f"'\"{text}".encode())[5:-1]


def _in_url(text: str) -> str:
    return quote(text, safe="")


def _is_fit(text: str) -> bool:
    return len(text.strip()) >= 4


IN_STRINGS = st.lists(
    st.sampled_from([_in_json, _in_json_as_it_is, _in_python, _in_bytes]), max_size=3
)
IN_OTHERS = st.lists(st.sampled_from([_in_url, quote_plus]), max_size=2) | st.lists(
    st.just(html.escape), max_size=2
)
FIT = st.text(min_size=4, max_size=12).filter(_is_fit)


@given(
    secret=FIT | st.text(alphabet="\\\"'&%<+n0x \nö", min_size=4, max_size=9).filter(_is_fit),
    within=IN_STRINGS,
    around=IN_OTHERS,
    beside=st.text(alphabet="\\ab\"'&%", max_size=3),
)
def test_a_secret_is_found_however_often_it_was_escaped(
    *,
    secret: str,
    within: list[Callable[[str], str]],
    around: list[Callable[[str], str]],
    beside: str,
) -> None:
    written = f"{beside}<{secret}>{beside}"
    for escape in (*within, *around):
        written = escape(written)

    told = vault({"TOKEN": secret}).conceal(written)

    assert MARK in told


def test_many_backslashes_are_searched_in_time() -> None:
    made = vault({"TOKEN": '"\\"\\"\\'})
    text = "\\" * 300_000

    assert made.conceal(text).count(MARK) <= 1


def test_the_longer_of_two_secrets_is_looked_for_first() -> None:
    made = vault({"SHORT": "token", "LONG": "token-of-ann"})

    long, short = placeholder("env:LONG"), placeholder("env:SHORT")
    assert made.conceal("token-of-ann, token") == f"{long}, {short}"


@pytest.mark.parametrize("secret", ["secret", "env:", "TOKEN", "⟦⟦⟦⟦", "secret env:TOKEN"])
def test_what_stands_for_a_secret_is_not_searched_for_it(secret: str) -> None:
    made = vault({"TOKEN": secret})
    once = made.conceal(f"a {secret} b")

    assert once == f"a {MARK} b"
    assert made.conceal(once) == once


def test_a_secret_that_changed_is_hidden_as_it_was_and_as_it_is() -> None:
    variables = {"TOKEN": "before"}
    made = vault(variables)
    variables["TOKEN"] = "after"

    assert [made.reveal({"a": MARK}) for _ in range(2)] == [{"a": "after"}] * 2
    assert made.conceal("before, after") == f"{MARK}, {MARK}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key abcdefghijklmnopqr", f"key {MARK}"),
        ("'abcdefghijklmno…', expected", f"'{MARK}…', expected"),
        ("…ijklmnopqrstuvwx. abcdefghijklm", f"…{MARK}. {MARK}"),
        ("abcdefghijk, mnopqrstuvw", "abcdefghijk, mnopqrstuvw"),
    ],
)
def test_the_larger_part_of_a_secret_that_was_cut_off_is_hidden(text: str, told: str) -> None:
    assert vault({"TOKEN": "abcdefghijklmnopqrstuvwx"}).conceal(text) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{_in_python(_in_python(LONG[:16]))}, x", f"{MARK}, x"),
        ("...%2522one%2526two%255Cthree%2523f...", f"...{MARK}..."),
        (f"{_in_json(_in_json(_in_json(LONG[:-2])))}, x", f"{MARK}, x"),
        ('"one&two\\...', '"one&two\\...'),
    ],
)
def test_the_beginning_of_a_secret_that_was_escaped_and_cut_off_is_hidden(
    text: str, told: str
) -> None:
    assert vault({"TOKEN": LONG}).conceal(text) == told


def test_a_secret_of_the_greatest_length_is_hidden_in_time() -> None:
    secret = 'x/ "' * 16_384
    made = vault({"TOKEN": secret})

    assert made.conceal(f"a{quote(secret)}b{secret}") == f"a{MARK}b{MARK}"
