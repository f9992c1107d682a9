"""The report as JUnit XML: one test case a check, for build servers that read nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from xml.etree import ElementTree as ET

from test_coordination.adapters.rendering.figures import FINDINGS, verdict_reason, verdict_word
from test_coordination.adapters.rendering.wording import (
    clip,
    duration,
    rfc3339,
    shown,
    signed_margin,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.report import TestReport
from test_coordination.domain.verdicts import Finding, Severity, Verdict

NAME_MAX: Final = 300
TEXT_MAX: Final = 2000

_OUTCOMES: Final = ("failure", "error", "skipped")
# Whatever its checks say, an execution that ended so is no success.
_ERRORS: Final = frozenset({Verdict.COULD_NOT_RUN, Verdict.STOPPED, Verdict.RESIDUE})


def render_junit(report: TestReport) -> bytes:
    """Return ``report`` as a test suite.

    A check that could not be judged is skipped, and so is a broken one that only informs: it has
    no say in the verdict either. An execution that could not run, was stopped, or left a fault
    behind is an error of a test case of its own, ``execution``.
    """
    scenario = clip(report.scenario, NAME_MAX)
    cases = [_case(check, scenario) for check in report.validations]
    if report.verdict in _ERRORS or not cases:
        cases.append(_execution(report, scenario))
    suite = ET.Element("testsuite", _totals(report, cases, name=scenario))
    suite.append(_properties(report))
    suite.extend(cases)
    suites = ET.Element("testsuites", {**_counts(cases), "name": scenario})
    suites.append(suite)
    ET.indent(suites)
    written: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _counts(cases: list[ET.Element]) -> dict[str, str]:
    failures, errors, skipped = (
        sum(case.find(outcome) is not None for case in cases) for outcome in _OUTCOMES
    )
    return {
        "tests": str(len(cases)),
        "failures": str(failures),
        "errors": str(errors),
        "skipped": str(skipped),
    }


def _totals(report: TestReport, cases: list[ET.Element], *, name: str) -> dict[str, str]:
    totals = {"name": name, **_counts(cases)}
    if report.took is not None:
        totals["time"] = _seconds(report.took)
    totals["timestamp"] = rfc3339(report.started_at or report.requested_at)
    return totals


def _properties(report: TestReport) -> ET.Element:
    named = {
        "execution": str(report.execution),
        "title": report.title,
        "version": str(report.version),
        "digest": report.digest,
        "topology": report.topology,
        "verdict": report.verdict.value if report.verdict else "",
        "reason": report.reason,
        "requested_by": report.requested_by,
        "faults": str(len(report.faults)),
        "faults_not_proven_undone": str(len(report.residue)),
        **{f"parameter.{name}": shown(value) for name, value in report.parameters.items()},
    }
    properties = ET.Element("properties")
    for name, value in named.items():
        ET.SubElement(
            properties,
            "property",
            {"name": clip(name, NAME_MAX), "value": clip(value, NAME_MAX)},
        )
    return properties


def _case(check: Validation, scenario: str) -> ET.Element:
    """Return the test case of ``check``; the phase is in its name, for some are judged in two."""
    name = f"{clip(check.check, NAME_MAX)} ({check.phase.value})"
    case = ET.Element("testcase", {"classname": scenario, "name": name})
    if check.began_at is not None and check.ended_at is not None:
        case.set("time", _seconds(check.ended_at - check.began_at))
    sentence = _sentence(check)
    match check.finding:
        case Finding.BROKEN if check.severity is Severity.INFO:
            _outcome(case, "skipped", f"for information only: {sentence}")
        case Finding.BROKEN:
            _outcome(case, "failure", sentence, type_=check.severity.value)
        case Finding.INCONCLUSIVE | Finding.NOT_RUN:
            _outcome(case, "skipped", sentence)
        case Finding.HELD:
            ET.SubElement(case, "system-out").text = sentence
    return case


def _execution(report: TestReport, scenario: str) -> ET.Element:
    case = ET.Element("testcase", {"classname": scenario, "name": "execution"})
    sentence = f"{verdict_word(report).lower()}: {clip(verdict_reason(report), TEXT_MAX)}"
    if report.verdict in _ERRORS:
        _outcome(case, "error", sentence, type_=report.verdict.value if report.verdict else "")
    elif report.verdict is not Verdict.HELD:
        _outcome(case, "skipped", sentence)
    return case


def _outcome(case: ET.Element, tag: str, sentence: str, *, type_: str = "") -> None:
    """Say ``sentence`` in the message and in the body: readers differ in which they show."""
    outcome = ET.SubElement(case, tag, {"message": sentence})
    if type_:
        outcome.set("type", type_)
    outcome.text = sentence


def _sentence(check: Validation) -> str:
    timed = isinstance(check.observed, timedelta) or isinstance(check.limit, timedelta)
    parts = [f"{FINDINGS[check.finding]}: {clip(check.expression, TEXT_MAX)}"]
    if check.observed is not None:
        parts.append(f"observed {shown(check.observed)}")
    if check.margin is not None:
        parts.append(f"margin {signed_margin(check.margin, is_duration=timed)}")
    if check.took is not None:
        parts.append(f"held after {duration(check.took)}")
    if check.reason:
        parts.append(clip(check.reason, TEXT_MAX))
    return "; ".join(parts)


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():.3f}"
