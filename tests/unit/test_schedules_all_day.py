"""A day of a thousand schedules: each time is fired once, whoever dies when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.schedules_day import Day, begun
from support.virtual_time import virtual
from test_coordination.application.timetable import FiringState
from test_coordination.domain.schedule import Overlap

FOREVER = datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("seed", [1])
@virtual
async def test_each_time_of_a_day_is_fired_once_while_schedulers_die(seed: int) -> None:
    day = Day(seed, schedules=1000)

    await day.run()

    executions = []
    for schedule in day.schedules:
        firings = await day.fired(schedule)
        executions += begun(firings)
        assert [each.due for each in firings] == day.expected(schedule), schedule.schedule
        if schedule.schedule.rules.overlap is Overlap.ALLOW:
            assert len(begun(firings)) == len(firings)
        else:
            spans = sorted(day.log.known(each).requested_at for each in begun(firings))
            ends = sorted(day.log.known(each).ended_at or FOREVER for each in begun(firings))
            assert all(end <= start for end, start in zip(ends, spans[1:], strict=False))
            left_out = [each for each in firings if each.execution is None]
            assert {each.state for each in left_out} <= {FiringState.SKIPPED}
    assert day.deaths > 100
    assert len(executions) == len(set(executions)) > 3000
    assert {*executions} <= {*day.log.records}
    print(
        f"{len(executions)} executions, {day.deaths} deaths, "
        f"{sum(count - 1 for count in day.log.tries.values())} begun more than once and found"
    )
