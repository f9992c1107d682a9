from test_coordination.application.coordinator import Coordinator
from test_coordination.application.snapshots import ValidationResult
from test_coordination.domain.errors import CoordinationError, InvalidDocumentError
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import Execution
from test_coordination.domain.report import TestReport
from test_coordination.domain.values import ExecutionId, ScenarioId, SnapshotId
from test_coordination.domain.verdicts import Finding, Verdict
from test_coordination.program import open_coordinator
from test_coordination.settings import Settings

__all__ = [
    "CoordinationError",
    "Coordinator",
    "Execution",
    "ExecutionId",
    "Finding",
    "InvalidDocumentError",
    "ScenarioId",
    "Settings",
    "SnapshotId",
    "TestReport",
    "Validation",
    "ValidationResult",
    "Verdict",
    "open_coordinator",
]
