"""How long the pauses between the tries of a step are."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from test_coordination.domain.plan import PlannedRetry

PAUSE_MAX: Final = timedelta(days=1)
"""The longest pause that is reckoned with, however fast pauses grow."""


def pauses(retry: PlannedRetry) -> timedelta:
    """Return how long all pauses are together, if every try but the last one fails."""
    pause_s, total_s = retry.delay.total_seconds(), 0.0
    for _ in range(retry.attempts - 1):
        total_s += pause_s
        pause_s = min(pause_s * retry.backoff, PAUSE_MAX.total_seconds())
    return timedelta(seconds=total_s)
