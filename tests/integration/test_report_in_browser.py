"""A report opens in a real browser from a file, with scripts switched off."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from support.report_browser import Tab, browsing
from support.report_samples import SAMPLES
from test_coordination.adapters.rendering.figures import verdict_reason, verdict_word
from test_coordination.adapters.rendering.render import render

PHONE, DESK = 430, 1280


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncGenerator[Tab]:
    async with browsing(tmp_path / "profile") as opened:
        yield opened


def written(tmp_path: Path, sample: str) -> Path:
    page = tmp_path / f"{sample}.html"
    page.write_bytes(render(SAMPLES[sample](), "html"))
    return page


async def test_the_browser_of_these_tests_runs_no_scripts(tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "script.html"
    page.write_text("<!doctype html><p>before<script>document.body.innerText = 'after'</script>")

    await tab.visit(page, width=DESK)

    assert "<p>before" in await tab.html()


async def test_every_report_shows_its_verdict_and_asks_for_nothing(
    tab: Tab, tmp_path: Path
) -> None:
    for sample, report in ((name, tell()) for name, tell in SAMPLES.items()):
        page = written(tmp_path, sample)

        await tab.visit(page, width=DESK)

        shown = await tab.html()
        asked = [each["request"]["url"] for each in tab.told("Network.requestWillBeSent")]
        assert f"<strong>{verdict_word(report)}</strong><span>{verdict_reason(report)}" in shown
        assert asked == [page.as_uri()]
        assert tab.told("Log.entryAdded") == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, 760, 980, DESK])
async def test_a_report_fits_its_window_and_is_no_empty_sheet(
    tab: Tab, tmp_path: Path, *, width: int, dark: bool
) -> None:
    for sample in ("broken", "residue"):
        await tab.visit(written(tmp_path, sample), width=width, dark=dark)

        assert await tab.content_width() <= width
        assert len(await tab.picture()) > 30_000


async def test_a_dark_report_differs_from_a_light_one_but_not_on_paper(
    tab: Tab, tmp_path: Path
) -> None:
    page = written(tmp_path, "held")
    pictures = []
    for dark, media in ((False, ""), (True, ""), (False, "print"), (True, "print")):
        await tab.visit(page, width=1032, dark=dark, media=media)
        pictures.append(await tab.picture())

    light, dark_one, paper, dark_paper = pictures
    assert light != dark_one
    assert paper == dark_paper
