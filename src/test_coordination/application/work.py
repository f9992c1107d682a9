"""What one process is at, on behalf of whoever it lends a coordinator."""

from __future__ import annotations

from dataclasses import dataclass

from test_coordination.application.controls import Controls
from test_coordination.application.engine.sweep import Sweeper
from test_coordination.application.executions import Executions
from test_coordination.application.suite_runs import SuiteRuns
from test_coordination.domain.values import WorkerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a coordinator is at; ``me`` is the worker that it is."""

    me: WorkerId
    executions: Executions
    suites: SuiteRuns
    sweeper: Sweeper
    controls: Controls
