"""Break services on purpose, watch, undo every fault, and prove that the system recovered.

```python
async with open_coordinator(topology="topology.yaml") as coordinator:
    scenario = await coordinator.create_scenario(text)
    execution = await coordinator.execute_scenario(scenario, {"outage": "5s"})
    async for entry in coordinator.follow_execution(execution):
        print(entry.at, entry.event)
    report = await coordinator.generate_test_report(execution)
```
"""

from __future__ import annotations

from importlib import import_module

# Each name is imported when it is first asked for, so that `tcoord --help` waits for none of
# them. What type checkers read is `__init__.pyi`; a test keeps the two in step.
_HOMES = {
    "AfterExecution": "domain.schedule",
    "At": "domain.schedule",
    "Blackout": "domain.schedule",
    "Closure": "domain.schedule",
    "CoordinationError": "domain.errors",
    "Coordinator": "application.coordinator",
    "Cron": "domain.schedule",
    "DefinitionFilter": "application.definitions",
    "DefinitionKindError": "application.definitions",
    "DependencyNotMetError": "application.dependencies",
    "DocumentKind": "domain.scenario",
    "EntryResult": "application.suite_runs",
    "Every": "domain.schedule",
    "Execution": "domain.execution",
    "ExecutionId": "domain.values",
    "Finding": "domain.verdicts",
    "Firing": "application.timetable",
    "FiringState": "application.timetable",
    "Hearing": "application.controls",
    "InvalidDocumentError": "domain.errors",
    "Misfire": "domain.schedule",
    "MisfirePolicy": "domain.schedule",
    "Occasion": "domain.due",
    "OnChange": "domain.schedule",
    "OnEvent": "domain.schedule",
    "Outlook": "application.outlook",
    "Overlap": "domain.schedule",
    "Part": "domain.scenario",
    "Rules": "domain.schedule",
    "ScenarioId": "domain.values",
    "Schedule": "domain.schedule",
    "ScheduleId": "domain.values",
    "Settings": "settings",
    "Shelf": "application.definitions",
    "SnapshotId": "domain.values",
    "StoredScenario": "application.definitions",
    "StoredSchedule": "application.timetable",
    "SuiteResult": "application.suite_runs",
    "SuiteRunId": "application.suite_runs",
    "TestReport": "domain.report",
    "Validation": "domain.evidence",
    "ValidationResult": "application.snapshots",
    "Verdict": "domain.verdicts",
    "VersionDifference": "application.differences",
    "open_coordinator": "program",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    """Import a public name from the module that it lives in."""
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{home}"), name)
