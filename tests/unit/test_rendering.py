"""What a report's page promises its readers, also with the worst of contents."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from support.report_page import Page, monstrous, monstrous_file, page
from support.report_samples import SAMPLES, broken, could_not_run, held, residue, stopped
from support.report_story import judged
from test_coordination.adapters.rendering.figures import figures, follow_faults
from test_coordination.adapters.rendering.layout import LAYOUTS
from test_coordination.adapters.rendering.render import FORMATS, UnknownFormatError, render
from test_coordination.domain.execution import Status
from test_coordination.domain.stretches import Pause
from test_coordination.domain.verdicts import Finding

ROOT = Path(__file__).parents[2]
CSS = (ROOT / "src/test_coordination/adapters/rendering/templates/report.css").read_text()


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


def test_a_pause_is_drawn_told_and_explained() -> None:
    report = held()
    assert report.started_at is not None
    assert report.ended_at is not None
    pauses = (
        Pause(
            paused_at=report.started_at + timedelta(seconds=2),
            resumed_at=report.started_at + timedelta(seconds=5.5),
            by="ann",
            reason="to look <around>",
        ),
        Pause(paused_at=report.ended_at, by="bob", reason="for good", undo=True),
    )

    paused, whole = page(replace(report, pauses=pauses)), page(report)

    assert "paused by ann: to look <around>" in paused.text
    assert "Paused from 2 s to 5.5 s." in paused.text
    assert "paused: nothing was begun" in paused.text
    assert paused.values("class").count("pause") == 2 * len(LAYOUTS)
    assert "pause" not in whole.values("class")


def test_a_page_tells_the_verdict_and_why() -> None:
    text = page(broken()).text

    assert "Broken" in text
    assert "nothing-lost is broken: 17 acknowledged orders" in text
    assert "exchange-restart-under-load · version 4" in text
    assert "2026-09-14 13:05:22.123 UTC" in text
    assert "47.6 s" in text
    assert "−17" in text  # noqa: RUF001  the margin


def test_residue_stands_above_everything_else() -> None:
    text = render(residue(), "html").decode()

    assert text.index("1 fault not proven to be undone") < text.index("<h1>")
    assert text.index("pid 4893 does not answer") < text.index("<h1>")
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
    assert "{{ 7 * 7 }}" in found.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", text)
    assert "[31m" not in text
    assert "u001b" not in text


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


def test_a_step_whose_check_did_not_hold_does_not_look_like_one_that_did() -> None:
    page = render(broken(), "html").decode()

    assert 'class="mark k-inconclusive"' in page
    assert "bar k-inconclusive o-done" in page


def test_why_a_check_held_is_no_warning() -> None:
    (first, *_) = held().validations
    report = replace(held(), validations=(replace(first, reason="observed 200, as expected"),))

    page = render(report, "html").decode()

    assert '<span class="why ">observed 200, as expected</span>' in page
