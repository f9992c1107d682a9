"""What the reports promise their readers, in every format and for the worst of contents."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from support.report_monster import HOSTILE, monster
from support.report_samples import SAMPLES, broken, could_not_run, held, residue, stopped
from support.report_story import START, judged
from test_coordination.adapters.rendering.charts import (
    TimeAxis,
    ValueAxis,
    fitted,
    gaps,
    runs,
    text_width,
)
from test_coordination.adapters.rendering.figures import figures, follow_faults
from test_coordination.adapters.rendering.logbook import both_ends
from test_coordination.adapters.rendering.render import FORMATS, UnknownFormatError, render
from test_coordination.adapters.rendering.series_track import limits
from test_coordination.adapters.rendering.wording import (
    clean,
    clip,
    duration,
    fact,
    instant,
    number,
    offset,
    shown,
)
from test_coordination.domain.events import EVENTS, Entry, Noted, SnapshotTaken
from test_coordination.domain.evidence import Finding
from test_coordination.domain.execution import Status
from test_coordination.domain.report import TestReport
from test_coordination.domain.scenario import Severity
from test_coordination.domain.values import SnapshotId, StepId

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/reference/report.schema.json").read_text())
CSS = (ROOT / "src/test_coordination/adapters/rendering/templates/report.css").read_text()
VOID = {"meta", "br", "img", "link", "input", "hr"}
TABLE_ROW = re.compile(r"^\| .* \|$", re.MULTILINE)


class Page(HTMLParser):
    """The elements of a page, which must be nested as they should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self._open else ""

    def values(self, attribute: str) -> list[str]:
        return [found for _, attributes in self.elements if (found := attributes.get(attribute))]

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


@cache
def monstrous() -> TestReport:
    return monster()


@cache
def monstrous_file(name: str) -> bytes:
    return render(monstrous(), name)


def page(report: TestReport) -> Page:
    return Page(render(report, "html").decode())


def document(report: TestReport) -> Any:
    return json.loads(render(report, "json"))


def suite(report: TestReport) -> ET.Element:
    found = ET.fromstring(render(report, "junit")).find("testsuite")
    assert found is not None
    return found


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_same_report_gives_the_same_bytes(name: str, sample: str) -> None:
    first, second = render(SAMPLES[sample](), name), render(SAMPLES[sample](), name)

    assert first == second
    assert first


def test_a_format_that_nobody_writes_is_refused_with_a_hint() -> None:
    with pytest.raises(UnknownFormatError, match="did you mean 'html'") as refused:
        render(held(), "htm")

    assert refused.value.code == "report.unknown_format"


@pytest.mark.parametrize("name", FORMATS)
def test_a_monstrous_report_stays_small_and_quick(name: str) -> None:
    report = monstrous()
    begun = time.process_time()

    size = len(render(report, name))

    assert time.process_time() - begun < 5  # two seconds on an idle machine
    assert size < 15_000_000


# HTML


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_page_needs_nothing_but_itself(sample: str) -> None:
    text = render(SAMPLES[sample](), "html").decode()
    found = Page(text)

    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    assert not found.tags() & {"script", "link", "img", "iframe", "object", "embed", "form", "a"}
    assert all(target.startswith("#") for target in found.values("href"))
    assert not re.search(r"@import|url\((?!#)", CSS)


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_a_page_points_at_is_there_once(sample: str) -> None:
    found = page(SAMPLES[sample]())
    ids = found.values("id")
    pointed = {name for names in found.values("aria-labelledby") for name in names.split()}
    pointed |= {target[1:] for target in found.values("href")}
    pointed |= set(re.findall(r"url\(#([^)]+)\)", " ".join(found.values("style"))))
    pointed |= set(re.findall(r"url\(#([^)]+)\)", " ".join(found.values("fill"))))

    assert len(ids) == len(set(ids))
    assert pointed <= set(ids)


@pytest.mark.parametrize("sample", SAMPLES)
def test_headings_are_in_order_and_tables_have_scopes(sample: str) -> None:
    found = page(SAMPLES[sample]())
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in attributes for tag, attributes in found.elements if tag == "th")


