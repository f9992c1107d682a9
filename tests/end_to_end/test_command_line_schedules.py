"""``tcoord schedules``: scenarios run by themselves on workers."""

from __future__ import annotations

import signal

import pytest

from support.e2e_authors import author

pytestmark = pytest.mark.timeout(300)

NAP = """\
scenario: nap
version: 1
parameters: {length: {type: duration, default: 5m}}
steps: [{id: nap, wait: "${{ parameters.length }}"}]
"""


def test_a_schedule_is_run_by_a_worker() -> None:
    with author() as writer:
        writer.writes("nap.yaml", NAP)
        on_shop = ("--topology", writer.topology)
        worker = writer.starts("worker", *on_shop)
        worker.prints("topology shop\n")
        made = writer.types(
            *("schedules", "create", "often", "--scenario", "nap.yaml", "--every", "1s"),
            *("--set", "length=10ms", "--overlap", "allow", *on_shop),
        )
        worker.prints("nap  inconclusive")
        worker.gets(signal.SIGTERM)
        said = worker.ends()

    taken = [line for line in said.out.splitlines() if line.startswith("taken ")]
    assert made.out.splitlines()[0] == "often is scheduled"
    assert len(taken) == len(set(taken)) > 0
    assert said.status == 0
