"""Secrets are given where they are needed, and found wherever they turn up."""

from __future__ import annotations

import base64
import html
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.virtual_time import at
from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.application.capabilities import ActionFailedError
from test_coordination.application.engine.disguises import disguises
from test_coordination.application.engine.vault import HiddenError, UnsealableError, Vault
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import (
    AbortRequested,
    CheckJudged,
    Event,
    ExecutionEnded,
    FaultArmed,
    FaultInjected,
    FaultReverted,
    FaultRevertFailed,
    Noted,
    Outcome,
    SteadyStateLeft,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.evidence import Sample, Snapshot, Validation
from test_coordination.domain.secrets import SecretUnavailableError, placeholder
from test_coordination.domain.values import (
    CheckId,
    ProbeName,
    Receipt,
    ServiceName,
    SnapshotId,
    StepId,
)
from test_coordination.domain.verdicts import Finding, Phase, Verdict

SECRET = "p@ss \"w'ö\\rd/+=&<🔑"
MARK = placeholder("env:TOKEN")
STEP = StepId("load")
LONG = '"one&two\\three#four@five'


def vault(variables: Mapping[str, str] | None = None, *, seen: bool = True) -> Vault:
    """Return a vault that has revealed all of ``variables``, unless they are not ``seen``."""
    variables = {"TOKEN": SECRET} if variables is None else variables
    made = Vault(KeptSecrets(variables, directory=Path("/nowhere")))
    if seen:
        made.reveal({name: placeholder(f"env:{name}") for name in variables})
    return made


def test_placeholders_are_replaced_wherever_they_stand() -> None:
    given = {"a": MARK, "b": ["x", f"Bearer {MARK}!", 7], f"c {MARK}": {"d": None}, "e": True}

    assert vault(seen=False).reveal(given) == {
        "a": SECRET, "b": ["x", f"Bearer {SECRET}!", 7], f"c {SECRET}": {"d": None}, "e": True,
    }  # fmt: skip


def test_without_placeholders_nothing_is_touched() -> None:
    given = {"a": ["x"], "b": 7}
    made = vault(seen=False)

    assert made.reveal(given) is given
    assert made.conceal(given) is given
    event = Noted(text=SECRET)
    assert made.conceal_event(event) is event


def test_a_secret_that_is_not_there_is_said_so() -> None:
    with pytest.raises(SecretUnavailableError, match="env:NONE"):
        vault(seen=False).reveal({"a": placeholder("env:NONE")})


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


def test_values_that_are_no_texts_stay_what_they_are() -> None:
    kept = {"a": 1, "b": None, "c": [1.5, True, at(0)]}

    assert vault().conceal(kept) == kept
    assert vault().conceal({"a": [SECRET], SECRET: (1,)}) == {"a": [MARK], MARK: [1]}


def check_judged(text: str) -> CheckJudged:
    validation = Validation(
        check=CheckId("c"),
        phase=Phase.DURING,
        finding=Finding.HELD,
        expression="x",
        observed=text,
        limit=text,
        reason=text,
        took=timedelta(seconds=1),
    )
    return CheckJudged(validation=validation)


SERVICE = ServiceName("shop")
EVENTS: list[Event] = [
    StepStarted(step=STEP),
    StepEnded(step=STEP, outcome=Outcome.FAILED, error=SECRET, facts={"a": [SECRET]}),
    FaultArmed(step=STEP, fault="off", service=SERVICE, receipt=Receipt(SECRET)),
    FaultInjected(step=STEP, evidence={"a": {"b": SECRET}}),
    FaultReverted(step=STEP, evidence={"a": SECRET}),
    FaultRevertFailed(step=STEP, reason=SECRET, code="fault.failed"),
    check_judged(SECRET),
    SteadyStateLeft(check=CheckId("c"), observed=SECRET),
    AbortRequested(reason=SECRET, by=SECRET),
    Noted(text=SECRET),
    ExecutionEnded(verdict=Verdict.HELD, reason=SECRET),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_no_event_tells_a_secret_and_else_it_tells_the_same(event: Event) -> None:
    told = vault().conceal_event(event)

    assert type(told) is type(event)
    assert SECRET not in repr(told)
    assert repr(SECRET)[1:-1] not in repr(told)
    assert repr(told).replace(MARK, "") == repr(event).replace(repr(SECRET)[1:-1], "")


def test_names_that_the_fold_goes_by_are_not_hidden() -> None:
    event = StepEnded(step=STEP, outcome=Outcome.FAILED, error="load failed", code="load")
    told = vault({"TOKEN": "load", "WORD": "failed"}).conceal_event(event)

    assert told == replace(event, error=f"{MARK} {placeholder('env:WORD')}")


def test_samples_and_snapshots_are_told_without_secrets() -> None:
    sample = Sample(
        probe=ProbeName("p"), at=at(0), took=timedelta(0), fields={"value": SECRET}, error=SECRET
    )
    snapshot = Snapshot(
        id=SnapshotId(UUID(int=1)),
        taken_at=at(0),
        state={SERVICE: {"orders": [{"by": SECRET}]}},
        problems=(SECRET,),
    )

    assert vault().conceal_sample(sample) == replace(sample, fields={"value": MARK}, error=MARK)
    assert vault().conceal_snapshot(snapshot) == replace(
        snapshot, state={SERVICE: {"orders": [{"by": MARK}]}}, problems=(MARK,)
    )
    assert vault(seen=False).conceal_sample(sample) is sample
    assert vault(seen=False).conceal_snapshot(snapshot) is snapshot


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        "no secret at all",
        f"{SECRET}{SECRET}",
        json.dumps({"url": f"http://u:{quote(SECRET, safe='')}@h/?{quote_plus(SECRET)}"}),
        json.dumps({"body": json.dumps({"key": SECRET}), "auth": [SECRET, MARK[:3]]}),
        repr({"key": SECRET}),
        base64.b64encode(b"user:" + SECRET.encode()).decode(),
    ],
)
def test_a_receipt_is_sealed_and_another_process_has_the_very_same_again(written: str) -> None:
    receipt = Receipt(written)
    sealed = vault().seal(receipt)

    for way in disguises(SECRET).values():
        assert way not in sealed
    assert vault(seen=False).unseal(sealed) == receipt
    assert vault().unseal(sealed) == receipt
    armed = FaultArmed(step=STEP, fault="off", service=SERVICE, receipt=sealed)
    assert vault().conceal_event(armed) == armed


