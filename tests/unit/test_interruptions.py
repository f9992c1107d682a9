"""Ctrl-C at the command line, wherever the program is just then."""

from __future__ import annotations

import os
import signal

import anyio
import anyio.lowlevel
import pytest

from test_coordination.interfaces.cli.interruptions import (
    ENDING,
    interruptible,
    run_stoppable,
)


def press(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])
def test_who_ends_the_program_has_it_clean_up_however_often_it_is_asked(
    number: signal.Signals,
) -> None:
    cleaned: list[str] = []

    async def job() -> None:
        try:
            press(number)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                press(number)
                await anyio.lowlevel.checkpoint()
                press()
                await anyio.sleep(0.01)
                cleaned.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(job)

    assert cleaned == ["all of it"]


def test_the_first_interruption_stops_what_is_under_way_and_the_next_ones_are_counted(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def job() -> tuple[str, int]:
        stopping = anyio.Event()

        async def under_way() -> str:
            press()
            await stopping.wait()
            press()
            await anyio.sleep(0.05)
            return "its end"

        async def abort() -> None:
            stopping.set()

        result, interruptions = await interruptible(under_way, abort)
        return result, interruptions.count

    said, count = run_stoppable(job)

    first, second = capfd.readouterr().err.splitlines()
    assert (said, count) == ("its end", 2)
    assert first.startswith("stopping: every fault is being undone")
    assert second.startswith("still undoing")


def test_an_interruption_once_what_was_interruptible_is_over_ends_what_follows() -> None:
    reached: list[str] = []

    async def job() -> None:
        async def nothing() -> None: ...

        await interruptible(nothing, nothing)
        reached.append("the end of it")
        press()
        await anyio.sleep(5)
        reached.append("what follows")

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(job)

    assert reached == ["the end of it"]
