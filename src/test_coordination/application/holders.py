"""Who has an execution, and what that keeps others from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.values import ExecutionId, WorkerId


@dataclass(eq=False, kw_only=True)
class NotRunningHereError(CoordinationError):
    """An execution is to be stopped, and this coordinator is not the one that runs it."""

    code: ClassVar[str] = "execution.not_running_here"

    execution: ExecutionId

    def __str__(self) -> str:
        return (
            f"execution {self.execution} is not run by this process; press Ctrl-C where it runs, "
            "or see with `tcoord executions` whether it has ended"
        )


@dataclass(eq=False, kw_only=True)
class AttachedError(CoordinationError):
    """An execution is to be taken, and it belongs to the process that began it."""

    code: ClassVar[str] = "execution.attached"

    execution: ExecutionId

    def __str__(self) -> str:
        return (
            f"execution {self.execution} belongs to the process that began it and is not carried "
            "on by another; begin it detached to have any worker run it"
        )


@dataclass(eq=False, kw_only=True)
class LetGoError(CoordinationError):
    """This worker has let go of an execution before its end; another one carries it on."""

    code: ClassVar[str] = "execution.let_go"

    execution: ExecutionId
    reason: str

    def __str__(self) -> str:
        return (
            f"execution {self.execution} is left to another worker, for {self.reason}; "
            "follow it to see its end"
        )


@dataclass(eq=False, kw_only=True)
class NotEndedError(CoordinationError):
    """What an execution left is to be accepted, and it has not ended."""

    code: ClassVar[str] = "execution.not_ended"

    execution: ExecutionId

    def __str__(self) -> str:
        return (
            f"execution {self.execution} has not ended; only what could not be undone at its end "
            "can be accepted: stop it with `tcoord abort` first"
        )


@dataclass(eq=False, kw_only=True)
class HeldElsewhereError(CoordinationError):
    """An execution is to be taken, and another worker that may be alive has it."""

    code: ClassVar[str] = "execution.held_elsewhere"

    execution: ExecutionId
    worker: WorkerId

    def __str__(self) -> str:
        return (
            f"execution {self.execution} is held by worker {self.worker}, which may be alive; "
            "take it once that one has left or its lease has run out"
        )
