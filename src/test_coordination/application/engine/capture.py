"""Capture the state of services: what that is, their topology entries say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import anyio

from test_coordination.application.engine.sampler import Probing
from test_coordination.application.ports import Identities
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.evidence import Snapshot
from test_coordination.domain.topology import Service, StateSource
from test_coordination.domain.values import ExecutionId, ServiceName, SnapshotId, StepId

PART_LIMIT: Final = timedelta(seconds=10)
"""How long one part of one service's state may take to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """What is needed to capture state."""

    probing: Probing
    identities: Identities

    async def take(
        self,
        services: Iterable[ServiceName],
        *,
        execution: ExecutionId | None = None,
        step: StepId | None = None,
    ) -> Snapshot:
        """Return the state of ``services``, all parts read at once.

        The parts are consistent each in itself, not with each other. What could not be read is
        left out, and said in the snapshot's problems; secrets are left out of both.
        """
        taken_at = self.probing.clock.now()
        state: dict[ServiceName, dict[str, object]] = {}
        problems: list[str] = []

        async def part(service: Service, name: str, source: StateSource) -> None:
            try:
                with anyio.fail_after(PART_LIMIT.total_seconds()):
                    kind = self.probing.catalogue.probes[source.kind]
                    found = await kind.capture(self.probing.topology, source.parameters)
            except (CoordinationError, TimeoutError) as error:
                why = str(error) or f"no answer within {PART_LIMIT.total_seconds():g} s"
                problems.append(f"{service.name}.{name}: {why}")
            else:
                state[service.name][name] = found

        async with anyio.create_task_group() as group:
            for service in map(self.probing.topology.service, services):
                state[service.name] = {}
                for name, source in service.state.items():
                    group.start_soon(part, service, name, source)
        taken = Snapshot(
            id=SnapshotId(self.identities.new()),
            taken_at=taken_at,
            state=state,
            execution=execution,
            step=step,
            problems=tuple(sorted(problems)),
        )
        return self.probing.vault.conceal_snapshot(taken)
