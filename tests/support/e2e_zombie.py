"""``tcoord``, but at its end it tells how many writes to the log were accepted and refused."""

from __future__ import annotations

import atexit
import sys
from collections import Counter
from collections.abc import Sequence

from test_coordination.__main__ import main
from test_coordination.adapters.postgres.executions import PostgresExecutionLog
from test_coordination.application.ports import LogConflictError
from test_coordination.domain.events import Entry
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId

TOLD = "writes to {execution}: {accepted} accepted, {refused} refused"


def count_writes() -> None:
    """Count what is appended, and print it on standard error when the program ends."""
    accepted: Counter[ExecutionId] = Counter()
    refused: Counter[ExecutionId] = Counter()
    append = PostgresExecutionLog.append

    async def counted(
        self: PostgresExecutionLog,
        written: Sequence[Entry],
        *,
        leading_to: Execution,
        epoch: int,
    ) -> None:
        try:
            await append(self, written, leading_to=leading_to, epoch=epoch)
        except LogConflictError:
            refused[leading_to.id] += len(written)
            raise
        accepted[leading_to.id] += len(written)

    def tell() -> None:
        for each in {**accepted, **refused}:
            told = TOLD.format(execution=each, accepted=accepted[each], refused=refused[each])
            print(told, file=sys.stderr)

    PostgresExecutionLog.append = counted  # type: ignore[method-assign,assignment]  # it appends as before
    atexit.register(tell)


if __name__ == "__main__":
    count_writes()
    main()
