"""How far an execution has come and how long it may take yet, in a few words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias

from test_coordination.application.outlook import Outlook, Remaining
from test_coordination.domain.execution import Execution
from test_coordination.interfaces.cli.layout import Signs, listed, short

Prospect: TypeAlias = Callable[[Execution], Outlook]
"""What tells of an execution how far it has come now."""

NAMED_MAX: Final = 3
_NO_TIME: Final = timedelta(0)
_ALL: Final = 100


def prospect_text(outlook: Outlook) -> str:
    """Return the percentage, the time that is left, and the steps that are under way."""
    names = [step.id for step in outlook.running]
    more = [f"{len(names) - NAMED_MAX} more"] if len(names) > NAMED_MAX else []
    running = f" ({listed([*names[:NAMED_MAX], *more])})" if names else ""
    return f"{outlook.percent}%, {time_left(outlook)}{running}"


def prospect_document(outlook: Outlook) -> dict[str, object]:
    """Return how far an execution has come as JSON has it; times are numbers of seconds."""
    left = outlook.remaining
    return {
        "percent": outlook.percent,
        "steps_planned": outlook.planned,
        "steps_ended": outlook.ended,
        "steps_running": [
            {
                "id": step.id,
                "kind": step.kind,
                "attempt": step.attempt,
                "elapsed_s": step.elapsed.total_seconds(),
                "usual_s": None if step.usual is None else step.usual.total_seconds(),
            }
            for step in outlook.running
        ],
        "remaining": {
            "least_s": left.least.total_seconds(),
            "most_s": None if left.most is None else left.most.total_seconds(),
            "usual_s": None
            if left.usual is None
            else {
                "fastest": left.usual.fastest.total_seconds(),
                "middle": left.usual.middle.total_seconds(),
                "slowest": left.usual.slowest.total_seconds(),
            },
        },
        "ending": outlook.ending,
        "paused": outlook.paused,
    }


def time_left(outlook: Outlook) -> str:
    """Return in words how long it may take yet."""
    if outlook.paused:
        return "paused"
    left = outlook.remaining
    if outlook.ending:
        rest = f", {short(left.expected)} at least" if left.expected else ""
        return f"ending{rest}"
    return _as_before(left) if left.usual is not None else _as_planned(left)


def _as_before(left: Remaining) -> str:
    usual = left.usual
    assert usual is not None, "something is known of before"
    if not usual.middle:
        return "it may end at any moment"
    low, middle, high = map(short, map(_rounded, (usual.fastest, usual.middle, usual.slowest)))
    about = f"about {middle} left"
    return about if low == high else f"{about}, {low} to {high} as before"


def _as_planned(left: Remaining) -> str:
    assert left.most is not None, "only what is ending or paused has no longest time"
    least, most = short(_rounded(left.least)), short(_rounded(left.most))
    if not left.most:
        return "it may end at any moment"
    return f"{most} left" if least == most else f"{least} to {most} left"


def _rounded(time: timedelta) -> timedelta:
    """Return whole seconds, nobody knows it better; what is more than nothing is one at least."""
    return timedelta(seconds=max(round(time.total_seconds()), 1)) if time else _NO_TIME


def bar(percent: int, columns: int, signs: Signs) -> str:
    """Return a picture of ``percent`` that is so wide."""
    full = columns * percent // _ALL
    return signs.solid * full + signs.light * (columns - full)
