from test_coordination.application.controls import Hearing
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.definitions import (
    DefinitionFilter,
    DefinitionKindError,
    Shelf,
    StoredScenario,
)
from test_coordination.application.dependencies import DependencyNotMetError
from test_coordination.application.differences import VersionDifference
from test_coordination.application.outlook import Outlook
from test_coordination.application.snapshots import ValidationResult
from test_coordination.application.suite_runs import EntryResult, SuiteResult, SuiteRunId
from test_coordination.application.timetable import Firing, FiringState, StoredSchedule
from test_coordination.domain.due import Occasion
from test_coordination.domain.errors import CoordinationError, InvalidDocumentError
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import Execution
from test_coordination.domain.report import TestReport
from test_coordination.domain.scenario import DocumentKind, Part
from test_coordination.domain.schedule import (
    AfterExecution,
    At,
    Blackout,
    Closure,
    Cron,
    Every,
    Misfire,
    MisfirePolicy,
    OnChange,
    OnEvent,
    Overlap,
    Rules,
    Schedule,
)
from test_coordination.domain.values import ExecutionId, ScenarioId, ScheduleId, SnapshotId
from test_coordination.domain.verdicts import Finding, Verdict
from test_coordination.program import open_coordinator
from test_coordination.settings import Settings

__all__ = [
    "AfterExecution",
    "At",
    "Blackout",
    "Closure",
    "CoordinationError",
    "Coordinator",
    "Cron",
    "DefinitionFilter",
    "DefinitionKindError",
    "DependencyNotMetError",
    "DocumentKind",
    "EntryResult",
    "Every",
    "Execution",
    "ExecutionId",
    "Finding",
    "Firing",
    "FiringState",
    "Hearing",
    "InvalidDocumentError",
    "Misfire",
    "MisfirePolicy",
    "Occasion",
    "OnChange",
    "OnEvent",
    "Outlook",
    "Overlap",
    "Part",
    "Rules",
    "ScenarioId",
    "Schedule",
    "ScheduleId",
    "Settings",
    "Shelf",
    "SnapshotId",
    "StoredScenario",
    "StoredSchedule",
    "SuiteResult",
    "SuiteRunId",
    "TestReport",
    "Validation",
    "ValidationResult",
    "Verdict",
    "VersionDifference",
    "open_coordinator",
]
