"""The state of the system, captured and judged outside any execution."""

from __future__ import annotations

import pytest

from support.engine_fakes import shows
from support.engine_lab import MARK, Lab
from support.virtual_time import virtual
from test_coordination.application.capabilities import ProbeFailedError, TargetGoneError
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.expressions import Expression, InvalidExpressionError
from test_coordination.domain.topology import Invariant, UnknownServiceError
from test_coordination.domain.values import CheckId, ServiceName, SnapshotId
from test_coordination.domain.verdicts import Finding, Severity, Verdict


def expects(text: str, *, severity: Severity = Severity.NORMAL) -> Invariant:
    return Invariant(
        id=CheckId("c"), expression=Expression(text=text, mark=MARK), severity=severity
    )


@virtual
async def test_the_state_of_all_services_is_captured_unless_some_are_named() -> None:
    lab = Lab()
    lab.kit.dial.scripts["stock"] = [(0, shows(3))]
    async with lab.coordinator() as coordinator:
        whole = await lab.evidence.snapshot(await coordinator.capture_system_state())
        part = await lab.evidence.snapshot(await coordinator.capture_system_state(["bank"]))
        with pytest.raises(UnknownServiceError, match="did you mean 'bank'"):
            await coordinator.capture_system_state(["bnk"])

    assert whole.state.keys() == {"shop", "bank", "vault"}
    assert whole.state[ServiceName("shop")]["stock"] == shows(3)
    assert whole.state[ServiceName("vault")] == {}
    assert part.state == {"bank": {"money": shows(1)}}
    assert (whole.execution, whole.step, whole.problems) == (None, None, ())


@virtual
async def test_what_cannot_be_read_is_left_out_and_said_so_also_in_parts_beside_it() -> None:
    lab = Lab()
    lab.kit.dial.scripts["stock"] = [(0, ProbeFailedError(cause="shut"))]
    lab.kit.dial.scripts["orders"] = [(0, TargetGoneError(service="shop", detail="pid 7"))]
    lab.kit.dial.slow_s["money"] = 60
    async with lab.coordinator() as coordinator:
        taken = await lab.evidence.snapshot(await coordinator.capture_system_state())

    assert taken.state == {"shop": {}, "bank": {}, "vault": {}}
    assert taken.problems == (
        "bank.money: no answer within 10 s",
        "shop.orders: service 'shop' is not running: pid 7; start it first",
        "shop.stock: shut",
    )


@pytest.mark.parametrize(
    ("value", "finding", "verdict"),
    [(1, Finding.HELD, Verdict.HELD), (0, Finding.BROKEN, Verdict.BROKEN)],
)
def test_a_snapshot_is_judged_by_the_invariants_of_the_topology(
    value: float, finding: Finding, verdict: Verdict
) -> None:
    @virtual
    async def story() -> None:
        lab = Lab()
        lab.kit.dial.scripts["stock"] = [(0, shows(value))]
        async with lab.coordinator() as coordinator:
            snapshot = await coordinator.capture_system_state()
            result = await coordinator.validate_system_state(snapshot)

        (validation,) = result.validations
        assert (result.snapshot, result.verdict) == (snapshot, verdict)
        assert (validation.finding, validation.observed, validation.margin) == (
            finding, value, value - 1,
        )  # fmt: skip

    story()


@virtual
async def test_what_is_expected_may_be_given_and_what_is_missing_is_inconclusive() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        snapshot = await coordinator.capture_system_state(["shop"])

        async def verdict(*expected: Invariant) -> Verdict:
            return (await coordinator.validate_system_state(snapshot, expected)).verdict

        assert await verdict(expects("services.shop.orders.value == 1.0")) is Verdict.HELD
        assert await verdict(expects("services.bank.money.value == 1.0")) is Verdict.INCONCLUSIVE
        assert await verdict() is Verdict.INCONCLUSIVE
        with pytest.raises(InvalidExpressionError):
            await verdict(expects("services.nobody.money == 1"))
        with pytest.raises(NotFoundError):
            await coordinator.validate_system_state(SnapshotId(lab.identities.new()))
