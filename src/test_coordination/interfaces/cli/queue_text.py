"""Who waits in the queue, for what, and who has it, as people and programs read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter

import click

from test_coordination.application.fleet import Waiting
from test_coordination.domain.admission import Claim, ClaimKind, Holding, Obstacle
from test_coordination.interfaces.cli.layout import fold


def queue_lines(waiting: Sequence[Waiting], *, columns: int) -> Iterator[str]:
    """Yield a line for each that waits, and below it what it waits for, at least a line."""
    for each in waiting:
        place = "in" if each.admitted_at else str(each.place or "-")
        urgent = f", priority {each.priority}" if each.priority else ""
        by = f"  (by {each.requested_by or 'nobody'}{urgent})"
        since = f"{each.since.astimezone():%Y-%m-%d %H:%M:%S}"
        yield f"{place:>4}  {each.execution}  {since}  {each.scenario}{by}"
        for reason in reasons(each):
            yield click.style(fold(reason, columns=columns, first="      "), dim=True)


def reasons(waiting: Waiting) -> Iterator[str]:
    """Yield what one waits for, a sentence for each thing."""
    if waiting.lacks:
        yield f"for a worker: {waiting.lacks}"
    elif waiting.admitted_at is not None:
        yield "let in; its worker begins it" if not waiting.detached else "let in; for a worker"
    for claim, obstacles in groupby(waiting.obstacles, key=attrgetter("claim")):
        yield f"for {_wanted(claim)}: {', '.join(map(_held, obstacles))}"
    if waiting.released:
        yield f"not for the first time: {waiting.released}"
    if not (waiting.lacks or waiting.obstacles or waiting.admitted_at):
        yield "for nothing: it is let in next"


def queue_document(waiting: Waiting) -> dict[str, object]:
    """Return one that waits as JSON has it."""
    return {
        "id": str(waiting.execution),
        "scenario": waiting.scenario,
        "requested_by": waiting.requested_by,
        "priority": waiting.priority,
        "since": waiting.since.isoformat(),
        "place": waiting.place,
        "detached": waiting.detached,
        "requires": sorted(waiting.requires),
        "lacks": waiting.lacks,
        "released": waiting.released,
        "admitted_at": waiting.admitted_at.isoformat() if waiting.admitted_at else None,
        "waits_for": [_document(obstacle) for obstacle in waiting.obstacles],
    }


def _document(obstacle: Obstacle) -> dict[str, object]:
    claim, holding = obstacle.claim, obstacle.holding
    return {
        "system": claim.system,
        "kind": claim.kind.value,
        "name": claim.name,
        "slots": claim.slots if claim.kind is ClaimKind.POOL else None,
        "size": claim.size if claim.kind is ClaimKind.POOL else None,
        "held_by": str(holding.by),
        "scenario": holding.scenario,
        "since": holding.since.isoformat(),
        "holds": not holding.reserved,
        "residue": holding.residue,
    }


def _wanted(claim: Claim) -> str:
    match claim.kind:
        case ClaimKind.EXCLUSIVE:
            return f"{claim.name} alone"
        case ClaimKind.SHARED:
            return f"{claim.name} beside others"
        case ClaimKind.POOL:
            return f"{claim.slots} of the {claim.size} slots of {claim.name}"


def _held(obstacle: Obstacle) -> str:
    holding = obstacle.holding
    who = f"execution {holding.by} ({holding.scenario})"
    since = f"{holding.since.astimezone():%H:%M:%S}"
    if holding.reserved:
        return f"kept for {who}, which waits since {since}"
    if holding.residue:
        return f"held since {since} by {who}, which did not undo its faults: see `tcoord undo`"
    return f"held since {since} by {who}{_slots(obstacle.claim, holding)}"


def _slots(claim: Claim, holding: Holding) -> str:
    slots = holding.claim.slots
    return f", {slots} slot{'s' if slots > 1 else ''}" if claim.kind is ClaimKind.POOL else ""
