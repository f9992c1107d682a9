"""What appends change beside their logs: the queue, what is held, and what is hit at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from test_coordination.adapters.postgres.batcher import Append
from test_coordination.adapters.postgres.pool import Connection
from test_coordination.application.fleet import BudgetExceededError
from test_coordination.domain.events import (
    AbortRequested,
    ExecutionStarted,
    ExecutionTakenOver,
    FaultArmed,
    FaultReverted,
    ResidueAccepted,
)
from test_coordination.domain.execution import FaultState, Status
from test_coordination.domain.values import ExecutionId

CLEARING: Final = (FaultReverted, ResidueAccepted)
LEAVING: Final = (AbortRequested, ExecutionStarted, ExecutionTakenOver)

# An append that cannot win is not judged: it is told that it lost.
BUDGETS: Final = """
    SELECT id, system, services_max
    FROM execution
    JOIN unnest($1::uuid[], $2::int[], $3::int[]) AS wanted (id, expected, epoch) USING (id)
    WHERE services_max IS NOT NULL AND log_end = expected AND execution.epoch = wanted.epoch
"""
# One after the other for each system, to the end of the transaction. Everybody locks systems in
# the order of their numbers, and before any execution: nobody waits for each other.
LOCK_SYSTEMS: Final = "SELECT pg_advisory_xact_lock(number) FROM unnest($1::bigint[]) AS number"
HIT: Final = "SELECT DISTINCT system, service FROM fault_receipt WHERE system = ANY ($1)"

LEAVE_QUEUE: Final = "DELETE FROM waiting_execution WHERE execution_id = ANY ($1)"
UNDONE: Final = """
    DELETE FROM fault_receipt
    USING unnest($1::uuid[], $2::text[]) AS undone (execution_id, step)
    WHERE fault_receipt.execution_id = undone.execution_id AND fault_receipt.step = undone.step
"""
ARMED: Final = """
    INSERT INTO fault_receipt (
        execution_id, step, fault, service, receipt, armed_at, system, holder
    )
    SELECT armed.*, execution.system, coalesce(execution.holder, execution.id)
    FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]
    ) AS armed (execution_id, step, fault, service, receipt, at)
    JOIN execution ON execution.id = armed.execution_id
    ON CONFLICT (execution_id, step) DO UPDATE
    SET fault = excluded.fault,
        service = excluded.service,
        receipt = excluded.receipt,
        armed_at = excluded.armed_at
"""
# Whoever clears the last of what one holder answers for sees what the others have cleared: they
# wait here for each other, and look only then. What one whose worker was lost ran as a step may
# end after it.
LOCK_HOLDERS: Final = """
    SELECT FROM admission
    WHERE execution_id IN (SELECT coalesce(holder, id) FROM execution WHERE id = ANY ($1))
    ORDER BY execution_id
    FOR UPDATE
"""
RELEASE: Final = """
    DELETE FROM admission
    USING execution
    WHERE admission.execution_id IN (
            SELECT coalesce(holder, id) FROM execution WHERE id = ANY ($1)
        )
        AND execution.id = admission.execution_id
        AND execution.status = 'finished'
        AND NOT EXISTS (SELECT FROM fault_receipt WHERE holder = admission.execution_id)
        AND NOT EXISTS (
            WITH RECURSIVE step AS (
                SELECT id, status FROM execution WHERE parent = admission.execution_id
                UNION ALL
                SELECT below.id, below.status FROM execution AS below JOIN step ON parent = step.id
            )
            SELECT FROM step WHERE status <> 'finished'
        )
"""


async def over_budget(
    lent: Connection, batch: Sequence[Append]
) -> Mapping[ExecutionId, BudgetExceededError]:
    """Return those of ``batch`` whose faults would hit too much, each after those before it.

    Until the transaction ends nobody else arms a fault in a system that has a budget.
    """
    arming = [append for append in batch if _newly_hit(append)]
    if not arming:
        return {}
    rows = await lent.fetch(
        BUDGETS,
        [append.leading_to.id for append in arming],
        [append.expected for append in arming],
        [append.epoch for append in arming],
    )
    if not rows:
        return {}
    budgets = {row["id"]: (str(row["system"]), int(row["services_max"])) for row in rows}
    systems = {system for system, _ in budgets.values()}
    await lent.execute(LOCK_SYSTEMS, sorted(map(_number, systems)))
    hit: dict[str, set[str]] = {system: set() for system in systems}
    for row in await lent.fetch(HIT, list(systems)):
        hit[row["system"]].add(row["service"])
    refused = dict[ExecutionId, BudgetExceededError]()
    for append in arming:
        if append.leading_to.id not in budgets:
            continue
        system, limit = budgets[append.leading_to.id]
        services = _newly_hit(append)
        if len(hit[system] | services) > limit:
            refused[append.leading_to.id] = BudgetExceededError(
                system=system,
                services=services - hit[system],
                hit=frozenset(hit[system]),
                limit=limit,
            )
        else:
            hit[system] |= services
    return refused


async def keep_books(lent: Connection, won: Sequence[Append]) -> None:
    """Note what ``won``, which are written by now, have led to."""
    if gone := [append.leading_to.id for append in won if _leaves_the_queue(append)]:
        await lent.execute(LEAVE_QUEUE, gone)
    armed, undone = list(_armed(won)), list(_undone(won))
    if undone:
        await lent.execute(UNDONE, [each for each, _ in undone], [step for _, step in undone])
    if armed:
        await lent.execute(
            ARMED,
            [execution for execution, _ in armed],
            [fault.step for _, fault in armed],
            [fault.fault for _, fault in armed],
            [fault.service for _, fault in armed],
            [fault.receipt for _, fault in armed],
            [fault.armed_at for _, fault in armed],
        )
    over = [append.leading_to for append in won]
    if ended := [state.id for state in over if state.status is Status.FINISHED]:
        await lent.execute(LOCK_HOLDERS, ended)
        await lent.execute(RELEASE, ended)


def _leaves_the_queue(append: Append) -> bool:
    """Tell whether an append begins an execution, or stops it before it begins."""
    return any(isinstance(entry.event, LEAVING) for entry in append.entries)


def _newly_hit(append: Append) -> frozenset[str]:
    """Return the services that an append says are being hit."""
    events = (entry.event for entry in append.entries)
    armed = {event.step for event in events if isinstance(event, FaultArmed)}
    return frozenset(f.service for f in append.leading_to.outstanding if f.step in armed)


def _armed(won: Sequence[Append]) -> Iterator[tuple[ExecutionId, FaultState]]:
    for append in won:
        armed = {e.event.step for e in append.entries if isinstance(e.event, FaultArmed)}
        for fault in append.leading_to.outstanding:
            if fault.step in armed:
                yield append.leading_to.id, fault


def _undone(won: Sequence[Append]) -> Iterator[tuple[ExecutionId, str]]:
    for append in won:
        outstanding = {fault.step for fault in append.leading_to.outstanding}
        for entry in append.entries:
            if isinstance(entry.event, CLEARING) and entry.event.step not in outstanding:
                yield append.leading_to.id, entry.event.step


def _number(system: str) -> int:
    """Return the number of the lock of a system; two that share one only wait longer."""
    digest = hashlib.sha256(f"budget of {system}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
