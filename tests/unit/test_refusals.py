"""Errors, as people read them."""

from __future__ import annotations

import pytest

from support.engine_lab import MARK
from support.stores_story import NEW
from test_coordination.application.capabilities import (
    ActionFailedError,
    FaultFailedError,
    TargetFailedError,
    TargetGoneError,
)
from test_coordination.application.ports import LogConflictError, NotFoundError
from test_coordination.domain.errors import (
    CoordinationError,
    InvalidDocumentError,
    Problem,
    StoreUnavailableError,
    suggestion,
)
from test_coordination.domain.plan import ProtectedTargetError
from test_coordination.domain.topology import UnknownServiceError
from test_coordination.domain.values import ExecutionId

PROBLEM = Problem(mark=MARK, code="a.b", text="no")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidDocumentError(problems=(PROBLEM, PROBLEM)), "lab.yaml:1:1: no\nlab.yaml:1:1: no"),
        (
            StoreUnavailableError(store="PostgreSQL", doing="writing", cause="timeout"),
            (
                "PostgreSQL went away while writing (timeout); whether it took effect "
                "is not known, and repeating it is safe"
            ),
        ),
        (
            NotFoundError(kind="scenario", identity="x"),
            "no scenario is stored under 'x'; list them to see which there are",
        ),
        (
            FaultFailedError(fault="f", service="s", doing="arming", cause="no"),
            "f on 's' failed while arming: no",
        ),
        (
            TargetFailedError(service="s", doing="starting", cause="no"),
            "service 's' failed while starting: no",
        ),
        (TargetGoneError(service="s", detail="x"), "service 's' is not running: x; start it first"),
        (ActionFailedError(action="a", cause="no"), "a failed: no"),
        (
            ProtectedTargetError(step="a", service="s", mark=MARK),
            (
                "lab.yaml:1:1: step 'a' aims at 's', which the topology protects (protect: true); "
                "choose another target or lift the protection there"
            ),
        ),
        (
            UnknownServiceError(name="x", known=frozenset(), mark=MARK),
            "lab.yaml:1:1: no service is named 'x'; there are none",
        ),
    ],
)
def test_an_error_says_what_where_and_what_to_do(error: CoordinationError, text: str) -> None:
    assert str(error) == text


def test_a_conflict_names_the_execution_and_the_place() -> None:
    execution = ExecutionId(NEW.new())

    text = str(LogConflictError(execution=execution, expected=7))

    assert text.startswith(f"execution {execution} is not ours to write to after 7: another worker")


def test_a_name_that_is_not_known_is_answered_with_the_nearest_or_with_some() -> None:
    many = frozenset(f"name-{number:02}" for number in range(15))

    assert suggestion("shp", frozenset({"shop"})) == "did you mean 'shop'?"
    assert suggestion("xyz", many, most=2) == "known: name-00, name-01 and 13 more"
    assert suggestion("xyz", frozenset({"a", "b"})) == "known: a, b"
