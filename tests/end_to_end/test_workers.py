"""The fleet as its users see it: what is left to workers, and how these come and go."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from support.e2e_newer import NEWER
from support.e2e_shop import Shop, shop
from support.e2e_terminal import TCOORD, Running


@pytest.fixture(scope="module")
def broken() -> Iterator[Shop]:
    """A shop whose services run, for all tests of this file."""
    with shop() as opened:
        yield opened


def start(shop: Shop, *words: str, program: tuple[str, ...] = TCOORD) -> Running:
    return shop.terminal.start("worker", "--topology", shop.topology, *words, program=program)


def detached(
    shop: Shop, scenario: Path, *words: str, program: tuple[str, ...] = TCOORD
) -> tuple[str, str]:
    """Leave a run of ``scenario`` to the workers; return its identity, and what was said of it."""
    given = ("run", scenario, "--detach", "--topology", shop.topology, *words)
    said = shop.terminal.run(*given, program=program)
    assert said.status == 0, said
    return said.out.strip(), said.err


def workers(shop: Shop) -> list[dict[str, Any]]:
    said = shop.terminal.run("workers", "--output", "json")
    assert said.status == 0, said
    found: list[dict[str, Any]] = json.loads(said.out)
    return found


def test_what_is_left_to_workers_waits_for_one_that_ends_in_order(broken: Shop) -> None:
    scenario = broken.scenario("patient")
    execution, said = detached(
        broken, scenario, "--set", "outage=3s", "--label", "zone=eu", "--priority", "3"
    )
    assert said == "it waits: no worker is at work; start one with `tcoord worker`\n"

    one = start(broken, "--label", "zone=eu", "--max-executions", "5")
    one.prints(f"taken   {execution}  patient")
    one.gets(signal.SIGTERM)
    ended = one.ends()

    assert ended.status == 0, ended
    first, offers, *others = ended.out.splitlines()
    assert first.endswith(": at most 5 executions")
    assert offers == "offers label zone=eu, topology shop"
    assert others == [
        f"taken   {execution}  patient",
        f"ended   {execution}  patient  held",
        "ended",
    ]
    assert ended.err == "draining: 1 execution has 30s to end\n"
    assert broken.trouble() == ""


def test_workers_of_two_releases_work_side_by_side(broken: Shop) -> None:
    older, *newer = [start(broken, program=release) for release in (TCOORD, NEWER, NEWER)]
    for one in (older, *newer):
        one.prints("topology shop\n")
    while "alone" in {each["state"] for each in workers(broken)}:
        sleep(0.05)
    shown = workers(broken)
    assert [each["state"] for each in shown] == ["serving"] * 3
    assert sorted("plan format 2" in each["offers"] for each in shown) == [False, True, True]
    new, _ = detached(broken, broken.scenario("new"), "--set", "outage=3s", program=NEWER)
    while not any(new in one.out() for one in newer):
        sleep(0.05)
    first, second = sorted(newer, key=lambda one: new not in one.out())
    first.dies()
    second.prints(f"taken   {new}  new")
    old, _ = detached(broken, broken.scenario("old"))
    second.prints(f"ended   {new}  new")
    while f"ended   {old}" not in older.out() + second.out():
        sleep(0.05)
    for one in (older, second):
        one.gets(signal.SIGTERM)
    ends = (older.ends(), second.ends())

    assert [end.status for end in ends] == [0, 0], ends
    assert new not in ends[0].out, "the older one does not know what it is"
    assert f"ended   {old}  old  held" in ends[0].out + ends[1].out
    assert broken.trouble() == ""
