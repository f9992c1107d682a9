"""What the files for machines and for builds promise their readers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from support.report_page import monstrous_file
from support.report_samples import SAMPLES, broken, held, residue
from support.report_story import START, judged
from test_coordination.adapters.rendering.render import render
from test_coordination.domain.events import EVENTS
from test_coordination.domain.report import TestReport
from test_coordination.domain.verdicts import Finding, Severity

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/reference/report.schema.json").read_text())
TABLE_ROW = re.compile(r"^\| .* \|$", re.MULTILINE)


def document(report: TestReport) -> Any:
    return json.loads(render(report, "json"))


def suite(report: TestReport) -> ET.Element:
    found = ET.fromstring(render(report, "junit")).find("testsuite")
    assert found is not None
    return found


# JSON


@pytest.mark.parametrize("sample", SAMPLES)
def test_json_keeps_to_its_schema(sample: str) -> None:
    Draft202012Validator.check_schema(SCHEMA)

    Draft202012Validator(SCHEMA).validate(document(SAMPLES[sample]()))


def test_monstrous_json_keeps_to_its_schema_and_counts_what_it_leaves_out() -> None:
    found = json.loads(monstrous_file("json"))

    Draft202012Validator(SCHEMA).validate(found)
    assert found["log_left_out"] == 100_000 - len(found["log"]) > 0
    assert found["parameters"]["inf"] is None
    assert b"NaN" not in monstrous_file("json")


def test_the_schema_knows_every_event() -> None:
    named = {each["$ref"].rsplit("event.", 1)[1] for each in SCHEMA["$defs"]["event"]["oneOf"]}

    assert named == set(EVENTS)
    for name, kind in EVENTS.items():
        fields = set(SCHEMA["$defs"][f"event.{name}"]["properties"]) - {"type"}
        assert fields == set(kind.__dataclass_fields__)


def test_json_has_utc_times_and_durations_in_seconds() -> None:
    found = document(held())

    assert list(found)[:3] == ["schema_version", "execution", "scenario"]
    assert found["started_at"] == "2026-09-14T13:05:22.123000Z"
    assert found["took_s"] == 47.6
    assert [check["took_s"] for check in found["validations"] if check["took_s"]] == [2.7, 5.2]
    assert found["checks"] == {"held": 7, "broken": 0, "inconclusive": 0, "not_run": 0}
    assert document(residue())["residue"] == ["restart"]


def test_json_can_carry_any_fact() -> None:
    odd = {"at": START, "span": timedelta(seconds=2), "id": UUID(int=1), "set": {1}, "no": None}

    found = document(replace(held(), parameters=odd))["parameters"]

    assert found["at"] == "2026-09-14T13:05:22.123000Z"
    assert found["span"] == {"duration_s": 2.0}
    assert found["id"] == "00000000-0000-0000-0000-000000000001"
    assert found["set"] == "{1}"
    assert found["no"] is None


# JUnit


def test_junit_has_a_test_case_a_check() -> None:
    found = suite(broken())

    cases = {case.get("name"): case for case in found.iter("testcase")}
    assert found.get("tests") == str(len(cases)) == "7"
    assert (found.get("failures"), found.get("skipped"), found.get("errors")) == ("1", "1", "0")
    assert {case.get("classname") for case in cases.values()} == {"exchange-restart-under-load"}
    failure = cases["nothing-lost (after)"].find("failure")
    skipped = cases["fast-again (during)"].find("skipped")
    assert failure is not None
    assert skipped is not None
    assert failure.text == failure.get("message")
    assert "17 acknowledged orders are not in" in (failure.text or "")
    assert "observed 301.7" in (skipped.get("message") or "")
    assert len(list(cases["healthy (after)"])) == 1


@pytest.mark.parametrize(
    ("sample", "tag", "words"),
    [
        ("could_not_run", "error", "connection refused"),
        ("residue", "error", "not proven to be undone"),
        ("stopped", "error", "stopped by jonas"),
    ],
)
def test_an_execution_that_went_wrong_is_an_error_of_its_own(
    sample: str, tag: str, words: str
) -> None:
    found = suite(SAMPLES[sample]())

    case = next(case for case in found.iter("testcase") if case.get("name") == "execution")
    assert words in (case.findtext(tag) or "")
    assert found.get("errors") == "1"


def test_a_broken_check_that_only_informs_fails_no_build() -> None:
    only = judged("size", Finding.BROKEN, "false", severity=Severity.INFO)

    found = suite(replace(held(), validations=(only,)))

    assert found.get("failures") == "0"
    assert found.get("skipped") == "1"


def test_junit_is_valid_xml_for_any_text() -> None:
    found = ET.fromstring(monstrous_file("junit")).find("testsuite")

    assert found is not None
    assert (found.get("name") or "").startswith("<script>alert(1)</script>]]>red")


# Markdown


@pytest.mark.parametrize("sample", SAMPLES)
def test_markdown_starts_at_the_third_level(sample: str) -> None:
    text = render(SAMPLES[sample](), "markdown").decode()

    assert text.startswith("### ")
    assert not re.search(r"^##? ", text, re.MULTILINE)
    assert text.count("<details>") == text.count("</details>")


def test_markdown_of_a_broken_report_names_the_check() -> None:
    text = render(broken(), "markdown").decode()

    assert "❌ Broken" in text
    assert "17 acknowledged orders are not in the exchange's books" in text
    assert "5 checks held" in text
    assert "CAUTION" in render(residue(), "markdown").decode()


def test_monstrous_markdown_is_cut_and_its_text_stays_text() -> None:
    found = monstrous_file("markdown")
    text = found.decode()
    columns = {row.count("|") for row in TABLE_ROW.findall(text)}

    assert len(found) < 64_000
    assert "does not fit here" in text
    assert "<script" not in text
    assert "<img" not in text
    assert "](javascript" not in text
    assert "`" not in text
    assert columns <= {6, 7, 9}
