"""All that was seen during one execution, under the names that expressions use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import anyio

from test_coordination.domain.evidence import Sample, Snapshot
from test_coordination.domain.expressions import Fact
from test_coordination.domain.names import ProbeShape, probe_of, word
from test_coordination.domain.series import MISSING, Series
from test_coordination.domain.values import ProbeName, StepId


class Observations:
    """The series of each probe, the snapshots of each step, and the names that never change."""

    def __init__(self, fixed: Mapping[str, Fact], probes: Mapping[ProbeName, ProbeShape]) -> None:
        self._values = dict(fixed)
        self._series = {name: Series(shape.measured, shape.unit) for name, shape in probes.items()}
        self._changed = anyio.Event()

    def add(self, sample: Sample) -> None:
        """Keep ``sample`` and wake those who wait for one."""
        self._series[sample.probe].add(sample)
        self._wake()

    def add_snapshot(self, step: StepId, snapshot: Snapshot) -> None:
        """Make the state that ``step`` captured known to expressions."""
        self._values[f"snapshots.{word(step)}"] = as_fact(snapshot.state)
        self._wake()

    def add_outcome(self, step: StepId, outcome: str) -> None:
        """Make it known how ``step`` ended."""
        self._values[f"steps.{word(step)}.outcome"] = outcome
        self._wake()

    async def change(self) -> None:
        """Return when something new was seen."""
        await self._changed.wait()

    def seen_at(self, names: Iterable[str], origin: datetime, *, now: datetime) -> datetime | None:
        """Return when everything behind ``names`` was last looked at.

        None means that one of the probes has not been looked at since ``origin``. Names that
        no probe is behind are always known, and as they are ``now``.
        """
        looks = []
        for probe in {probe for name in names if (probe := probe_of(name)) in self._series}:
            samples = self._series[probe].between(origin)
            if not samples:
                return None
            looks.append(samples[-1].at)
        return max(looks, default=now)

    def values(self, names: Iterable[str], *, start: datetime | None) -> Mapping[str, Fact]:
        """Return the values of ``names``, figures over what was sampled from ``start`` on.

        What is missing is left out.
        """
        found: dict[str, Fact] = {}
        for name in names:
            probe = probe_of(name)
            if probe in self._series:
                figure = name.removeprefix(f"probes.{probe}.")
                value = self._series[probe].figure(figure, start=start)
                if value is not MISSING:
                    found[name] = as_fact(value)
            elif name in self._values:
                found[name] = self._values[name]
        return found

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


def as_fact(value: object) -> Fact:
    """Return a captured or sampled value as expressions see it; keys as `word` spells them."""
    match value:
        case Mapping():
            return {word(str(key)): as_fact(inner) for key, inner in value.items()}
        case list() | tuple():
            return tuple(as_fact(inner) for inner in value)
        case None | str() | int() | float() | datetime():
            return value
        case _:
            return str(value)
