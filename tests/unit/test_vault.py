"""Secrets are given where they are needed, and found wherever they turn up."""

from __future__ import annotations

import base64
import json
import traceback
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.vaults import MARK, SECRET, vault
from support.virtual_time import at
from test_coordination.application.capabilities import ActionFailedError
from test_coordination.application.engine.disguises import disguises
from test_coordination.application.engine.vault import HiddenError, UnsealableError
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

STEP = StepId("load")


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
