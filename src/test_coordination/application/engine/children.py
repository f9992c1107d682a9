"""Run another scenario as a step: an execution of its own, judged by its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Protocol

import anyio

from test_coordination.application.engine.attempts import LOST, accompanied
from test_coordination.application.engine.verdict import accepted
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.evidence import Facts, Validation
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import ScenarioWork
from test_coordination.domain.values import CheckId, ExecutionId, StepId
from test_coordination.domain.verdicts import Finding, Phase, Verdict

_FINDINGS: Final[Mapping[Verdict, Finding]] = {
    Verdict.HELD: Finding.BROKEN,
    Verdict.BROKEN: Finding.BROKEN,
    Verdict.INCONCLUSIVE: Finding.INCONCLUSIVE,
}
"""What a verdict means for the check if it is not one of those that are accepted."""


class Children(Protocol):
    """The executions that are steps of one."""

    async def start(self, work: ScenarioWork, *, step: StepId) -> ExecutionId:
        """Begin an execution for ``step``, and return once it is on record.

        Raises:
            CoordinationError: it cannot be begun, and why.
        """
        ...

    async def find(self, step: StepId, *, since: datetime) -> ExecutionId | None:
        """Return the execution that another worker began for ``step`` at ``since`` or later.

        One that was begun before counts as long as it has not ended.

        Raises:
            StoreUnavailableError: it cannot be looked for.
        """
        ...

    async def result(self, execution: ExecutionId) -> Execution:
        """Return the execution once it has ended.

        Raises:
            CoordinationError: its end will not be known here; its faults are undone.
        """
        ...

    async def abort(self, execution: ExecutionId, *, reason: str) -> None:
        """Stop an execution: its faults are undone; return when the wish is durable.

        Raises:
            CoordinationError: the wish could not be recorded; it is stopped all the same.
        """
        ...


@dataclass(eq=False, kw_only=True)
class ChildFailedError(CoordinationError):
    """A scenario that was run as a step ended without being judged."""

    code: ClassVar[str] = "scenario.failed"

    scenario: str
    execution: ExecutionId
    verdict: Verdict
    reason: str

    def __str__(self) -> str:
        ended = self.verdict.replace("_", " ")
        return (
            f"scenario {self.scenario!r}, which was execution {self.execution}, ended as {ended}: "
            f"{self.reason}"
        )

    @property
    def facts(self) -> Facts:
        """Return what is known of it all the same."""
        return {"execution": str(self.execution), "verdict": str(self.verdict)}


@dataclass(eq=False, kw_only=True)
class ChildLostError(CoordinationError):
    """A scenario that was run as a step could not be begun, or not be followed to its end."""

    code: ClassVar[str] = "scenario.lost"

    scenario: str
    cause: str

    def __str__(self) -> str:
        return f"scenario {self.scenario!r} was begun as a step and lost sight of: {self.cause}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One scenario that is run as a step."""

    children: Children
    work: ScenarioWork
    parent: ExecutionId
    step: StepId

    async def run(self, over: anyio.Event, *, left: ExecutionId | None = None) -> Execution:
        """Return the execution at its end; it is stopped when ``over`` is set.

        It is begun, or gone on with if another worker has ``left`` it. If this is cancelled it is
        stopped, too, and its faults are undone when this raises.

        Raises:
            ChildFailedError: this was cancelled, and not all of its faults are proven undone.
            CoordinationError: it could not be begun, or its end is not known.
        """
        try:
            execution = left or await self.children.start(self.work, step=self.step)
            return await self._followed(execution, over)
        except LOST as error:
            raise ChildLostError(scenario=self.work.scenario, cause=str(error)) from error

    async def _followed(self, execution: ExecutionId, over: anyio.Event) -> Execution:
        async def stop() -> None:
            await over.wait()
            await self._abort(execution)

        async def result() -> Execution:
            return await self.children.result(execution)

        try:
            return await accompanied(result, stop)
        except anyio.get_cancelled_exc_class():
            ended: Execution | None = None
            with anyio.CancelScope(shield=True), suppress(CoordinationError):
                await self._abort(execution)
                ended = await self.children.result(execution)
            if ended is not None and ended.verdict is Verdict.RESIDUE:
                raise self._failed(ended, Verdict.RESIDUE) from None
            raise

    async def _abort(self, execution: ExecutionId) -> None:
        """Stop it; where that cannot be written down, its end tells so."""
        reason = f"step {self.step!r} of execution {self.parent}, which began it, was ended"
        with suppress(CoordinationError):
            await self.children.abort(execution, reason=reason)

    def judged(
        self, ended: Execution, *, phase: Phase, began_at: datetime, ended_at: datetime
    ) -> Validation:
        """Return what its verdict means for the execution that it is a step of.

        Raises:
            ChildFailedError: it was not judged at all, and that is not what was asked for; or it
                left something in force, which is a failure whatever was asked for.
        """
        verdict = ended.verdict
        assert verdict is not None, "it has ended"
        finding = Finding.HELD if verdict in self.work.verdicts else _FINDINGS.get(verdict)
        if finding is None or verdict is Verdict.RESIDUE:
            raise self._failed(ended, verdict)
        return Validation(
            check=CheckId(self.step),
            phase=phase,
            finding=finding,
            expression=accepted(self.work),
            step=self.step,
            observed=str(verdict),
            began_at=began_at,
            ended_at=ended_at,
            reason=f"its verdict is {verdict.replace('_', ' ')}: {ended.reason}",
        )

    def _failed(self, ended: Execution, verdict: Verdict) -> ChildFailedError:
        return ChildFailedError(
            scenario=self.work.scenario,
            execution=ended.id,
            verdict=verdict,
            reason=ended.reason,
        )