def test_a_page_tells_the_verdict_and_why() -> None:
    text = page(broken()).text

    assert "Broken" in text
    assert "nothing-lost is broken: 17 acknowledged orders" in text
    assert "exchange-restart-under-load · version 4" in text
    assert "2026-09-14 13:05:22.123 UTC" in text
    assert "47.6 s" in text
    assert "−17" in text  # noqa: RUF001  the margin


def test_residue_stands_above_everything_else() -> None:
    text = page(residue()).text

    assert text.index("1 fault not proven to be undone") < text.index("The exchange restarts while")
    assert "pid 4893 does not answer" in text
    assert "not proven to be undone" not in page(held()).text


def test_sections_without_content_are_left_out() -> None:
    text = page(could_not_run()).text

    assert "connection refused" in text
    for heading in ("Checks\n", "Faults\n", "Snapshot differences", "Notes", "Samples"):
        assert heading not in text


def test_a_report_of_nothing_at_all_is_still_a_page() -> None:
    bare = replace(
        could_not_run(),
        verdict=None,
        reason="",
        status=Status.PENDING,
        started_at=None,
        ended_at=None,
        parameters={},
        steps=(),
        log=(),
        source="",
    )

    text = page(bare).text

    assert "Not judged" in text
    assert "Timeline" not in text
    for name in ("json", "junit", "markdown"):
        assert render(bare, name)


def test_what_is_unknown_is_a_dash_and_never_zero() -> None:
    shown_figures = {figure.name: figure.value for figure in figures(stopped())}

    assert shown_figures["Recovery"] == "–"  # noqa: RUF001  a dash, for people
    assert shown_figures["Longest excursion"] == "–"  # noqa: RUF001  a dash, for people


def test_only_checks_behind_a_fault_count_as_recovery() -> None:
    report = held()
    early = judged("early", Finding.HELD, "true", took_s=99, step_id="warm-up")

    found = follow_faults(replace(report, validations=(*report.validations, early)))

    assert [each.check for each in found] == ["back", "fast-again"]
    assert {each.name: each.value for each in figures(report)}["Slowest recovery"] == "5.2 s"


