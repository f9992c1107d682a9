"""The live view in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import anyio

from test_coordination.adapters.codec import live_state
from test_coordination.application.ports import ExecutionRecord, Heard, LiveState
from test_coordination.domain.events import Entry
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId


class MemoryLiveView:
    """A `LiveView` for the readers in this process; it is never in trouble."""

    def __init__(self) -> None:
        self._shown: dict[ExecutionId, LiveState] = {}
        self._changed = anyio.Event()

    def publish(self, record: ExecutionRecord, state: Execution, entries: Sequence[Entry]) -> None:
        """See `LiveView.publish`."""
        del entries  # readers in this process find them in the log
        self._shown[record.id] = live_state(record, state)
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def publish_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """See `LiveView.publish_samples`; none is kept, for no reader asks for them."""

    async def state(self, execution: ExecutionId) -> LiveState | None:
        """See `LiveView.state`."""
        return self._shown.get(execution)

    async def news(self, after: Mapping[ExecutionId, int], *, limit: timedelta) -> Heard:
        """See `LiveView.news`."""
        with anyio.move_on_after(limit.total_seconds()):
            while not any(self._is_past(execution, end) for execution, end in after.items()):
                await self._changed.wait()
            return Heard.NEWS
        return Heard.NOTHING

    def _is_past(self, execution: ExecutionId, position: int) -> bool:
        shown = self._shown.get(execution)
        return shown is not None and shown.position > position

    def trouble(self) -> str:
        """See `LiveView.trouble`."""
        return ""