@given(secret=st.text(min_size=4, max_size=9).filter(lambda text: len(text.strip()) >= 4))
def test_any_secret_comes_back_out_of_a_receipt(secret: str) -> None:
    ways = list(disguises(secret).values())
    receipt = Receipt("".join(f"<{way}>" for way in ways))
    made = vault({"TOKEN": secret})

    assert vault({"TOKEN": secret}, seen=False).unseal(made.seal(receipt)) == receipt


def test_a_receipt_that_could_not_be_given_back_is_refused() -> None:
    with pytest.raises(UnsealableError, match="pass the secret in another parameter"):
        vault().seal(Receipt(f"this is no secret: {MARK}"))


def test_what_was_armed_can_be_undone_though_its_secret_is_gone() -> None:
    variables = {"TOKEN": SECRET}
    made = vault(variables)
    sealed = made.seal(Receipt(SECRET))
    del variables["TOKEN"]

    assert made.unseal(sealed) == SECRET
    with pytest.raises(SecretUnavailableError):
        vault({}).unseal(sealed)


def test_a_form_that_another_version_wrote_is_refused() -> None:
    with pytest.raises(SecretUnavailableError, match="'rot13', which this version does not know"):
        vault().unseal(Receipt("⟦secret in rot13 env:TOKEN⟧"))


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """Return ``error`` with what led to it, as one has it who caught it."""
    error.__cause__ = cause
    error.__context__ = cause
    return error


def printed(error: Exception) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


def test_an_error_that_tells_no_secret_is_as_it_was() -> None:
    error = raised(ActionFailedError(action="note", cause="refused"), KeyError("x"))

    assert vault().conceal_error(error) is error
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    "error",
    [
        raised(ActionFailedError(action="note", cause=f"{SECRET} was refused")),
        raised(StoreUnavailableError(store="log", doing="it"), OSError(SECRET)),
        raised(KeyError(SECRET)),
        raised(ValueError("no"), ExceptionGroup("several", [OSError(quote(SECRET))])),
    ],
)
def test_an_error_is_told_without_secrets_and_without_what_led_to_it(error: Exception) -> None:
    known, told = vault(), vault().conceal_error(error)

    said = printed(told)
    for way in disguises(SECRET).values():
        assert way not in said
    assert known.conceal_error(told) is told
    if isinstance(error, ActionFailedError | StoreUnavailableError):
        assert type(told) is type(error)
    else:
        assert isinstance(told, HiddenError)
        assert type(error).__name__ in str(told)


def test_an_error_whose_words_do_not_come_from_its_fields_is_replaced() -> None:
    class StubbornError(ActionFailedError):
        def __str__(self) -> str:
            return SECRET

    told = vault().conceal_error(raised(StubbornError(action="a", cause="b")))

    assert isinstance(told, HiddenError)
    assert SECRET not in printed(told)


def test_a_secret_of_the_greatest_length_is_hidden_in_time() -> None:
    secret = 'x/ "' * 16_384
    made = vault({"TOKEN": secret})

    assert made.conceal(f"a{quote(secret)}b{secret}") == f"a{MARK}b{MARK}"
