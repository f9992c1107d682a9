"""What the logs of many executions say: what is new in them, and how long things took before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from test_coordination.domain.events import Entry
from test_coordination.domain.values import ExecutionId, StepId

PAST_MAX: Final = 10
"""How many earlier executions say how long something takes."""


class History(Protocol):
    """Reads logs for those who only look, at a cost that does not grow with how many they are."""

    async def news(
        self, after: Mapping[ExecutionId, int], *, limit: int
    ) -> Mapping[ExecutionId, Sequence[Entry]]:
        """Return the entries past a position of each log, oldest first, ``limit`` a log at most.

        A log without any is left out. All are read at once.
        """
        ...

    async def durations(
        self, scenario_name: str, *, before: datetime
    ) -> Mapping[StepId, Sequence[timedelta]]:
        """Return how long each step took that was done in earlier executions of that scenario.

        They are the last ``PAST_MAX`` that had ended at ``before``: so it stays the same whenever
        it is asked again.
        """
        ...
