"""What is kept of documents that were read has a bound, however often they are read."""

from __future__ import annotations

import gc

import psutil

from support.fuzzing import Way

DOCUMENTS = 600
ROUNDS = 2
GROWTH_MAX = 8 * 1024 * 1024

DOCUMENT = """\
scenario: kept-N
version: 1
probes: {latency: {http: "GET http://a/N"}}
steps:
  - {id: stop, fault: service.stop, target: exchange, hold: 1s}
  - {id: back, expect: "probes.latency.p95_ms < N.5", after_fault: stop}
"""


def test_reading_hundreds_of_scenarios_again_and_again_keeps_no_more_of_them() -> None:
    way, process = Way(), psutil.Process()
    used = []

    for _ in range(ROUNDS):
        for number in range(DOCUMENTS):
            assert not way.go(DOCUMENT.replace("N", str(number))).codes
        gc.collect()
        used.append(process.memory_info().rss)

    assert used[-1] - used[0] < GROWTH_MAX, used
