"""All processes of one launch: they share the session that its first process leads."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Final

import anyio
from anyio import to_thread

from test_coordination.adapters import kernel
from test_coordination.adapters.kernel import Process
from test_coordination.adapters.targets.launch import MARK
from test_coordination.adapters.targets.record import Launch
from test_coordination.domain.topology import StopSignal

POLL_S: Final = 0.01
SETTLE_MAX: Final = timedelta(seconds=10)


class Session:
    """The processes of one launch, for as long as one operation on them lasts.

    A number of a session is not given again while a process is in it. So its members are ours if
    its leader is (by its birth, a zombie too), or if one of them carries the mark of the launch,
    or if they were ours a moment ago.
    """

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._ours = False

    def leader(self) -> Process | None:
        """Return the first process, a zombie too, unless its pid is a stranger's by now."""
        if self._launch.pid is None:
            return None
        found = kernel.look(self._launch.pid)
        return found if found is not None and found.born == self._launch.born else None

    def members(self) -> tuple[Process, ...]:
        """Return every process that can still do something."""
        number, born = self._launch.pid, self._launch.born
        if number is None or not born.startswith(kernel.boot()):
            return ()
        leader = kernel.look(number)
        if leader is not None and leader.born != born:
            return ()
        found = [process for process in kernel.everyone() if process.session == number]
        self._ours = bool(found) and (self._ours or leader is not None or self._marked(found))
        return tuple(process for process in found if process.alive) if self._ours else ()

    def _marked(self, found: list[Process]) -> bool:
        return any(kernel.carries(process.pid, MARK, self._launch.mark) for process in found)

    async def terminate(self, request: StopSignal, grace: timedelta) -> None:
        """Ask all to end, wait for ``grace`` at most; who stands still is let go to hear it."""
        for process in await self._look():
            if process.group == self._launch.pid:
                kernel.send(process, signal.Signals[f"SIG{request}"])
            if process.paused:
                kernel.send(process, signal.SIGCONT)
        with anyio.move_on_after(grace.total_seconds()):
            while await self._look():  # noqa: ASYNC110 - the kernel sets no event of ours
                await anyio.sleep(POLL_S)

    async def kill(self) -> bool:
        """End all at once, those born meanwhile too; False if some are still left after a while."""
        with anyio.move_on_after(SETTLE_MAX.total_seconds()):
            while left := await self._look():
                for process in left:
                    kernel.send(process, signal.SIGKILL)
                await anyio.sleep(POLL_S)
            return True
        return False

    async def pause(self) -> bool:
        """Freeze all, those born meanwhile too; False if some still run after a while."""
        with anyio.move_on_after(SETTLE_MAX.total_seconds()):
            while running := [one for one in await self._look() if not one.paused]:
                for process in running:
                    kernel.send(process, signal.SIGSTOP)
                await anyio.sleep(POLL_S / 5)
            return True
        return False

    async def resume(self) -> bool:
        """Let all go on that stand still; False if some still do after a while."""
        with anyio.move_on_after(SETTLE_MAX.total_seconds()):
            while paused := [one for one in await self._look() if one.paused]:
                for process in paused:
                    kernel.send(process, signal.SIGCONT)
                await anyio.sleep(POLL_S / 5)
            return True
        return False

    async def _look(self) -> tuple[Process, ...]:
        # Some milliseconds on a machine with many processes: not in the loop's hand.
        return await to_thread.run_sync(self.members)
