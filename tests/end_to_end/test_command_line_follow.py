"""``tcoord follow``: an execution that another process runs, watched to its end."""

from __future__ import annotations

import pytest

from support.e2e_shop import shop

pytestmark = pytest.mark.timeout(300)


def test_another_process_sees_an_execution_to_its_end_though_its_own_one_dies() -> None:
    with shop() as at:
        running = at.breaks(at.scenario("followed"), "outage=5m")
        running.prints("in force")
        follower = at.terminal.start("follow")
        follower.prints("in force")
        running.dies()
        said = follower.ends()
        trouble = at.trouble()

    assert said.status == 4
    assert said.out.startswith("followed (version 1), ")
    assert "undone" in said.out
    assert said.out.splitlines()[-1].startswith("COULD NOT RUN")
    assert trouble == ""
