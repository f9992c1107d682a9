"""What each fault says of itself, which plans and reports repeat."""

from __future__ import annotations

import pytest

from support.target_faults import fault_of
from test_coordination.adapters.links.keeper import LinkKeeper

KINDS = ("service.stop", "service.kill", "service.pause", "service.restart", "latency")


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_says_what_it_harms_and_how_it_is_undone(kind: str) -> None:
    fault = fault_of(kind, LinkKeeper())

    assert fault.family in {"service", "link"}
    assert fault.undo
    assert not fault.undo.endswith(".")
    assert "\n" not in fault.undo


@pytest.mark.parametrize("kind", KINDS)
def test_what_can_grow_is_a_parameter_that_the_fault_takes(kind: str) -> None:
    fault = fault_of(kind, LinkKeeper())
    needed = {"delay": "100ms"} if kind == "latency" else {}

    for name in fault.scalable:
        assert not fault.problems({**needed, name: "50ms"})
    assert fault.problems({**needed, "no-such": "50ms"})
