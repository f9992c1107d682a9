"""The live view in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import anyio

from test_coordination.adapters.codec import live_state
from test_coordination.application.ports import ExecutionRecord, LiveState
from test_coordination.domain.events import Entry
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId


class MemoryLiveView:
    """A `LiveView` for the readers in this process; it is never in trouble."""

    def __init__(self) -> None:
        self._shown: dict[ExecutionId, LiveState] = {}
        self._changed: dict[ExecutionId, anyio.Event] = {}

    def publish(self, record: ExecutionRecord, state: Execution, entries: Sequence[Entry]) -> None:
        """See `LiveView.publish`."""
        del entries  # readers in this process find them in the log
        self._shown[record.id] = live_state(record, state)
        self._changed.pop(record.id, anyio.Event()).set()

    def publish_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """See `LiveView.publish_samples`; none is kept, for no reader asks for them."""

    async def state(self, execution: ExecutionId) -> LiveState | None:
        """See `LiveView.state`."""
        return self._shown.get(execution)

    async def wait(self, execution: ExecutionId, *, after: int, limit: timedelta) -> None:
        """See `LiveView.wait`."""
        shown = self._shown.get(execution)
        if shown is not None and shown.position > after:
            return
        changed = self._changed.setdefault(execution, anyio.Event())
        with anyio.move_on_after(limit.total_seconds()):
            await changed.wait()

    def trouble(self) -> str:
        """See `LiveView.trouble`."""
        return ""
