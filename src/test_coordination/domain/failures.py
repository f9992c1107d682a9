"""What kind of failure a code stands for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

TIMED_OUT: Final = "step.timeout"
"""A step was not done in the time that it had."""

UNKNOWN_OUTCOME: Final = "step.unknown_outcome"
"""A worker was gone while it did something once: whether it was done is not known."""

WORKER_LOST: Final = "worker.lost"
"""A worker was gone while its fault may have been in force; it is undone."""

NOT_PRIVILEGED: Final = "target.not_privileged"
"""The system does not let us do what was to be done."""


class ErrorClass(StrEnum):
    """What kind of failure it was; whatever has a code has one.

    ``REFUSED`` is what is none of the others: what was to be done was tried, or looked at, and
    could not be done there. ``UNKNOWN_OUTCOME`` is neither a failure nor a success.
    """

    TARGET_GONE = "target_gone"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    NOT_PRIVILEGED = "not_privileged"
    UNKNOWN_OUTCOME = "unknown_outcome"
    WORKER_LOST = "worker_lost"
    OUR_BUG = "our_bug"


_CLASSES: Final = {
    "target.gone": ErrorClass.TARGET_GONE,
    TIMED_OUT: ErrorClass.TIMED_OUT,
    "gate.shut": ErrorClass.TIMED_OUT,
    "fault.undo_timeout": ErrorClass.TIMED_OUT,
    NOT_PRIVILEGED: ErrorClass.NOT_PRIVILEGED,
    UNKNOWN_OUTCOME: ErrorClass.UNKNOWN_OUTCOME,
    "action.unknown_outcome": ErrorClass.UNKNOWN_OUTCOME,
    "scenario.lost": ErrorClass.UNKNOWN_OUTCOME,
    WORKER_LOST: ErrorClass.WORKER_LOST,
    "internal": ErrorClass.OUR_BUG,
    "fault.undo_broken": ErrorClass.OUR_BUG,
    "secret.hidden": ErrorClass.OUR_BUG,
    "execution.illegal_transition": ErrorClass.OUR_BUG,
}


def classify(code: str) -> ErrorClass:
    """Return what kind of failure the error of that ``code`` was."""
    return _CLASSES.get(code, ErrorClass.REFUSED)
