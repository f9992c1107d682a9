"""Samples and snapshots in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from test_coordination.adapters.codec import decode_facts, decode_state, encode, storable
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.evidence import Sample, Snapshot
from test_coordination.domain.values import ExecutionId, ProbeName, SnapshotId


class MemoryEvidence:
    """An `Evidence` that lasts as long as it is referred to."""

    def __init__(self) -> None:
        self._samples: dict[ExecutionId, dict[tuple[datetime, ProbeName], Sample]] = {}
        self._snapshots: dict[SnapshotId, Snapshot] = {}

    async def add_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """See `Evidence.add_samples`."""
        kept = self._samples.setdefault(execution, {})
        for sample in samples:
            fields = decode_facts(encode(sample.fields))
            clean = replace(sample, fields=fields, error=storable(sample.error))
            kept.setdefault((sample.at, sample.probe), clean)

    async def samples(self, execution: ExecutionId) -> Sequence[Sample]:
        """See `Evidence.samples`."""
        kept = self._samples.get(execution, {})
        return [kept[key] for key in sorted(kept)]

    async def add_snapshot(self, snapshot: Snapshot) -> None:
        """See `Evidence.add_snapshot`."""
        state = decode_state(encode(snapshot.state))
        clean = replace(snapshot, state=state, problems=tuple(map(storable, snapshot.problems)))
        self._snapshots.setdefault(snapshot.id, clean)

    async def snapshot(self, snapshot: SnapshotId) -> Snapshot:
        """See `Evidence.snapshot`."""
        try:
            return self._snapshots[snapshot]
        except KeyError:
            raise NotFoundError(kind="snapshot", identity=str(snapshot)) from None
