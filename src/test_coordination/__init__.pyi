from test_coordination.application.coordinator import Coordinator
from test_coordination.application.definitions import (
    DefinitionFilter,
    DefinitionKindError,
    Shelf,
    StoredScenario,
)
from test_coordination.application.dependencies import DependencyNotMetError
from test_coordination.application.differences import VersionDifference
from test_coordination.application.snapshots import ValidationResult
from test_coordination.application.suite_runs import EntryResult, SuiteResult, SuiteRunId
from test_coordination.domain.errors import CoordinationError, InvalidDocumentError
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import Execution
from test_coordination.domain.report import TestReport
from test_coordination.domain.scenario import DocumentKind, Part
from test_coordination.domain.values import ExecutionId, ScenarioId, SnapshotId
from test_coordination.domain.verdicts import Finding, Verdict
from test_coordination.program import open_coordinator
from test_coordination.settings import Settings

__all__ = [
    "CoordinationError",
    "Coordinator",
    "DefinitionFilter",
    "DefinitionKindError",
    "DependencyNotMetError",
    "DocumentKind",
    "EntryResult",
    "Execution",
    "ExecutionId",
    "Finding",
    "InvalidDocumentError",
    "Part",
    "ScenarioId",
    "Settings",
    "Shelf",
    "SnapshotId",
    "StoredScenario",
    "SuiteResult",
    "SuiteRunId",
    "TestReport",
    "Validation",
    "ValidationResult",
    "Verdict",
    "VersionDifference",
    "open_coordinator",
]
