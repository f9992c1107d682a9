"""Use cases on snapshots: capture the state of the system, and judge it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from test_coordination.application.engine.checks import look_at
from test_coordination.application.engine.observations import as_fact
from test_coordination.application.engine.trial import Look, Trial
from test_coordination.application.world import World
from test_coordination.domain.evidence import Snapshot, Validation
from test_coordination.domain.expressions import Fact, Kind
from test_coordination.domain.names import state_names, word
from test_coordination.domain.plan import PlannedCheck
from test_coordination.domain.topology import Invariant
from test_coordination.domain.values import SnapshotId
from test_coordination.domain.verdicts import Finding, Phase, Verdict, worst


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """What the invariants say of one snapshot."""

    snapshot: SnapshotId
    verdict: Verdict
    validations: tuple[Validation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """The state of the system under test, at one time."""

    world: World

    async def capture(self, services: Iterable[str]) -> SnapshotId:
        """Capture and store the state of ``services``; all of them if none is named.

        Raises:
            NoTopologyError: there is no system under test.
            UnknownServiceError: a service is not one of it.
        """
        topology = self.world.topology(doing="capturing state")
        named = [topology.service(name).name for name in services] or list(topology.services)
        snapshot = await self.world.camera(topology).take(named)
        await self.world.evidence.add_snapshot(snapshot)
        return snapshot.id

    async def validate(
        self, identity: SnapshotId, expectations: Sequence[Invariant] | None = None
    ) -> ValidationResult:
        """Judge a snapshot by ``expectations``, or by the invariants of its topology.

        Raises:
            NotFoundError: no snapshot has that name.
            InvalidExpressionError: an expectation is wrong.
            NoTopologyError: there is no system under test.
        """
        topology = self.world.topology(doing="validating state")
        snapshot = await self.world.evidence.snapshot(identity)
        chosen = topology.invariants if expectations is None else expectations
        names, values = state_names(topology), _values(snapshot)
        validations = []
        for each in chosen:
            program = self.world.expressions.compile(each.expression, names, expected=Kind.BOOLEAN)
            look = look_at(program, values, snapshot.taken_at)
            validations.append(_validation(each, look))
        verdict = worst((each.finding, each.severity) for each in validations)
        return ValidationResult(snapshot=identity, verdict=verdict, validations=tuple(validations))


def _validation(invariant: Invariant, look: Look) -> Validation:
    check = PlannedCheck(
        id=invariant.id,
        expression=invariant.expression.text,
        mark=invariant.expression.mark,
        severity=invariant.severity,
    )
    finding = {True: Finding.HELD, False: Finding.BROKEN, None: Finding.INCONCLUSIVE}[look.truth]
    trial = Trial(check=check, origin=look.at, last=look)
    return trial.validation(finding, look.at, phase=Phase.AFTER, step=None)


def _values(snapshot: Snapshot) -> dict[str, Fact]:
    return {
        f"services.{word(service)}.{word(part)}": as_fact(found)
        for service, parts in snapshot.state.items()
        for part, found in parts.items()
    }