def test_hostile_text_stays_text() -> None:
    text = monstrous_file("html").decode()
    found = Page(text)

    assert not found.tags() & {"script", "img", "iframe", "a"}
    assert not [name for _, names in found.elements for name in names if name.startswith("on")]
    assert "<script>alert(1)</script>" in found.text
    assert "49" not in re.findall(r"<!-- --> (\S+)", found.text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", text)
    assert "[31m" not in text


def test_a_page_says_what_it_leaves_out() -> None:
    text = monstrous_file("html").decode()

    assert "98,000 entries are left out here: a page holds the first 1,000 and the last 1,000" in (
        text
    )
    assert "Drawn here: 60 of 1,000 steps, 24 of 30 probe series" in text
    assert "9 more changes left out" in text


def palette(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", block))


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


LIGHT = palette(CSS.split("}", 1)[0])
DARK = LIGHT | palette(CSS.split("prefers-color-scheme:dark", 1)[1].split("}", 1)[0])
PAIRS = [
    *((ink, "card") for ink in ("ink", "mut", "faint", "ok", "warn", "bad", "fault")),
    ("faint", "bg"),
    ("on-fault", "fault"),
    ("mut", "raise"),
    *((ink, f"{ink}-s") for ink in ("ok", "warn", "bad", "acc")),
    *(("ink", f"{ground}-s") for ground in ("ok", "warn", "bad", "acc")),
]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_has_enough_contrast(colours: dict[str, str], ink: str, ground: str) -> None:
    dark, light = sorted((luminance(colours[ink]), luminance(colours[ground])))

    assert (light + 0.05) / (dark + 0.05) >= 4.5


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
    assert columns <= {6, 7, 9}


# Words and scales


@pytest.mark.parametrize(
    ("length_s", "said"),
    [
        (0, "0 s"),
        (0.0004, "0.4 ms"),
        (0.34, "340 ms"),
        (0.9996, "1.0 s"),
        (5.2, "5.2 s"),
        (59.96, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3785, "1 h 3 min"),
        (90_000, "1 d 1 h"),
        (-2, "−2.0 s"),  # noqa: RUF001  a minus sign, for people
    ],
)
def test_durations_are_put_as_one_says_them(length_s: float, said: str) -> None:
    assert duration(timedelta(seconds=length_s)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (18_204, "18,204"),
        (212.4, "212.4"),
        (0.03125, "0.03125"),
        (1234.5678, "1,235"),
        (1e20, "1e+20"),
        (float("nan"), "–"),  # noqa: RUF001  a dash, for people
        (-0.5, "-0.5"),
    ],
)
def test_numbers_have_the_digits_that_help(value: float, said: str) -> None:
    assert number(value) == said


def test_times_are_utc_to_the_millisecond() -> None:
    assert instant(START) == "2026-09-14 13:05:22.123 UTC"
    assert offset(START + timedelta(seconds=14.3), START) == "+14.300 s"
    assert offset(START, None) == "2026-09-14 13:05:22.123 UTC"
    assert shown(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 00:00:00.000 UTC"


def test_facts_keep_their_numbers_bare() -> None:
    assert (fact(4711), fact(4711.5), fact({"a": True}), fact("")) == (
        "4711",
        "4,712",
        '{"a": true}',
        '""',
    )
    assert fact(UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
    assert shown(18_204) == "18,204"


def test_foreign_text_is_cleaned_and_cut() -> None:
    assert clean(HOSTILE).startswith("<script>alert(1)</script>]]>red\ufffd\U0001f480")
    assert clean("a\x1b]0;title\x07b") == "ab"
    assert clip("abcdef", 3) == "abc… (3 more characters)"


def test_gaps_reach_from_the_last_known_value_to_the_next() -> None:
    points = ((0.0, 1.0), (1.0, None), (2.0, None), (3.0, 4.0), (4.0, None))

    assert list(gaps(points, 6)) == [(0.0, 3.0), (3.0, 6)]
    assert list(runs(points)) == [[(0.0, 1.0)], [(3.0, 4.0)]]


def test_limits_are_drawn_only_where_they_bound_what_is_shown() -> None:
    series = {each.probe: each for each in held().series}

    latency = limits(series["order_latency"], held().validations)  # type: ignore[index]  # a name is a string
    lost = limits(series["lost_orders"], held().validations)  # type: ignore[index]  # a name is a string

    assert [(bound.figure, bound.relation, bound.value) for bound in latency] == [
        ("p95_ms", "<", 250.0)
    ]
    assert [bound.figure for bound in lost] == ["last.value"]


@given(span_s=st.floats(0.001, 1e7), most=st.integers(3, 20))
def test_an_axis_has_few_round_ticks_within_its_span(span_s: float, most: int) -> None:
    axis = TimeAxis(span_s=span_s, left=100, right=1000)

    ticks = axis.ticks(most)

    assert 1 <= len(ticks) <= most + 1
    assert all(100 <= axis.x(at_s) <= 1000 for at_s, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1))
def test_a_scale_holds_every_value(values: list[float]) -> None:
    scale = ValueAxis.over(values, top=0, bottom=100)

    assert scale.low <= min(values) + 1e-6 * abs(min(values))
    assert scale.high >= max(values) - 1e-6 * abs(max(values))
    assert 2 <= len(scale.ticks()) <= 8


@given(st.text(max_size=200), st.floats(30, 400))
def test_fitted_text_is_never_wider_than_its_room(text: str, width: float) -> None:
    assert text_width(fitted(text, width, 12), 12) <= width


@given(count=st.integers(0, 50), budget=st.integers(0, 60))
def test_a_long_log_keeps_its_two_ends(count: int, budget: int) -> None:
    log = [Entry(position=n, at=START, event=Noted(text="")) for n in range(1, count + 1)]

    kept = both_ends(log, budget=budget)

    assert len(kept.head) + len(kept.tail) == min(count, budget)
    assert kept.left_out == count - min(count, budget)
    assert [*kept.head, *kept.tail] == log[: len(kept.head)] + log[count - len(kept.tail) :]


def test_the_log_shows_what_an_event_carries() -> None:
    taken = SnapshotTaken(step=StepId("s"), snapshot=SnapshotId(UUID(int=5)), services=())
    entry = Entry(position=1, at=START, event=taken)

    text = page(replace(held(), log=(entry,))).text

    assert "snapshot taken" in text
    assert "00000000-0000-0000-0000-000000000005" in text
