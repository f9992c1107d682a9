"""What is said of an action whose outcome nobody knows, and of a queue in which nobody waits."""

from __future__ import annotations

from support.engine_lab import Lab
from support.virtual_time import virtual
from test_coordination.application.capabilities import ActionUnknownError


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    error = ActionUnknownError(action="http.post", cause="no answer came")

    assert str(error) == "http.post: no answer came; whether it took effect is not known"


@virtual
async def test_where_nobody_waits_the_queue_is_empty() -> None:
    async with Lab().coordinator() as coordinator:
        assert list(await coordinator.waiting_executions()) == []
